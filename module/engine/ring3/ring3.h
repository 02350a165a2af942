/* SPDX-License-Identifier: GPL-2.0-only */
/* The ring3 engine: areas, and the switch into ring 3 and back. */
#ifndef GONDOLA_RING3_H
#define GONDOLA_RING3_H

#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/types.h>
#include "area.h"

struct ring3_space;

#define RING3_AREA_PAGES	(AREA_END / 0x1000)

/**
 * struct ring3_user - what of the processor is neither in the registers nor in memory
 * @fs_base: of ring 3
 * @gs_base: of ring 3
 * @tsc_aux: what RDTSCP gives
 * @cr4_set, @cr4_clear: bits of the host's CR4 that are set and clear in ring 3
 * @selector: DS, ES, FS, GS as an exit found them; an entry has all empty
 * @cr2: of a page fault
 * @dr6: of #DB
 */
struct ring3_user {
	u64 fs_base;
	u64 gs_base;
	u64 tsc_aux;
	u64 cr4_set;
	u64 cr4_clear;
	u16 selector[4];
	u64 cr2;
	u64 dr6;
};

/**
 * struct ring3_held - what of the host's is out of the processor until ring3_put()
 * @taken: it is
 * @selector: DS, ES, FS, GS
 * @user: what of the guest's is there instead: bases and TSC_AUX
 */
struct ring3_held {
	bool taken;
	u16 selector[4];
	u64 fs_base;
	u64 gs_base;
	u64 star;
	u64 lstar;
	u64 cstar;
	u64 sfmask;
	u64 sysenter_cs;
	u64 tsc_aux;
	u64 misc;
	struct ring3_user user;
};

/**
 * struct ring3_area - one vCPU's area
 * @space: of the address space that it is in
 * @index: its place there
 * @base: its address, under the host's tables and the guest's
 * @pages: by offset; NULL where the text is, or a hole
 * @context: the host's own address of the context page
 * @held: what of the host's the vCPU holds while it is loaded
 */
struct ring3_area {
	struct ring3_space *space;
	unsigned int index;
	unsigned long base;
	struct page *pages[RING3_AREA_PAGES];
	struct ring3_context *context;
	struct ring3_held held;
};

/* Why ring3_run() came back. */
enum ring3_why {
	RING3_TURNED_BACK,	/* nothing of the guest's ran: an NMI came first */
	RING3_EXCEPTION,	/* regs.vector and error */
	RING3_INTERRUPT,	/* the host's: ring3_take_interrupt() */
	RING3_NMI,		/* the host's, or a machine check; it has handled it */
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
 * ring3_add_data_segments() - let ring 3 find what else of the guest's GDT it may use
 * @area: after ring3_set_user_segments(), which took away those of before
 * @gdt: the guest's; only present, accessed data segments for ring 3 are taken, where there is place
 * @entries: of @gdt
 */
void ring3_add_data_segments(struct ring3_area *area, const u64 *gdt, unsigned int entries);

/**
 * ring3_run() - run in ring 3 until it leaves
 * @area: of a vCPU that runs nowhere else, in the current address space
 * @root: physical address of the top-level table, linked by ring3_root_link()
 * @regs: to enter with; what they are afterwards
 * @user: the same for the rest
 *
 * Interrupts off.  An NMI that ended it has been handled; an interrupt, RING3_INTERRUPT, is what
 * ring3_take_interrupt() is for.  ring3_put() must come before user mode or another task runs here.
 */
enum ring3_why ring3_run(struct ring3_area *area, u64 root, struct ring3_regs *regs,
			 struct ring3_user *user);

/**
 * ring3_put() - give the host back what the area's stays keep of it
 * @area: of a vCPU that leaves this processor; nothing happens if it had no stay since the last call
 */
void ring3_put(struct ring3_area *area);

/**
 * ring3_take_interrupt() - give the host the interrupt that ended a stay
 * @regs: as ring3_run() left them
 *
 * The processor has acknowledged it already.  Interrupts off, nothing of the host's in use: work
 * that waits for the end of an interrupt runs here.
 */
void ring3_take_interrupt(const struct ring3_regs *regs);

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
