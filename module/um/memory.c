// SPDX-License-Identifier: GPL-2.0-only
/*
 * The MMU's seam to the host, in User Mode Linux.  There is no MMU notifier
 * that would say when the host takes a page away, so the host is not allowed
 * to: a page that the guest has had stays pinned until the VM dies.  A launcher
 * that unmaps or discards guest memory meanwhile has new pages there, and the
 * guest the old ones.
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/xarray.h>
#include "mmu/host.h"
#include "mmu/internal.h"

int gondola_mmu_host_module_init(void)
{
	return 0;
}

void gondola_mmu_host_module_exit(void)
{
}

/* The pages of a VM that are pinned, each once, by their frame number. */
int gondola_mmu_host_attach(struct gondola_vm *vm)
{
	struct xarray *pinned = kzalloc(sizeof(*pinned), GFP_KERNEL_ACCOUNT);

	if (!pinned)
		return -ENOMEM;
	xa_init(pinned);
	vm->mmu.host = pinned;
	return 0;
}

void gondola_mmu_host_detach(struct gondola_vm *vm)
{
	struct xarray *pinned = vm->mmu.host;
	unsigned long pfn;
	struct page *page;

	if (!pinned)
		return;
	xa_for_each(pinned, pfn, page)
		unpin_user_page(page);
	xa_destroy(pinned);
	kfree(pinned);
	vm->mmu.host = NULL;
}

bool gondola_mmu_host_mapped(struct gondola_vm *vm, hva_t hva, u64 bytes)
{
	bool mapped;

	mmap_read_lock(vm->mm);
	mapped = find_vma_intersection(vm->mm, hva, hva + bytes);
	mmap_read_unlock(vm->mm);
	return mapped;
}

/* Keep what pin_user_pages() gave, unless the page is kept already. */
static int keep(struct xarray *pinned, struct page *page)
{
	int err = xa_insert(pinned, page_to_pfn(page), page, GFP_KERNEL_ACCOUNT);

	if (err)
		unpin_user_page(page);
	return err == -EBUSY ? 0 : err;
}

/* Nothing has to be waited for: no swap, no userfaultfd. */
int gondola_mmu_host_pin(struct gondola_vm *vm, hva_t hva, bool write, bool wait, hpfn_t *pfn,
			 bool *writable)
{
	struct page *page;
	long got;

	/* For writing at once, where that is allowed: what is pinned is not copied any more. */
	*writable = true;
	got = pin_user_pages_fast(hva, 1, FOLL_WRITE | FOLL_LONGTERM, &page);
	if (got != 1 && !write) {
		*writable = false;
		got = pin_user_pages_fast(hva, 1, FOLL_LONGTERM, &page);
	}
	if (got != 1)
		return got < 0 ? got : -EFAULT;
	*pfn = page_to_pfn(page);
	return keep(vm->mmu.host, page);
}

void gondola_mmu_host_unpin(hpfn_t pfn, bool dirty)
{
}
