/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Records of saved state: what GONDOLA_GET_STATE writes and GONDOLA_SET_STATE
 * takes.  A buffer is a row of records, each a header and @bytes of payload,
 * each starting at a multiple of 8.  Records may come in any order; a type or
 * version that the reader does not know is an error, never skipped.
 */
#ifndef _UAPI_LINUX_GONDOLA_STATE_H
#define _UAPI_LINUX_GONDOLA_STATE_H

#include <linux/types.h>

/**
 * struct gondola_record - header of one record
 * @type: enum gondola_record_type
 * @version: layout of the payload
 * @flags: must be 0
 * @bytes: length of the payload, not padded
 */
struct gondola_record {
	__u32 type;
	__u16 version;
	__u16 flags;
	__u32 bytes;
	__u32 pad;
};

enum gondola_record_type {
	/* vCPU */
	GONDOLA_REC_REGS = 1,
	GONDOLA_REC_SREGS = 2,
	GONDOLA_REC_MSRS = 3,
	GONDOLA_REC_FPU = 4,
	GONDOLA_REC_EVENTS = 5,
	GONDOLA_REC_DEBUG = 6,
	GONDOLA_REC_LAPIC = 7,
	GONDOLA_REC_CPUID = 8,		/* read only: the list that was set */
	/* VM */
	GONDOLA_REC_PIC = 64,
	GONDOLA_REC_IOAPIC = 65,
	GONDOLA_REC_PIT = 66,
	GONDOLA_REC_CLOCK = 67,
};

/* General registers in the processor's numbering: rax rcx rdx rbx rsp rbp rsi rdi r8 … r15. */
struct gondola_rec_regs {
	__u64 gpr[16];
	__u64 rip;
	__u64 rflags;
};

/**
 * struct gondola_segment - a segment register with its hidden part
 * @ar: access rights: type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15,
 *      GONDOLA_AR_UNUSABLE 16 (a null selector was loaded)
 */
struct gondola_segment {
	__u64 base;
	__u32 limit;
	__u32 ar;
	__u16 selector;
	__u16 pad[3];
};
#define GONDOLA_AR_TYPE		0x000fu
#define GONDOLA_AR_S		0x0010u
#define GONDOLA_AR_DPL		0x0060u
#define GONDOLA_AR_DPL_SHIFT	5
#define GONDOLA_AR_P		0x0080u
#define GONDOLA_AR_L		0x2000u
#define GONDOLA_AR_DB		0x4000u
#define GONDOLA_AR_G		0x8000u
#define GONDOLA_AR_UNUSABLE	0x10000u

/* In the order of the processor's segment numbers, then LDTR and TR. */
enum gondola_seg {
	GONDOLA_ES, GONDOLA_CS, GONDOLA_SS, GONDOLA_DS, GONDOLA_FS, GONDOLA_GS,
	GONDOLA_LDTR, GONDOLA_TR, GONDOLA_NR_SEGS
};

struct gondola_dtable {
	__u64 base;
	__u16 limit;
	__u16 pad[3];
};

struct gondola_rec_sregs {
	struct gondola_segment seg[8];	/* by enum gondola_seg */
	struct gondola_dtable gdt;
	struct gondola_dtable idt;
	__u64 cr0;
	__u64 cr2;
	__u64 cr3;
	__u64 cr4;
	__u64 cr8;
	__u64 efer;
	__u64 apic_base;
	__u64 xcr0;
};

struct gondola_msr_entry {
	__u32 index;
	__u32 pad;
	__u64 value;
};

/* Payload of GONDOLA_REC_MSRS: entries until the record's end. */
#define GONDOLA_MAX_MSRS	256

/* Payload of GONDOLA_REC_FPU: the XSAVE area in standard form (legacy 512 bytes, header, …). */

/**
 * struct gondola_rec_events - what is queued for, or blocks, delivery
 * @kind: enum gondola_event_kind
 * @nmi_pending: NMIs waiting: 0, 1 or 2
 * @nmi_blocked: an NMI handler runs
 * @shadow: bit 0: STI, bit 1: MOV SS blocks for one instruction
 * @halted: HLT was executed
 */
struct gondola_rec_events {
	__u8 kind;
	__u8 vector;
	__u8 has_error;
	__u8 nmi_pending;
	__u8 nmi_blocked;
	__u8 shadow;
	__u8 halted;
	__u8 pad;
	__u32 error;
	__u32 insn_len;
};

struct gondola_rec_debug {
	__u64 dr[4];
	__u64 dr6;
	__u64 dr7;
};

/* The registers as the guest reads them (offsets of the xAPIC page) and the timer. */
struct gondola_rec_lapic {
	__u32 regs[256];		/* one word each 16 bytes: regs[offset / 16] */
	__u64 tsc_deadline;
	__u64 timer_remaining_ns;
	__u32 startup;			/* GONDOLA_LAPIC_*: INIT and start-up IPIs */
	__u32 errors;			/* gathered since ESR was last written */
};
#define GONDOLA_LAPIC_INIT		(1u << 0)	/* INIT arrived */
#define GONDOLA_LAPIC_SIPI		(1u << 1)	/* a start-up IPI arrived */
#define GONDOLA_LAPIC_WAITING		(1u << 2)	/* the vCPU waits for a start-up IPI */
#define GONDOLA_LAPIC_SIPI_VECTOR	0xff00u

struct gondola_rec_pic {
	struct {
		__u8 irr, isr, imr, vector_base;
		__u8 init_state, auto_eoi, rotate_on_auto_eoi, special_mask;
		__u8 read_isr, poll, priority_add, last_level;
		__u8 elcr, icw4, special_fully_nested, output;
	} chip[2];
};

struct gondola_rec_ioapic {
	__u64 redirect[24];
	__u32 select;
	__u32 id;
	__u32 level;			/* current level of each pin */
	__u32 irr;			/* must be 0: edges are sent at once, or lost when masked */
};

struct gondola_rec_pit {
	struct {
		__u32 count;
		__u16 latched_count;
		__u8 mode, bcd, access, latched, status_latched, status;
		__u8 read_state, write_state, write_latch, gate;
		__u8 null_count, pad[3];
		__u64 elapsed_ns;	/* since it started to count; ~0: it did not */
	} channel[3];
	__u8 speaker;
	__u8 pad[7];
};

struct gondola_rec_clock {
	__u64 tsc;			/* of vCPU 0 */
	__u64 tsc_khz;
	__u64 host_ns;			/* CLOCK_REALTIME when it was read */
};

#endif
