// SPDX-License-Identifier: GPL-2.0-only
/*
 * Areas in an address space.  A process has one table for its areas, which one entry of the
 * kernel half of its top-level table leads to: an entry that the kernel itself neither uses, nor
 * copies to children, nor looks at when the process ends.
 */
#include <linux/bitmap.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/vmalloc.h>
#include <asm/invpcid.h>
#include <asm/pgtable.h>
#include <asm/processor-flags.h>
#include <asm/special_insns.h>
#include "host/compat.h"
#include "ring3.h"

/* Supervisor, and not global: the host's entries and the guest's go with their CR3. */
#define TABLE	(_PAGE_PRESENT | _PAGE_RW | _PAGE_ACCESSED)
#define TEXT	(_PAGE_PRESENT | _PAGE_ACCESSED)
#define DATA	(_PAGE_PRESENT | _PAGE_RW | _PAGE_ACCESSED | _PAGE_DIRTY | _PAGE_NX)

/**
 * struct ring3_space - the areas of one process
 * @list: of all
 * @mm: referenced
 * @tables: of the third and second level, and two of the first, one page each
 * @used: areas
 */
struct ring3_space {
	struct list_head list;
	struct mm_struct *mm;
	u64 *tables[4];
	DECLARE_BITMAP(used, RING3_AREAS);
};

static DEFINE_MUTEX(spaces_lock);
static LIST_HEAD(spaces);

static u64 *top_entry(struct mm_struct *mm)
{
	return (u64 *)mm->pgd + RING3_SLOT;
}

/* Without touching what of CR4 others rely on, where INVPCID is to be had. */
static void flush_this_cpu(void *unused)
{
	unsigned long flags, cr4 = native_read_cr4();

	if (!(cr4 & X86_CR4_PCIDE)) {
		/* Nothing of the areas is global. */
		native_write_cr3(__native_read_cr3());
	} else if (boot_cpu_has(X86_FEATURE_INVPCID)) {
		invpcid_flush_all();
	} else {
		local_irq_save(flags);
		cr4 = native_read_cr4();
		asm volatile("mov %0, %%cr4" : : "r" (cr4 ^ X86_CR4_PGE) : "memory");
		asm volatile("mov %0, %%cr4" : : "r" (cr4) : "memory");
		local_irq_restore(flags);
	}
}

static void free_space(struct ring3_space *space)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(space->tables); i++)
		free_page((unsigned long)space->tables[i]);
	kfree(space);
}

static struct ring3_space *make_space(struct mm_struct *mm)
{
	struct ring3_space *space = kzalloc(sizeof(*space), GFP_KERNEL_ACCOUNT);
	unsigned int i;

	if (!space)
		return NULL;
	for (i = 0; i < ARRAY_SIZE(space->tables); i++) {
		space->tables[i] = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
		if (!space->tables[i]) {
			free_space(space);
			return NULL;
		}
	}
	space->tables[0][0] = virt_to_phys(space->tables[1]) | TABLE;
	space->tables[1][0] = virt_to_phys(space->tables[2]) | TABLE;
	space->tables[1][1] = virt_to_phys(space->tables[3]) | TABLE;
	space->mm = mm;
	return space;
}

static struct ring3_space *space_of(struct mm_struct *mm)
{
	struct ring3_space *space;

	lockdep_assert_held(&spaces_lock);
	list_for_each_entry(space, &spaces, list)
		if (space->mm == mm)
			return space;
	return NULL;
}

bool ring3_slot_taken(struct mm_struct *mm)
{
	bool taken;

	mutex_lock(&spaces_lock);
	taken = READ_ONCE(*top_entry(mm)) && !space_of(mm);
	mutex_unlock(&spaces_lock);
	return taken;
}

/* The current process' own, made if it has none. */
static struct ring3_space *find_space(void)
{
	struct ring3_space *space = space_of(current->mm);

	if (space)
		return space;
	if (READ_ONCE(*top_entry(current->mm)))
		return ERR_PTR(-EBUSY);
	space = make_space(current->mm);
	if (!space)
		return ERR_PTR(-ENOMEM);
	mmgrab(space->mm);
	list_add(&space->list, &spaces);
	WRITE_ONCE(*top_entry(space->mm), virt_to_phys(space->tables[0]) | TABLE);
	return space;
}

static u64 *area_entries(const struct ring3_area *area)
{
	unsigned int first = area->index * (RING3_STRIDE / PAGE_SIZE);

	return area->space->tables[2 + first / PTRS_PER_PTE] + first % PTRS_PER_PTE;
}

static bool has_page(unsigned long offset)
{
	switch (offset) {
	case AREA_CONTEXT:
	case AREA_IDT:
	case AREA_TSS:
	case AREA_GDT:
	case AREA_GDT_HIGH:
		return true;
	}
	/* One page of each stack. */
	return offset >= AREA_STACKS && offset < AREA_STACKS_END &&
	       (offset - AREA_STACKS) % AREA_STACK_STRIDE == 0;
}

static void free_pages_of(struct ring3_area *area)
{
	unsigned int i;

	for (i = 0; i < RING3_AREA_PAGES; i++)
		if (area->pages[i])
			__free_page(area->pages[i]);
}

static int get_pages_of(struct ring3_area *area)
{
	unsigned int i;

	for (i = 0; i < RING3_AREA_PAGES; i++) {
		if (!has_page(i * PAGE_SIZE))
			continue;
		area->pages[i] = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
		if (!area->pages[i]) {
			free_pages_of(area);
			return -ENOMEM;
		}
	}
	return 0;
}

static void map_area(struct ring3_area *area)
{
	u64 *entries = area_entries(area);
	unsigned int i;

	/* The module's own pages, which nothing can write. */
	for (i = 0; i < AREA_CONTEXT / PAGE_SIZE; i++)
		entries[i] = page_to_phys(vmalloc_to_page(ring3_text + i * PAGE_SIZE)) | TEXT;
	for (i = 0; i < RING3_AREA_PAGES; i++)
		if (area->pages[i])
			entries[i] = page_to_phys(area->pages[i]) | DATA;
	area->base = RING3_BASE + area->index * RING3_STRIDE;
	area->context = page_address(area->pages[AREA_CONTEXT / PAGE_SIZE]);
}

/* The last area of a process takes the table along. */
static void unmap_area(struct ring3_area *area)
{
	struct ring3_space *space = area->space;
	bool last;

	lockdep_assert_held(&spaces_lock);
	memset(area_entries(area), 0, RING3_STRIDE / PAGE_SIZE * sizeof(u64));
	__clear_bit(area->index, space->used);
	last = bitmap_empty(space->used, RING3_AREAS);
	if (last)
		WRITE_ONCE(*top_entry(space->mm), 0);
	on_each_cpu(flush_this_cpu, NULL, 1);
	if (last) {
		list_del(&space->list);
		mmdrop(space->mm);
		free_space(space);
	}
}

static int place_area(struct ring3_area *area)
{
	struct ring3_space *space = find_space();

	if (IS_ERR(space))
		return PTR_ERR(space);
	area->index = find_first_zero_bit(space->used, RING3_AREAS);
	if (area->index == RING3_AREAS)
		return -ENOSPC;
	__set_bit(area->index, space->used);
	area->space = space;
	map_area(area);
	return 0;
}

int ring3_area_place(struct ring3_area *area)
{
	int err = get_pages_of(area);

	if (err)
		return err;
	mutex_lock(&spaces_lock);
	err = place_area(area);
	mutex_unlock(&spaces_lock);
	if (err)
		free_pages_of(area);
	return err;
}

void ring3_area_destroy(struct ring3_area *area)
{
	mutex_lock(&spaces_lock);
	unmap_area(area);
	mutex_unlock(&spaces_lock);
	free_pages_of(area);
}

void ring3_root_link(const struct ring3_area *area, u64 *root)
{
	root[RING3_SLOT] = virt_to_phys(area->space->tables[0]) | TABLE;
}
