/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Records of saved state, which GONDOLA_GET_STATE writes and GONDOLA_SET_STATE
 * takes.  A buffer is a list of records, each a header and @bytes of payload,
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
 * @pad: must be 0
 */
struct gondola_record {
	__u32 type;
	__u16 version;
	__u16 flags;
	__u32 bytes;
	__u32 pad;
};

/**
 * enum gondola_record_type - what a record holds
 * @GONDOLA_REC_REGS: vCPU: struct gondola_rec_regs
 * @GONDOLA_REC_SREGS: vCPU: struct gondola_rec_sregs
 * @GONDOLA_REC_MSRS: vCPU: struct gondola_msr_entry, as many as fit
 * @GONDOLA_REC_FPU: vCPU: the XSAVE area in standard form (legacy 512 bytes, header, …)
 * @GONDOLA_REC_EVENTS: vCPU: struct gondola_rec_events
 * @GONDOLA_REC_DEBUG: vCPU: struct gondola_rec_debug
 * @GONDOLA_REC_LAPIC: vCPU: struct gondola_rec_lapic
 * @GONDOLA_REC_CPUID: vCPU: struct gondola_cpuid_entry, as set by GONDOLA_SET_CPUID; SET compares
 * @GONDOLA_REC_PDPTES: vCPU: struct gondola_rec_pdptes, while it pages with PAE outside long mode
 * @GONDOLA_REC_XEN_VCPU: vCPU: struct gondola_rec_xen_vcpu, in a VM with GONDOLA_VM_XEN
 * @GONDOLA_REC_XEN_CONTEXT: vCPU: GONDOLA_XEN_CONTEXT_BYTES as the guest gave them, if it is to start with them
 * @GONDOLA_REC_PIC: VM: struct gondola_rec_pic
 * @GONDOLA_REC_IOAPIC: VM: struct gondola_rec_ioapic
 * @GONDOLA_REC_PIT: VM: struct gondola_rec_pit
 * @GONDOLA_REC_CLOCK: VM: struct gondola_rec_clock
 * @GONDOLA_REC_XEN: VM: struct gondola_rec_xen, once GONDOLA_SET_XEN was called
 * @GONDOLA_REC_XEN_PORTS: VM: struct gondola_xen_port, as many as are open
 * @GONDOLA_REC_XEN_PINS: VM: 4 bytes for each pinned page table, ascending: frame << 3 | level, 1 … 4
 */
enum gondola_record_type {
	/* vCPU */
	GONDOLA_REC_REGS = 1,
	GONDOLA_REC_SREGS = 2,
	GONDOLA_REC_MSRS = 3,
	GONDOLA_REC_FPU = 4,
	GONDOLA_REC_EVENTS = 5,
	GONDOLA_REC_DEBUG = 6,
	GONDOLA_REC_LAPIC = 7,
	GONDOLA_REC_CPUID = 8,
	GONDOLA_REC_PDPTES = 9,
	GONDOLA_REC_XEN_VCPU = 10,
	GONDOLA_REC_XEN_CONTEXT = 11,
	/* VM */
	GONDOLA_REC_PIC = 64,
	GONDOLA_REC_IOAPIC = 65,
	GONDOLA_REC_PIT = 66,
	GONDOLA_REC_CLOCK = 67,
	GONDOLA_REC_XEN = 68,
	GONDOLA_REC_XEN_PORTS = 69,
	GONDOLA_REC_XEN_PINS = 70,
};

/**
 * struct gondola_rec_regs - payload of GONDOLA_REC_REGS
 * @gpr: in the processor's numbering: rax rcx rdx rbx rsp rbp rsi rdi r8 … r15
 * @rip: canonical
 * @rflags: bit 1 set, reserved bits clear
 */
struct gondola_rec_regs {
	__u64 gpr[16];
	__u64 rip;
	__u64 rflags;
};

/**
 * struct gondola_segment - a segment register with its hidden part
 * @base: of ES, CS, SS and DS below 4 GiB
 * @limit: in bytes, whatever the granularity
 * @ar: access rights: type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15,
 *      GONDOLA_AR_UNUSABLE 16 (a null selector was loaded)
 * @selector: the visible part
 * @pad: must be 0
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

/**
 * enum gondola_seg - the processor's segment numbers, then LDTR and TR
 * @GONDOLA_ES: 0
 * @GONDOLA_CS: 1
 * @GONDOLA_SS: 2; its DPL is the current privilege level
 * @GONDOLA_DS: 3
 * @GONDOLA_FS: 4
 * @GONDOLA_GS: 5
 * @GONDOLA_LDTR: 6
 * @GONDOLA_TR: 7
 * @GONDOLA_NR_SEGS: how many
 */
enum gondola_seg {
	GONDOLA_ES, GONDOLA_CS, GONDOLA_SS, GONDOLA_DS, GONDOLA_FS, GONDOLA_GS,
	GONDOLA_LDTR, GONDOLA_TR, GONDOLA_NR_SEGS
};

/**
 * struct gondola_dtable - GDTR or IDTR
 * @base: canonical
 * @limit: in bytes
 * @pad: must be 0
 */
struct gondola_dtable {
	__u64 base;
	__u16 limit;
	__u16 pad[3];
};

/**
 * struct gondola_rec_sregs - payload of GONDOLA_REC_SREGS
 * @seg: by enum gondola_seg
 * @gdt: GDTR
 * @idt: IDTR
 * @cr0: as the guest sees it, like all that follow
 * @cr2: address of the last page fault
 * @cr3: root of the guest's page tables
 * @cr4: only bits that the vCPU's CPUID offers
 * @cr8: task priority, 0 … 15
 * @efer: likewise only what CPUID offers
 * @apic_base: MSR IA32_APIC_BASE
 * @xcr0: bit 0 set
 */
struct gondola_rec_sregs {
	struct gondola_segment seg[8];
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

/**
 * struct gondola_rec_pdptes - the directory pointers that were loaded with CR3
 * @pdpte: as they were then; memory at CR3 may say something else by now
 *
 * GONDOLA_REC_SREGS uses them if they come with it, and else loads them from memory.
 */
struct gondola_rec_pdptes {
	__u64 pdpte[4];
};

/**
 * struct gondola_msr_entry - one MSR; GONDOLA_REC_MSRS holds them until its end
 * @index: ECX of RDMSR
 * @pad: must be 0
 * @value: EDX:EAX
 */
struct gondola_msr_entry {
	__u32 index;
	__u32 pad;
	__u64 value;
};

#define GONDOLA_MAX_MSRS	256

/**
 * struct gondola_rec_events - events that wait for delivery, and what blocks them
 * @kind: the one event under delivery: 0 none, 1 interrupt, 2 NMI, 3 exception, 4 INT n
 * @vector: its vector
 * @has_error: @error is pushed with it
 * @nmi_pending: NMIs waiting: 0, 1 or 2
 * @nmi_blocked: an NMI handler runs
 * @shadow: bit 0: STI, bit 1: MOV SS blocks for one instruction
 * @halted: HLT was executed
 * @pad: must be 0
 * @error: error code
 * @insn_len: length of the instruction that raised a software event, else 0
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

/**
 * struct gondola_rec_debug - payload of GONDOLA_REC_DEBUG
 * @dr: DR0 … DR3
 * @dr6: high half 0
 * @dr7: high half 0
 */
struct gondola_rec_debug {
	__u64 dr[4];
	__u64 dr6;
	__u64 dr7;
};

/**
 * struct gondola_rec_lapic - payload of GONDOLA_REC_LAPIC
 * @regs: as the guest reads them, one word each 16 bytes of the xAPIC page: regs[offset / 16]
 * @tsc_deadline: MSR IA32_TSC_DEADLINE
 * @timer_remaining_ns: until the timer fires in one-shot or periodic mode; 0: it is not armed
 * @startup: GONDOLA_LAPIC_*: INIT and start-up IPIs
 * @errors: error bits collected since ESR was last written
 */
struct gondola_rec_lapic {
	__u32 regs[256];
	__u64 tsc_deadline;
	__u64 timer_remaining_ns;
	__u32 startup;
	__u32 errors;
};
#define GONDOLA_LAPIC_INIT		(1u << 0)	/* INIT arrived */
#define GONDOLA_LAPIC_SIPI		(1u << 1)	/* a start-up IPI arrived */
#define GONDOLA_LAPIC_WAITING		(1u << 2)	/* the vCPU waits for a start-up IPI */
#define GONDOLA_LAPIC_SIPI_VECTOR	0xff00u

/**
 * struct gondola_rec_pic - payload of GONDOLA_REC_PIC
 * @chip: master, slave; registers and flip-flops as the 8259A's data sheet names them
 */
struct gondola_rec_pic {
	struct {
		__u8 irr, isr, imr, vector_base;
		__u8 init_state, auto_eoi, rotate_on_auto_eoi, special_mask;
		__u8 read_isr, poll, priority_add, last_level;
		__u8 elcr, icw4, special_fully_nested, output;
	} chip[2];
};

/**
 * struct gondola_rec_ioapic - payload of GONDOLA_REC_IOAPIC
 * @redirect: redirection table
 * @select: IOREGSEL
 * @id: the ID register
 * @level: current level of each pin
 * @irr: must be 0: edges are sent at once, or lost when masked
 */
struct gondola_rec_ioapic {
	__u64 redirect[24];
	__u32 select;
	__u32 id;
	__u32 level;
	__u32 irr;
};

/**
 * struct gondola_rec_pit - payload of GONDOLA_REC_PIT
 * @channel: the three counters; @elapsed_ns: time since a channel started to count, ~0 if it does not;
 *           @pending: 1 if a new count, @next, waits for the end of the current one (0 in older records)
 * @speaker: port 0x61
 * @pad: must be 0
 */
struct gondola_rec_pit {
	struct {
		__u32 count;
		__u16 latched_count;
		__u8 mode, bcd, access, latched, status_latched, status;
		__u8 read_state, write_state, write_latch, gate;
		__u8 null_count, pending;
		__u16 next;
		__u64 elapsed_ns;
	} channel[3];
	__u8 speaker;
	__u8 pad[7];
};

/**
 * struct gondola_rec_clock - payload of GONDOLA_REC_CLOCK
 * @tsc: the TSC of vCPU 0; after SET it goes on from here
 * @tsc_khz: its frequency; SET refuses any other than this host's (no engine scales it)
 * @host_ns: CLOCK_REALTIME when the TSC was read
 */
struct gondola_rec_clock {
	__u64 tsc;
	__u64 tsc_khz;
	__u64 host_ns;
};

#endif
