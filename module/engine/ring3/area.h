/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The area of one vCPU: what the processor needs while neither the host's tables nor its
 * descriptors are loaded.  It lies at the same address under the host's tables and under the
 * guest's, in a slot of the top level that Linux leaves to hypervisors.  The first pages are the
 * switcher's text; all else is found relative to it.
 */
#ifndef GONDOLA_RING3_AREA_H
#define GONDOLA_RING3_AREA_H

/* The last top-level entry of the kernel's guard hole. */
#define RING3_SLOT		271
#define RING3_BASE		0xffff878000000000
#define RING3_STRIDE		0x20000
#define RING3_AREAS		32	/* in the 4 MiB of two tables */

/* Pages of an area by offset; what lies between stays unmapped. */
#define AREA_TEXT		0x0000	/* two pages: code, stubs */
#define AREA_CONTEXT		0x2000
#define AREA_IDT		0x3000
#define AREA_TSS		0x5000
#define AREA_STACKS		0x7000	/* #DF, NMI, #DB, #MC, each with a hole below */
#define AREA_STACKS_END		0xe000
#define AREA_STACK_STRIDE	0x2000
/*
 * Two pages of a GDT, and nothing else as far as a selector reaches: what the guest's registers leave
 * in the context must not be taken for a descriptor.  Xen's flat segments are in the second one.
 */
#define AREA_GDT		0x10000
#define AREA_GDT_HIGH		0x1e000
#define AREA_END		0x1f000

/* struct ring3_context */
#define CTX_HOST_RSP		0x000
#define CTX_HOST_CR3		0x008
#define CTX_GUEST_CR3		0x010
#define CTX_EXIT_RSP		0x018
#define CTX_RETURN		0x020
#define CTX_CR2			0x028
#define CTX_ENTRY		0x030
#define CTX_SEEN		0x038
#define CTX_FLAGS		0x03c
#define CTX_STRIKE		0x040
#define CTX_STRUCK		0x048
#define CTX_IDTR		0x050
#define CTX_GDTR		0x060
#define CTX_HOST_IDTR		0x070
#define CTX_HOST_GDTR		0x080
#define CTX_HOST_CR4		0x090
#define CTX_GUEST_CR4		0x098
#define CTX_REGS		0xe48
#define CTX_REGS_END		0xf00

/* ring3_context.seen: what struck in ring 0 meanwhile. */
#define SEEN_NMI		0x1
#define SEEN_MC			0x2
#define SEEN_DB			0x4

/* ring3_context.flags */
#define FLAG_VERW		0x1
#define FLAG_STRIKE		0x2

/* ring3_regs.vector, where it is no vector. */
#define RING3_SYSCALL		0x100
#define RING3_SYSCALL32		0x101
/* Added: a fault in the switcher itself, where none is possible. */
#define RING3_FATAL		0x1000

/* Selectors.  The kernel's own have the same places in both GDTs. */
#define RING3_CS		0x10
#define RING3_SS		0x18
#define RING3_HOST_TSS		0x40
#define RING3_TSS		0x50
#define RING3_GDT_ENTRIES	32	/* and as many from here: */
#define RING3_GDT_HIGH		((AREA_GDT_HIGH - AREA_GDT) / 8)

#ifndef __ASSEMBLY__

#include <linux/build_bug.h>
#include <linux/stddef.h>
#include <linux/types.h>
#include <asm/desc_defs.h>

/**
 * struct ring3_regs - what an exit pushes, and an entry pops
 * @gpr: by number; RSP's place is unused
 * @vector: why it left, RING3_* among them
 * @error: of an exception that has one
 */
struct ring3_regs {
	u64 gpr[16];
	u64 vector;
	u64 error;
	u64 rip;
	u64 cs;
	u64 rflags;
	u64 rsp;
	u64 ss;
};

/**
 * struct ring3_context - one vCPU's page of the switch
 * @host_rsp: the stack to come back to
 * @host_cr3: the tables to come back to
 * @guest_cr3: those to enter with
 * @exit_rsp: where the exit pushed its registers; 0: an NMI turned the entry back
 * @ret: where the switcher comes back to
 * @cr2: as the exit found it
 * @entry: where the switcher begins
 * @seen: SEEN_*, set by handlers in ring 0
 * @flags: FLAG_*
 * @strike: with FLAG_STRIKE: at which instruction of the window an NMI is made up
 * @struck: how often that came to pass
 * @host_cr4, @guest_cr4: the same for CR4
 * @regs: loaded by an entry; an exit without a stack of its own pushes to the same place
 */
struct ring3_context {
	u64 host_rsp;
	u64 host_cr3;
	u64 guest_cr3;
	u64 exit_rsp;
	u64 ret;
	u64 cr2;
	u64 entry;
	u32 seen;
	u32 flags;
	u64 strike;
	u64 struck;
	struct desc_ptr idtr __aligned(16);
	struct desc_ptr gdtr __aligned(16);
	struct desc_ptr host_idtr __aligned(16);
	struct desc_ptr host_gdtr __aligned(16);
	u64 host_cr4 __aligned(16);
	u64 guest_cr4;
	/* A fault of IRET pushes its frame below the registers' end, and the exit all of them again. */
	u8 room[CTX_REGS - 0xa0];
	struct ring3_regs regs;
};

#define AT(field, offset)	static_assert(offsetof(struct ring3_context, field) == (offset))
AT(host_rsp, CTX_HOST_RSP);
AT(host_cr3, CTX_HOST_CR3);
AT(guest_cr3, CTX_GUEST_CR3);
AT(exit_rsp, CTX_EXIT_RSP);
AT(ret, CTX_RETURN);
AT(cr2, CTX_CR2);
AT(entry, CTX_ENTRY);
AT(seen, CTX_SEEN);
AT(flags, CTX_FLAGS);
AT(strike, CTX_STRIKE);
AT(struck, CTX_STRUCK);
AT(idtr, CTX_IDTR);
AT(gdtr, CTX_GDTR);
AT(host_idtr, CTX_HOST_IDTR);
AT(host_gdtr, CTX_HOST_GDTR);
AT(host_cr4, CTX_HOST_CR4);
AT(guest_cr4, CTX_GUEST_CR4);
AT(regs, CTX_REGS);
#undef AT
static_assert(offsetofend(struct ring3_context, regs) == CTX_REGS_END);
/* The processor rounds the stack that it pushes to down to this. */
static_assert(CTX_REGS_END % 16 == 0);
static_assert(sizeof(struct ring3_context) <= 0x1000);
static_assert(RING3_AREAS * RING3_STRIDE == 0x400000 && AREA_END <= RING3_STRIDE);
static_assert(AREA_STACKS_END <= AREA_GDT && RING3_STRIDE - AREA_GDT >= 0x10000);

#endif
#endif
