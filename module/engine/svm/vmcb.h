/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The virtual machine control block, after the appendix "Layout of VMCB" of the AMD64 Architecture
 * Programmer's Manual, Volume 2.
 */
#ifndef GONDOLA_SVM_VMCB_H
#define GONDOLA_SVM_VMCB_H

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/stddef.h>
#include <linux/types.h>

/* intercept_cr and intercept_dr have reads in the low half, writes in the high half. */
#define SVM_READ_OF(n)			BIT(n)
#define SVM_WRITE_OF(n)			BIT(16 + (n))

/* intercept_misc1 */
#define SVM_INTERCEPT_INTR		BIT(0)
#define SVM_INTERCEPT_NMI		BIT(1)
#define SVM_INTERCEPT_SMI		BIT(2)
#define SVM_INTERCEPT_INIT		BIT(3)
#define SVM_INTERCEPT_VINTR		BIT(4)
#define SVM_INTERCEPT_RDPMC		BIT(15)
#define SVM_INTERCEPT_PUSHF		BIT(16)
#define SVM_INTERCEPT_POPF		BIT(17)
#define SVM_INTERCEPT_CPUID		BIT(18)
#define SVM_INTERCEPT_RSM		BIT(19)
#define SVM_INTERCEPT_IRET		BIT(20)
#define SVM_INTERCEPT_INT		BIT(21)	/* INT n */
#define SVM_INTERCEPT_INVD		BIT(22)
#define SVM_INTERCEPT_PAUSE		BIT(23)
#define SVM_INTERCEPT_HLT		BIT(24)
#define SVM_INTERCEPT_INVLPG		BIT(25)
#define SVM_INTERCEPT_INVLPGA		BIT(26)
#define SVM_INTERCEPT_IOIO		BIT(27)
#define SVM_INTERCEPT_MSR		BIT(28)
#define SVM_INTERCEPT_TASK_SWITCH	BIT(29)
#define SVM_INTERCEPT_SHUTDOWN		BIT(31)

/* intercept_misc2 */
#define SVM_INTERCEPT_VMRUN		BIT(0)
#define SVM_INTERCEPT_VMMCALL		BIT(1)
#define SVM_INTERCEPT_VMLOAD		BIT(2)
#define SVM_INTERCEPT_VMSAVE		BIT(3)
#define SVM_INTERCEPT_STGI		BIT(4)
#define SVM_INTERCEPT_CLGI		BIT(5)
#define SVM_INTERCEPT_SKINIT		BIT(6)
#define SVM_INTERCEPT_RDTSCP		BIT(7)
#define SVM_INTERCEPT_INT1		BIT(8)
#define SVM_INTERCEPT_WBINVD		BIT(9)
#define SVM_INTERCEPT_MONITOR		BIT(10)
#define SVM_INTERCEPT_MWAIT		BIT(11)
#define SVM_INTERCEPT_MWAIT_ARMED	BIT(12)
#define SVM_INTERCEPT_XSETBV		BIT(13)
#define SVM_INTERCEPT_RDPRU		BIT(14)

/* intercept_misc3 */
#define SVM_INTERCEPT_INVLPGB		BIT(0)
#define SVM_INTERCEPT_INVPCID		BIT(2)
#define SVM_INTERCEPT_MCOMMIT		BIT(3)
#define SVM_INTERCEPT_TLBSYNC		BIT(4)

#define SVM_TLB_FLUSH_ALL		1

/* int_control */
#define SVM_V_IRQ			BIT(8)
#define SVM_V_PRIO(n)			((u32)(n) << 16)
#define SVM_V_IGNORE_TPR		BIT(20)
#define SVM_V_INTR_MASKING		BIT(24)
#define SVM_V_VECTOR(vector)		((u64)(vector) << 32)

/* int_state */
#define SVM_SHADOW			BIT(0)

/* event_inj and exit_int_info share this format. */
#define SVM_EVENT_VECTOR		0xffu
#define SVM_EVENT_TYPE			(7u << 8)
#define SVM_EVENT_INTERRUPT		(0u << 8)
#define SVM_EVENT_NMI			(2u << 8)
#define SVM_EVENT_EXCEPTION		(3u << 8)
#define SVM_EVENT_SOFT			(4u << 8)
#define SVM_EVENT_HAS_ERROR		BIT(11)
#define SVM_EVENT_VALID			BIT(31)

/* Exit codes that are used outside of the exit table. */
enum svm_exit_code {
	SVM_EXIT_CR_READ = 0x00, SVM_EXIT_CR_WRITE = 0x10,
	SVM_EXIT_DR_READ = 0x20, SVM_EXIT_DR_WRITE = 0x30,
	SVM_EXIT_EXCEPTION = 0x40,
	SVM_EXIT_INTR = 0x60, SVM_EXIT_NMI, SVM_EXIT_SMI, SVM_EXIT_INIT, SVM_EXIT_VINTR,
	SVM_EXIT_RDPMC = 0x6f, SVM_EXIT_PUSHF, SVM_EXIT_POPF, SVM_EXIT_CPUID, SVM_EXIT_RSM,
	SVM_EXIT_IRET, SVM_EXIT_INT, SVM_EXIT_INVD, SVM_EXIT_PAUSE, SVM_EXIT_HLT, SVM_EXIT_INVLPG, SVM_EXIT_INVLPGA,
	SVM_EXIT_IOIO, SVM_EXIT_MSR, SVM_EXIT_TASK_SWITCH, SVM_EXIT_SHUTDOWN = 0x7f,
	SVM_EXIT_VMRUN, SVM_EXIT_VMMCALL, SVM_EXIT_VMLOAD, SVM_EXIT_VMSAVE, SVM_EXIT_STGI,
	SVM_EXIT_CLGI, SVM_EXIT_SKINIT, SVM_EXIT_RDTSCP, SVM_EXIT_INT1, SVM_EXIT_WBINVD,
	SVM_EXIT_MONITOR, SVM_EXIT_MWAIT, SVM_EXIT_MWAIT_ARMED, SVM_EXIT_XSETBV,
	SVM_EXIT_RDPRU, SVM_EXIT_INVLPGB = 0xa0, SVM_EXIT_INVPCID = 0xa2,
	SVM_EXIT_MCOMMIT, SVM_EXIT_TLBSYNC,
};
#define SVM_EXIT_INVALID		(~0u)	/* of the code's low half, like all */

/* exit_info_1 of SVM_EXIT_IOIO */
#define SVM_IO_IN			BIT(0)
#define SVM_IO_STRING			BIT(2)
#define SVM_IO_WIDTH(info)		(((info) >> 4) & 7)
#define SVM_IO_PORT(info)		((u16)((info) >> 16))

/* A segment.  @attrib has bits 7:0 and 15:12 of the descriptor's access rights, packed. */
struct svm_segment {
	u16 selector;
	u16 attrib;
	u32 limit;
	u64 base;
};

struct vmcb {
	/* control area */
	u32 intercept_cr;
	u32 intercept_dr;
	u32 intercept_exceptions;
	u32 intercept_misc1;
	u32 intercept_misc2;
	u32 intercept_misc3;
	u8 unused_018[0x024];
	u16 pause_threshold;
	u16 pause_count;
	u64 iopm_pa;
	u64 msrpm_pa;
	u64 tsc_offset;
	u32 asid;
	u32 tlb_control;
	u64 int_control;
	u64 int_state;
	u64 exit_code;
	u64 exit_info_1;
	u64 exit_info_2;
	u32 exit_int_info;
	u32 exit_int_error;
	u64 nested_control;
	u8 unused_098[0x010];
	u32 event_inj;
	u32 event_inj_error;
	u8 unused_0b0[0x010];
	u32 clean;
	u32 unused_0c4;
	u64 next_rip;
	u8 unused_0d0[0x330];

	/* state save area */
	struct svm_segment seg[6];		/* in the order of enum gondola_seg */
	struct svm_segment gdtr;
	struct svm_segment ldtr;
	struct svm_segment idtr;
	struct svm_segment tr;
	u8 unused_4a0[0x02b];
	u8 cpl;
	u32 unused_4cc;
	u64 efer;
	u8 unused_4d8[0x070];
	u64 cr4;
	u64 cr3;
	u64 cr0;
	u64 dr7;
	u64 dr6;
	u64 rflags;
	u64 rip;
	u8 unused_580[0x058];
	u64 rsp;
	u8 unused_5e0[0x018];
	u64 rax;
	u64 star;
	u64 lstar;
	u64 cstar;
	u64 sfmask;
	u64 kernel_gs_base;
	u64 sysenter_cs;
	u64 sysenter_esp;
	u64 sysenter_eip;
	u64 cr2;
	u8 unused_648[0x020];
	u64 guest_pat;
	u8 unused_670[0x990];
};

#define SVM_AT(field, offset) static_assert(offsetof(struct vmcb, field) == (offset))
SVM_AT(pause_threshold, 0x03c);
SVM_AT(iopm_pa, 0x040);
SVM_AT(tsc_offset, 0x050);
SVM_AT(asid, 0x058);
SVM_AT(int_control, 0x060);
SVM_AT(exit_code, 0x070);
SVM_AT(exit_int_info, 0x088);
SVM_AT(nested_control, 0x090);
SVM_AT(event_inj, 0x0a8);
SVM_AT(clean, 0x0c0);
SVM_AT(next_rip, 0x0c8);
SVM_AT(seg, 0x400);
SVM_AT(gdtr, 0x460);
SVM_AT(ldtr, 0x470);
SVM_AT(idtr, 0x480);
SVM_AT(tr, 0x490);
SVM_AT(cpl, 0x4cb);
SVM_AT(efer, 0x4d0);
SVM_AT(cr4, 0x548);
SVM_AT(dr7, 0x560);
SVM_AT(rip, 0x578);
SVM_AT(rsp, 0x5d8);
SVM_AT(rax, 0x5f8);
SVM_AT(star, 0x600);
SVM_AT(sysenter_eip, 0x638);
SVM_AT(cr2, 0x640);
SVM_AT(guest_pat, 0x668);
#undef SVM_AT
static_assert(sizeof(struct vmcb) == 4096);

#endif
