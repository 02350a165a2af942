/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An engine that loops around the emulator: a processor in software, with a TLB, that runs on the
 * shadow tables as the hardware does.
 */
#ifndef GONDOLA_INTERP_H
#define GONDOLA_INTERP_H

#include <linux/types.h>
#include "emulate/emulate.h"
#include "engine.h"
#include "vcpu.h"

/* interp_vcpu.attention: conditions to check after each instruction. */
#define INTERP_MODE		BIT(0)	/* CS or SS was loaded: mode and CPL may differ */
#define INTERP_WINDOW		BIT(1)	/* an interrupt is waited for */
#define INTERP_NMI_WINDOW	BIT(2)
#define INTERP_BREAKPOINTS	BIT(3)	/* DR7 enables any */
#define INTERP_WATCHES		BIT(4)	/* some of them are on data */

#define INTERP_CODE_PAGES	256u	/* powers of two, all of them */
#define INTERP_FEW		8u	/* translations that are dropped one by one */
#define INTERP_BLOCKS		32768u
#define INTERP_BLOCK		4u

/* A page of code, by its linear address. */
struct interp_code_page {
	gva_t page;			/* GONDOLA_TLB_NONE: empty */
	const u8 *host;
};

/**
 * struct interp_decoded - a decoded instruction
 * @key: its address, with the mode in the top byte unless it is 64-bit code
 * @bytes: its bytes; when they change in memory it is void
 * @mask: the bits of @bytes that belong to it
 */
struct interp_decoded {
	unsigned long key;
	u64 bytes[2];
	u64 mask[2];
	struct gondola_insn insn;
};

/**
 * struct interp_vcpu - a processor in software
 * @emul: executes instructions on the vCPU's registers and the state below
 * @nr_filled: how many translations were made since the last flush, INTERP_FEW + 1: more than those
 * @filled: the pages of the first ones
 * @tlb: translations for data, by privilege: supervisor, user
 * @code: translations for instructions
 * @decoded: blocks by the address of their first byte, each with its instructions in order.  An
 *	instruction may be in several blocks.  The last block is empty, and ends a row
 * @current_insn: the instruction of @decoded that was executed last
 * @exit: why the guest leaves; reason GONDOLA_REASON_COUNT: it does not leave
 * @inject: event to deliver first
 * @attention: INTERP_*
 * @shadow: the STI or MOV SS shadow of the last instruction
 * @watch_met: bits of DR6 for the data breakpoints that the current instruction met
 * @stop_at_user: interp_run() ends before 64-bit code of ring 3
 */
struct interp_vcpu {
	struct gondola_emulator emul;
	struct gondola_vcpu *vcpu;
	struct gondola_segment segment[GONDOLA_NR_SEGS];
	struct gondola_dtable gdt;
	struct gondola_dtable idt;
	u64 kernel_gs_base;
	u64 star;
	u64 lstar;
	u64 cstar;
	u64 sfmask;
	u64 sysenter_cs;
	u64 sysenter_esp;
	u64 sysenter_eip;
	u64 tsc_aux;
	u64 pat;
	u32 attention;
	u8 shadow;
	u8 watch_met;
	bool nmi_blocked;
	bool stop_at_user;
	struct gondola_event inject;
	struct gondola_exit exit;
	unsigned int nr_filled;
	gva_t filled[INTERP_FEW];
	struct gondola_tlb_entry tlb[2][GONDOLA_TLB_ENTRIES];
	struct interp_code_page code[2][INTERP_CODE_PAGES];
	struct interp_decoded *current_insn;
	struct interp_decoded decoded[INTERP_BLOCKS + 1][INTERP_BLOCK];
};

static inline struct interp_vcpu *to_interp_vcpu(struct gondola_emulator *e)
{
	return container_of(e, struct interp_vcpu, emul);
}

static inline unsigned int interp_cpl(const struct interp_vcpu *ip)
{
	/* Its descriptors do not matter. */
	if (unlikely(ip->vcpu->xen))
		return 3;
	return (ip->segment[GONDOLA_SS].ar & GONDOLA_AR_DPL) >> GONDOLA_AR_DPL_SHIFT;
}

/* Leave the guest for @reason, before the current instruction has done anything. */
static inline int interp_leave(struct interp_vcpu *ip, u32 reason)
{
	ip->exit.reason = reason;
	ip->exit.insn_len = 0;
	return GONDOLA_EMUL_RETRY;
}

/* tlb.c */
void interp_flush(struct interp_vcpu *ip);
void interp_flush_page(struct interp_vcpu *ip, gva_t gva);
/* @access: PFEC_*.  NULL: the guest leaves with the page fault in @ip->exit. */
u8 *interp_translate(struct interp_vcpu *ip, gva_t la, u32 access);
/* Find a page of code that is not in @ip->code yet. */
const u8 *interp_find_code(struct interp_vcpu *ip, gva_t la, struct interp_code_page *entry);

/* The byte of code at @la; NULL as above. */
static inline const u8 *interp_code(struct interp_vcpu *ip, gva_t la)
{
	gva_t page = la & GONDOLA_PAGE_MASK;
	unsigned int i = (la >> GONDOLA_PAGE_SHIFT) % INTERP_CODE_PAGES;
	struct interp_code_page *entry = &ip->code[ip->emul.cpl == 3][i];

	if (likely(entry->page == page))
		return entry->host + (la - page);
	return interp_find_code(ip, la, entry);
}

/* breakpoint.c: DR7 has changed. */
void interp_set_breakpoints(struct interp_vcpu *ip, u64 dr7);
/* The bits of DR6 for an instruction at @la; for accesses they are collected in @ip->watch_met. */
u64 interp_breakpoint(struct interp_vcpu *ip, gva_t la);
void interp_watch(struct interp_vcpu *ip, gva_t la, unsigned int bytes, bool write);

/* ops.c */
extern const struct gondola_emul_ops interp_ops;

/* interp.c: find an MSR; NULL: there is none of this number. */
u64 *interp_msr(struct interp_vcpu *ip, u32 index);

/* The most instructions that run with the host's interrupts off. */
#define INTERP_CHUNK	2048u

/* interp.c, also for ring3: set a vCPU to its state after a reset. */
void interp_vcpu_init(struct interp_vcpu *ip, struct gondola_vcpu *vcpu);
/* Set mode and privilege, and all that depends on them. */
void interp_find_mode(struct interp_vcpu *ip);
/*
 * Deliver the injected event, then interpret at most @left instructions.  Returns how many are
 * left; @ip->exit.reason says why the guest leaves, or GONDOLA_REASON_COUNT.
 */
unsigned int interp_run(struct interp_vcpu *ip, unsigned int left);

/* The emulator's operations; engine_data must start with an interp_vcpu. */
void interp_vcpu_decode(struct gondola_vcpu *vcpu, struct gondola_exit *exit);
void interp_vcpu_inject(struct gondola_vcpu *vcpu, const struct gondola_event *event);
void interp_vcpu_cancel_injection(struct gondola_vcpu *vcpu);
u32 interp_vcpu_get_shadow(struct gondola_vcpu *vcpu);
void interp_vcpu_set_shadow(struct gondola_vcpu *vcpu, u32 shadow);
void interp_vcpu_open_window(struct gondola_vcpu *vcpu, bool interrupt, bool nmi);
void interp_vcpu_get_segment(struct gondola_vcpu *vcpu, enum gondola_seg seg,
			     struct gondola_segment *out);
void interp_vcpu_set_segment(struct gondola_vcpu *vcpu, enum gondola_seg seg,
			     const struct gondola_segment *in);
int interp_vcpu_get_cpl(struct gondola_vcpu *vcpu);
void interp_vcpu_get_dtable(struct gondola_vcpu *vcpu, bool idt, struct gondola_dtable *out);
void interp_vcpu_set_dtable(struct gondola_vcpu *vcpu, bool idt, const struct gondola_dtable *in);
void interp_vcpu_update_control(struct gondola_vcpu *vcpu);
int interp_vcpu_set_debug(struct gondola_vcpu *vcpu);
void interp_vcpu_set_dr7(struct gondola_vcpu *vcpu, u64 dr7);
void interp_vcpu_set_tsc_offset(struct gondola_vcpu *vcpu);
int interp_vcpu_get_msr(struct gondola_vcpu *vcpu, u32 index, u64 *value);
int interp_vcpu_set_msr(struct gondola_vcpu *vcpu, u32 index, u64 value);
void interp_vcpu_flush_tlb(struct gondola_vcpu *vcpu);
void interp_vcpu_flush_gva(struct gondola_vcpu *vcpu, gva_t gva);

/* cpuid.c */
void interp_processor_cpuid(u32 function, u32 index, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx);

#endif
