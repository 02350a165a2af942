/* SPDX-License-Identifier: GPL-2.0-only */
/* Constants of the architecture, since the kernel's headers for them do not compile for ARCH=um. */
#ifndef GONDOLA_X86_H
#define GONDOLA_X86_H

#include <linux/bits.h>
#include <linux/types.h>

/* Kinds of addresses: guest-virtual, guest-physical, host-virtual, and frame numbers. */
typedef u64 gva_t;
typedef u64 gpa_t;
typedef u64 gfn_t;
typedef u64 hva_t;
typedef u64 hpfn_t;

#define GONDOLA_PAGE_SHIFT	12
#define GONDOLA_PAGE_SIZE	4096u
#define GONDOLA_PAGE_MASK	(~0xfffull)

/* General registers by their number in an instruction. */
enum gondola_gpr {
	R_RAX, R_RCX, R_RDX, R_RBX, R_RSP, R_RBP, R_RSI, R_RDI,
	R_R8, R_R9, R_R10, R_R11, R_R12, R_R13, R_R14, R_R15, NR_GPRS
};

#define CR0_PE		BIT_ULL(0)
#define CR0_MP		BIT_ULL(1)
#define CR0_EM		BIT_ULL(2)
#define CR0_TS		BIT_ULL(3)
#define CR0_ET		BIT_ULL(4)
#define CR0_NE		BIT_ULL(5)
#define CR0_WP		BIT_ULL(16)
#define CR0_AM		BIT_ULL(18)
#define CR0_NW		BIT_ULL(29)
#define CR0_CD		BIT_ULL(30)
#define CR0_PG		BIT_ULL(31)
#define CR0_DEFINED	(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | \
			 CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)

#define CR3_PWT		BIT_ULL(3)
#define CR3_PCD		BIT_ULL(4)
#define CR3_PCID	0xfffull
#define CR3_NOFLUSH	BIT_ULL(63)

#define CR4_VME		BIT_ULL(0)
#define CR4_PVI		BIT_ULL(1)
#define CR4_TSD		BIT_ULL(2)
#define CR4_DE		BIT_ULL(3)
#define CR4_PSE		BIT_ULL(4)
#define CR4_PAE		BIT_ULL(5)
#define CR4_MCE		BIT_ULL(6)
#define CR4_PGE		BIT_ULL(7)
#define CR4_PCE		BIT_ULL(8)
#define CR4_OSFXSR	BIT_ULL(9)
#define CR4_OSXMMEXCPT	BIT_ULL(10)
#define CR4_UMIP	BIT_ULL(11)
#define CR4_LA57	BIT_ULL(12)
#define CR4_VMXE	BIT_ULL(13)
#define CR4_SMXE	BIT_ULL(14)
#define CR4_FSGSBASE	BIT_ULL(16)
#define CR4_PCIDE	BIT_ULL(17)
#define CR4_OSXSAVE	BIT_ULL(18)
#define CR4_SMEP	BIT_ULL(20)
#define CR4_SMAP	BIT_ULL(21)
#define CR4_PKE		BIT_ULL(22)

#define EFER_F_SCE	BIT_ULL(0)
#define EFER_F_LME	BIT_ULL(8)
#define EFER_F_LMA	BIT_ULL(10)
#define EFER_F_NXE	BIT_ULL(11)
#define EFER_F_SVME	BIT_ULL(12)

#define RFL_CF		BIT_ULL(0)
#define RFL_FIXED	BIT_ULL(1)
#define RFL_PF		BIT_ULL(2)
#define RFL_AF		BIT_ULL(4)
#define RFL_ZF		BIT_ULL(6)
#define RFL_SF		BIT_ULL(7)
#define RFL_TF		BIT_ULL(8)
#define RFL_IF		BIT_ULL(9)
#define RFL_DF		BIT_ULL(10)
#define RFL_OF		BIT_ULL(11)
#define RFL_IOPL	(3ull << 12)
#define RFL_NT		BIT_ULL(14)
#define RFL_RF		BIT_ULL(16)
#define RFL_VM		BIT_ULL(17)
#define RFL_AC		BIT_ULL(18)
#define RFL_VIF		BIT_ULL(19)
#define RFL_VIP		BIT_ULL(20)
#define RFL_ID		BIT_ULL(21)

/* Page-table entries, all formats. */
#define PT_P		BIT_ULL(0)
#define PT_W		BIT_ULL(1)
#define PT_U		BIT_ULL(2)
#define PT_PWT		BIT_ULL(3)
#define PT_PCD		BIT_ULL(4)
#define PT_A		BIT_ULL(5)
#define PT_D		BIT_ULL(6)
#define PT_PS		BIT_ULL(7)	/* in a directory entry; PAT in a leaf of level 1 */
#define PT_G		BIT_ULL(8)
#define PT_NX		BIT_ULL(63)
#define PT_ADDR		GENMASK_ULL(51, 12)

/* Error code of a page fault. */
#define PFEC_P		BIT(0)
#define PFEC_W		BIT(1)
#define PFEC_U		BIT(2)
#define PFEC_RSVD	BIT(3)
#define PFEC_I		BIT(4)

enum gondola_vector {
	VEC_DE = 0, VEC_DB = 1, VEC_NMI = 2, VEC_BP = 3, VEC_OF = 4, VEC_BR = 5,
	VEC_UD = 6, VEC_NM = 7, VEC_DF = 8, VEC_TS = 10, VEC_NP = 11, VEC_SS = 12,
	VEC_GP = 13, VEC_PF = 14, VEC_MF = 16, VEC_AC = 17, VEC_MC = 18, VEC_XM = 19,
};

#define DR6_FIXED	0xffff0ff0ull
#define DR6_BT		BIT_ULL(15)
#define DR6_BS		BIT_ULL(14)
#define DR6_BD		BIT_ULL(13)
#define DR6_BREAKPOINTS	0xfull
#define DR6_VOLATILE	0x0000e00full
#define DR7_FIXED	0x400ull
#define DR7_ENABLES	0xffull
#define DR7_WRITABLE	0xffff23ffull
#define DR7_GD		BIT_ULL(13)
#define DEBUGCTL_LBR	BIT_ULL(0)
#define DEBUGCTL_BTF	BIT_ULL(1)

/* Model-specific registers that the core uses. */
enum gondola_msr {
	MSRX_TSC = 0x10, MSRX_APIC_BASE = 0x1b, MSRX_TSC_ADJUST = 0x3b, MSRX_BIOS_SIGN = 0x8b,
	MSRX_MTRRCAP = 0xfe, MSRX_SYSENTER_CS = 0x174, MSRX_SYSENTER_ESP = 0x175,
	MSRX_SYSENTER_EIP = 0x176, MSRX_MCG_CAP = 0x179, MSRX_MCG_STATUS = 0x17a,
	MSRX_PLATFORM_ID = 0x17, MSRX_FEATURE_CONTROL = 0x3a,
	MSRX_DEBUGCTL = 0x1d9, MSRX_MTRR_BASE = 0x200, MSRX_MTRR_LAST = 0x20f,
	MSRX_MTRR_FIX_64K = 0x250, MSRX_MTRR_FIX_16K = 0x258, MSRX_MTRR_FIX_4K = 0x268,
	MSRX_MISC_ENABLE = 0x1a0, MSRX_PAT = 0x277, MSRX_MTRR_DEF_TYPE = 0x2ff,
	MSRX_TSC_DEADLINE = 0x6e0, MSRX_X2APIC = 0x800, MSRX_X2APIC_END = 0x8ff,
};
#define MSRX_EFER		0xc0000080u
#define MSRX_STAR		0xc0000081u
#define MSRX_LSTAR		0xc0000082u
#define MSRX_CSTAR		0xc0000083u
#define MSRX_SFMASK		0xc0000084u
#define MSRX_FS_BASE		0xc0000100u
#define MSRX_GS_BASE		0xc0000101u
#define MSRX_KERNEL_GS_BASE	0xc0000102u
#define MSRX_TSC_AUX		0xc0000103u
#define MSRX_AMD_PERF_CTL	0xc0010000u	/* four of them, then the counters */
#define MSRX_AMD_PERF_CTR	0xc0010004u
#define AMD_COUNTERS		4
#define MSRX_AMD_SYSCFG		0xc0010010u
#define MSRX_AMD_HWCR		0xc0010015u
#define MSRX_AMD_NB_CFG		0xc001001fu
#define MSRX_AMD_INT_PENDING	0xc0010055u
#define MSRX_AMD_DE_CFG		0xc0011029u

/* MSR bits of the local APIC's base. */
#define APIC_BASE_BSP		BIT_ULL(8)
#define APIC_BASE_X2APIC	BIT_ULL(10)
#define APIC_BASE_ENABLE	BIT_ULL(11)

#endif
