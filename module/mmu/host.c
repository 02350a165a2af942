// SPDX-License-Identifier: GPL-2.0-only
/* The host's memory management: get_user_pages, the MMU notifier, the shrinker. */
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include "host/compat.h"
#include "host.h"
#include "internal.h"

/* The shrinker leaves a VM this number of shadow pages: it could not run without them. */
#define SHRINK_FLOOR	64u

struct mmu_host {
	struct mmu_notifier notifier;
	struct list_head link;
	struct gondola_vm *vm;
};

static LIST_HEAD(vms);
static DEFINE_SPINLOCK(vms_lock);

static struct gondola_vm *vm_of(struct mmu_notifier *notifier)
{
	return container_of(notifier, struct mmu_host, notifier)->vm;
}

static int range_start(struct mmu_notifier *notifier, const struct mmu_notifier_range *range)
{
	mmu_invalidate_begin(vm_of(notifier), range->start, range->end,
			     mmu_notifier_range_blockable(range));
	return 0;
}

static void range_end(struct mmu_notifier *notifier, const struct mmu_notifier_range *range)
{
	mmu_invalidate_end(vm_of(notifier));
}

static compat_aged_t clear_flush_young(struct mmu_notifier *notifier, struct mm_struct *mm,
				       unsigned long start, unsigned long end)
{
	return mmu_age(vm_of(notifier), start, end, true);
}

static compat_aged_t test_young(struct mmu_notifier *notifier, struct mm_struct *mm,
				unsigned long address)
{
	return mmu_age(vm_of(notifier), address, address + PAGE_SIZE, false);
}

/* The launcher's memory is released before its descriptors are. */
static void release(struct mmu_notifier *notifier, struct mm_struct *mm)
{
	mmu_invalidate_begin(vm_of(notifier), 0, ~0ull, true);
	mmu_invalidate_end(vm_of(notifier));
}

static const struct mmu_notifier_ops notifier_ops = {
	.release = release,
	.invalidate_range_start = range_start,
	.invalidate_range_end = range_end,
	.clear_flush_young = clear_flush_young,
	.clear_young = clear_flush_young,
	.test_young = test_young,
};

int mmu_host_attach(struct gondola_vm *vm)
{
	struct mmu_host *host = kzalloc(sizeof(*host), GFP_KERNEL_ACCOUNT);
	int err;

	if (!host)
		return -ENOMEM;
	host->vm = vm;
	host->notifier.ops = &notifier_ops;
	err = mmu_notifier_register(&host->notifier, vm->mm);
	if (err) {
		kfree(host);
		return err;
	}
	vm->mmu.host = host;
	spin_lock(&vms_lock);
	list_add(&host->link, &vms);
	spin_unlock(&vms_lock);
	return 0;
}

void mmu_host_detach(struct gondola_vm *vm)
{
	struct mmu_host *host = vm->mmu.host;

	if (!host)
		return;
	/* The shrinker works on this list, under its lock. */
	spin_lock(&vms_lock);
	list_del(&host->link);
	spin_unlock(&vms_lock);
	mmu_notifier_unregister(&host->notifier, vm->mm);
	kfree(host);
	vm->mmu.host = NULL;
}

bool mmu_host_mapped(struct gondola_vm *vm, hva_t hva, u64 bytes)
{
	bool mapped;

	mmap_read_lock(vm->mm);
	mapped = find_vma_intersection(vm->mm, hva, hva + bytes);
	mmap_read_unlock(vm->mm);
	return mapped;
}

/*
 * If a page needs waiting (userfaultfd, swap) or fails, the launcher touches it in user mode.
 * There a signal reaches it, and a userfaultfd for user-mode faults alone can serve it.
 */
static int pin_at_once(hva_t hva, bool write, struct page **page)
{
	if (get_user_pages_unlocked(hva, 1, page, FOLL_NOWAIT | (write ? FOLL_WRITE : 0)) == 1)
		return 0;
	return fatal_signal_pending(current) ? -EINTR : -EAGAIN;
}

int mmu_host_pin(struct gondola_vm *vm, hva_t hva, bool write, bool wait, hpfn_t *pfn,
		 bool *writable)
{
	struct page *page;
	long got;

	/* Most present pages are writable already: ask for write access at once, for later writes too. */
	if (get_user_pages_fast_only(hva, 1, FOLL_WRITE, &page) == 1) {
		*writable = true;
		*pfn = page_to_pfn(page);
		return 0;
	}
	if (wait) {
		got = get_user_pages_fast(hva, 1, write ? FOLL_WRITE : 0, &page);
		if (got != 1)
			return got < 0 ? got : -EFAULT;
	} else {
		int err = pin_at_once(hva, write, &page);

		if (err)
			return err;
	}
	*writable = write;
	*pfn = page_to_pfn(page);
	return 0;
}

void mmu_host_unpin(hpfn_t pfn, bool dirty)
{
	struct page *page = pfn_to_page(pfn);

	/* The guest may write it at any time until the notifier is called. */
	if (dirty && !PageDirty(page))
		set_page_dirty_lock(page);
	put_page(page);
}

static unsigned long shrink_count(struct shrinker *shrinker, struct shrink_control *sc)
{
	return max(gondola_mmu_pages_total(), 0l);
}

/* An allocation of this VM may have called us, but never with its lock held. */
static unsigned long shrink_vm(struct gondola_vm *vm, unsigned long want)
{
	unsigned long freed = 0;

	if (!spin_trylock(&vm->mmu.lock))
		return 0;
	if (vm->mmu.nr_pages > SHRINK_FLOOR)
		freed = shadow_evict(vm, min_t(unsigned long, want,
					       vm->mmu.nr_pages - SHRINK_FLOOR));
	mmu_unlock(vm);
	return freed;
}

static unsigned long shrink_scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	unsigned long freed = 0;
	struct mmu_host *host;

	spin_lock(&vms_lock);
	list_for_each_entry(host, &vms, link) {
		if (freed >= sc->nr_to_scan)
			break;
		freed += shrink_vm(host->vm, sc->nr_to_scan - freed);
	}
	/* The next call begins with another VM. */
	list_rotate_left(&vms);
	spin_unlock(&vms_lock);
	return freed ?: SHRINK_STOP;
}

static struct shrinker *shrinker;

int mmu_host_module_init(void)
{
	shrinker = shrinker_alloc(0, "gondola");
	if (!shrinker)
		return -ENOMEM;
	shrinker->count_objects = shrink_count;
	shrinker->scan_objects = shrink_scan;
	shrinker->seeks = DEFAULT_SEEKS * 4;
	shrinker_register(shrinker);
	return 0;
}

void mmu_host_module_exit(void)
{
	shrinker_free(shrinker);
	/* Our code frees notifiers after a grace period. */
	mmu_notifier_synchronize();
}
