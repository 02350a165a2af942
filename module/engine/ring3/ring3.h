/* SPDX-License-Identifier: GPL-2.0-only */
/* The ring3 engine: areas, and the switch into ring 3 and back. */
#ifndef GONDOLA_RING3_H
#define GONDOLA_RING3_H

#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/types.h>
#include "area.h"

struct ring3_space;

#define RING3_AREA_PAGES	((AREA_END - AREA_CONTEXT) / 0x1000)

/**
 * struct ring3_area - one vCPU's area
 * @space: of the address space that it is in
 * @index: its place there
 * @base: its address, under the host's tables and the guest's
 * @pages: those behind the text, by offset; NULL where there is a hole
 * @context: the host's own address of the context page
 */
struct ring3_area {
	struct ring3_space *space;
	unsigned int index;
	unsigned long base;
	struct page *pages[RING3_AREA_PAGES];
	struct ring3_context *context;
};

/**
 * struct ring3_user - what of the processor is neither in the registers nor in memory
 * @fs_base: of ring 3
 * @gs_base: of ring 3
 * @tsc_aux: what RDTSCP gives
 * @selector: DS, ES, FS, GS as an exit found them; an entry has all empty
 * @cr2: of a page fault
 * @dr6: of #DB
 */
struct ring3_user {
	u64 fs_base;
	u64 gs_base;
	u64 tsc_aux;
	u16 selector[4];
	u64 cr2;
	u64 dr6;
};

/* Why ring3_run() came back. */
enum ring3_why {
	RING3_TURNED_BACK,	/* nothing of the guest's ran: an NMI came first */
	RING3_EXCEPTION,	/* regs.vector and error */
	RING3_INTERRUPT,	/* the host's, which has handled it */
	RING3_NMI,		/* likewise, or a machine check */
	RING3_CALL,		/* SYSCALL in 64-bit mode; RIP is behind it */
	RING3_CALL32,
	RING3_BAD_STATE,	/* IRET refused the registers with regs.vector and error */
	RING3_DEAD,		/* a fault in the switcher: it must not be used again */
};

/**
 * ring3_area_create() - make an area in this process' address space
 * @area: filled in
 *
 * Returns 0 or -errno; -EBUSY if something else is in the slot.
 */
int ring3_area_create(struct ring3_area *area);

/**
 * ring3_area_destroy() - take it out of the address space, on all processors
 * @area: made by ring3_area_create(); used nowhere
 */
void ring3_area_destroy(struct ring3_area *area);

/**
 * ring3_root_link() - let a guest's top-level table have the areas
 * @area: whose neighbours come along: those of the same process
 * @root: 512 entries; the upper half is otherwise empty
 */
void ring3_root_link(const struct ring3_area *area, u64 *root);

/**
 * ring3_set_user_segments() - what CS and SS mean in ring 3
 * @area: whose GDT has them
 * @cs: selector of a 64-bit code segment
 * @ss: selector of a data segment
 *
 * Returns false if the switcher needs one of these places in the GDT for itself.
 */
bool ring3_set_user_segments(struct ring3_area *area, u16 cs, u16 ss);

/**
 * ring3_run() - run in ring 3 until it leaves
 * @area: of a vCPU that runs nowhere else, in the current address space
 * @root: physical address of the top-level table, linked by ring3_root_link()
 * @regs: to enter with; what they are afterwards
 * @user: the same for the rest
 *
 * Interrupts off.  An interrupt or NMI that ended it has been handled.
 */
enum ring3_why ring3_run(struct ring3_area *area, u64 root, struct ring3_regs *regs,
			 struct ring3_user *user);

/**
 * ring3_slot_taken() - is the top-level entry used by something that is not ours?
 * @mm: in which
 */
bool ring3_slot_taken(struct mm_struct *mm);

/* space.c: the area mapped, and empty. */
int ring3_area_place(struct ring3_area *area);

/* entry.S */
extern const u8 ring3_text[], ring3_text_end[], ring3_stubs[];
extern const u8 ring3_enter[], ring3_syscall[], ring3_syscall32[];
void ring3_switch(struct ring3_context *context);
void ring3_raise(unsigned int vector);

#endif
