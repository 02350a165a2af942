/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a paravirtualized guest and its monitor agree on: numbers and layouts of Xen's public
 * interface (xen/include/public in Xen, include/xen/interface in Linux), for 64-bit guests.
 */
#ifndef GONDOLA_XEN_ABI_H
#define GONDOLA_XEN_ABI_H

#include <linux/build_bug.h>
#include <linux/types.h>
#include <uapi/linux/gondola.h>

/* The interface is that of this version, 4.17. */
#define XEN_ABI_VERSION	(4u << 16 | 17)

/* The monitor's part of the address space; it begins with the table from frames to pages. */
#define XEN_M2P_START	0xffff800000000000ull

/* Hypercalls: RAX. */
enum xen_call {
	XEN_SET_TRAP_TABLE	= 0,
	XEN_MMU_UPDATE		= 1,
	XEN_SET_GDT		= 2,
	XEN_STACK_SWITCH	= 3,
	XEN_FPU_TASKSWITCH	= 5,
	XEN_SET_DEBUGREG	= 8,
	XEN_GET_DEBUGREG	= 9,
	XEN_UPDATE_DESCRIPTOR	= 10,
	XEN_MEMORY_OP		= 12,
	XEN_MULTICALL		= 13,
	XEN_UPDATE_VA_MAPPING	= 14,
	XEN_VERSION		= 17,
	XEN_CONSOLE_IO		= 18,
	XEN_GRANT_TABLE_OP	= 20,
	XEN_VM_ASSIST		= 21,
	XEN_IRET		= 23,
	XEN_VCPU_OP		= 24,
	XEN_SET_SEGMENT_BASE	= 25,
	XEN_MMUEXT_OP		= 26,
	XEN_SCHED_OP		= 29,
	XEN_CALLBACK_OP		= 30,
	XEN_EVENT_CHANNEL_OP	= 32,
	XEN_PHYSDEV_OP		= 33,
	XEN_CALLS		= GONDOLA_XEN_CALLS,
};

/* Errors; the guest gets them negated. */
#define XEN_EPERM	1
#define XEN_ENOENT	2
#define XEN_ESRCH	3
#define XEN_EFAULT	14
#define XEN_EEXIST	17
#define XEN_EINVAL	22
#define XEN_ENOSPC	28
#define XEN_ENOSYS	38
#define XEN_ETIME	62

#define XEN_DOMID_SELF	0x7ff0u
#define XEN_MAX_GRANTS	256u		/* frames of their table */
#define XEN_MAX_PINS	(1u << 19)	/* a kernel's tables for 511 GiB are half of it */
#define XEN_MAX_FRAMES	(1ull << 28)	/* 1 TiB */

/* The selectors that each guest finds in the monitor's part of its GDT. */
#define XEN_FLAT_CS32	0xe023u
#define XEN_FLAT_DS	0xe02bu
#define XEN_FLAT_CS64	0xe033u
#define XEN_GDT_PAGES	14u		/* the guest's part; the monitor's follows */
#define XEN_GDT_ENTRIES	(XEN_GDT_PAGES * 512)

/* ---- shared memory --------------------------------------------------------------------- */

/**
 * struct xen_vcpu_info - what a vCPU and its monitor share
 * @pending: an event is to be taken; the guest clears it before it looks
 * @mask: no event is taken: the guest's form of a clear IF
 * @selector: the words of struct xen_shared_info.pending to look at
 * @cr2: the address of the last page fault
 * @time: see struct xen_time
 */
struct xen_vcpu_info {
	u8 pending;
	u8 mask;
	u8 pad[6];
	u64 selector;
	u64 cr2;
	u64 pad2;
	u8 time[32];
};
static_assert(sizeof(struct xen_vcpu_info) == 64);

#define XEN_MAX_PORTS	4096u

/**
 * struct xen_shared_info - what all vCPUs share
 * @pending: a bit for each port; the monitor sets it
 * @port_mask: a bit for each port; the guest sets it to hear no event
 * @wc_version, @wc_sec, @wc_nsec, @wc_sec_high: the wall clock when the guest's time was 0
 */
struct xen_shared_info {
	struct xen_vcpu_info vcpu[32];
	u64 pending[XEN_MAX_PORTS / 64];
	u64 port_mask[XEN_MAX_PORTS / 64];
	u32 wc_version;
	u32 wc_sec;
	u32 wc_nsec;
	u32 wc_sec_high;
};
static_assert(offsetof(struct xen_shared_info, wc_version) == 3072);

/* ---- arguments ----------------------------------------------------------------------------- */

struct xen_trap {
	u8 vector;
	u8 flags;
	u16 cs;
	u32 pad;
	u64 address;
};
#define XEN_TRAP_DPL	3u		/* who may raise it by INT */
#define XEN_TRAP_MASK	4u		/* its handler begins with events masked */

struct xen_callback {
	u16 type;
	u16 flags;
	u32 pad;
	u64 address;
};
enum xen_callback_type { XEN_CALLBACK_EVENT, XEN_CALLBACK_FAILSAFE, XEN_CALLBACK_SYSCALL };
#define XEN_CALLBACK_REGISTER	0u
#define XEN_CALLBACK_MASK	1u	/* in flags: it begins with events masked */

struct xen_mmu_update {
	u64 ptr;			/* address of the entry; the low bits say what to do */
	u64 value;
};
enum xen_mmu_update_kind { XEN_MMU_NORMAL, XEN_MMU_MACHPHYS, XEN_MMU_KEEP_AD };

struct xen_mmuext {
	u32 op;
	u32 pad;
	u64 arg1;			/* a frame, or a linear address */
	u64 arg2;
};
enum xen_mmuext_op {
	XEN_PIN_L1, XEN_PIN_L2, XEN_PIN_L3, XEN_PIN_L4, XEN_UNPIN, XEN_NEW_BASE,
	XEN_FLUSH_LOCAL, XEN_INVLPG_LOCAL, XEN_FLUSH_MULTI, XEN_INVLPG_MULTI,
	XEN_FLUSH_ALL, XEN_INVLPG_ALL, XEN_FLUSH_CACHE, XEN_SET_LDT,
	XEN_NEW_USER_BASE = 15,
};

/* Flags of XEN_UPDATE_VA_MAPPING. */
#define XEN_UVM_FLUSH	1u
#define XEN_UVM_INVLPG	2u
#define XEN_UVM_KIND	3u

enum xen_segment_base { XEN_BASE_FS, XEN_BASE_GS_USER, XEN_BASE_GS_KERNEL, XEN_BASE_GS_SELECTOR };

struct xen_multicall {
	u64 call;
	s64 result;
	u64 arg[6];
};

/* The frame of XEN_IRET, at the guest's RSP. */
struct xen_iret {
	u64 rax;
	u64 r11;
	u64 rcx;
	u64 flags;
	u64 rip;
	u64 cs;
	u64 rflags;
	u64 rsp;
	u64 ss;
};
#define XEN_IRET_IN_SYSCALL	0x100u	/* RCX and R11 are those of SYSRET */

enum xen_vcpu_op {
	XEN_VCPU_INITIALISE, XEN_VCPU_UP, XEN_VCPU_DOWN, XEN_VCPU_IS_UP, XEN_VCPU_GET_RUNSTATE,
	XEN_VCPU_RUNSTATE_AREA, XEN_VCPU_SET_PERIODIC, XEN_VCPU_STOP_PERIODIC,
	XEN_VCPU_SET_ONE_SHOT, XEN_VCPU_STOP_ONE_SHOT, XEN_VCPU_INFO_PLACE,
};

/* The registers of a start; parts that mean nothing here are skipped. */
struct xen_vcpu_context {
	u8 fpu[512];
	u64 flags;
	u64 gpr[15];			/* R15 to R8, without RSP, as in struct cpu_user_regs */
	u64 entry;
	u64 rip;
	u64 cs;
	u64 rflags;
	u64 rsp;
	u64 data_segments[5];		/* SS, ES, DS, FS, GS */
	struct xen_trap traps[256];
	u64 ldt[2];
	u64 gdt_frames[16];
	u64 gdt_entries;
	u64 kernel_ss;
	u64 kernel_sp;
	u64 cr[8];
	u64 dr[8];
	u64 event_callback;
	u64 failsafe_callback;
	u64 syscall_callback;
	u64 vm_assist;
	u64 fs_base;
	u64 kernel_gs_base;
	u64 user_gs_base;
};
static_assert(offsetof(struct xen_vcpu_context, traps) == 720);
static_assert(sizeof(struct xen_vcpu_context) == 5168);
#define XEN_CONTEXT_IN_KERNEL	BIT_ULL(2)

struct xen_one_shot {
	u64 ns;				/* of the guest's time */
	u32 flags;
	u32 pad;
};
#define XEN_ONE_SHOT_FUTURE	1u	/* refuse a time that is past */

struct xen_info_place {
	u64 frame;
	u32 offset;
	u32 pad;
};

/* Of xen_runstate.since: the rest is being changed. */
#define XEN_RUNSTATE_CHANGES	BIT_ULL(63)

struct xen_runstate {
	u32 state;			/* 0: it runs */
	u32 pad;
	u64 since;
	u64 time[4];			/* running, runnable, blocked, offline */
};

enum xen_event_op {
	XEN_BIND_INTERDOMAIN, XEN_BIND_VIRQ, XEN_BIND_PIRQ, XEN_CLOSE, XEN_SEND, XEN_STATUS,
	XEN_ALLOC_UNBOUND, XEN_BIND_IPI, XEN_BIND_VCPU, XEN_UNMASK,
};
enum xen_port_status { XEN_PORT_CLOSED = 0, XEN_PORT_INTERDOMAIN = 2, XEN_PORT_VIRQ = 4, XEN_PORT_IPI };
#define XEN_VIRQ_TIMER	0u
#define XEN_VIRQS	24u

struct xen_alloc_unbound {
	u16 domain;
	u16 peer;			/* who may bind it */
	u32 port;			/* out */
};
#define XEN_DOMID_LAUNCHER	0u	/* whoever serves the guest is its domain 0 */

struct xen_bind_virq {
	u32 virq;
	u32 vcpu;
	u32 port;			/* out */
};

struct xen_bind_ipi {
	u32 vcpu;
	u32 port;			/* out */
};

struct xen_bind_vcpu {
	u32 port;
	u32 vcpu;
};

struct xen_port_state {
	u16 domain;
	u16 pad;
	u32 port;
	u32 status;			/* out, as the rest */
	u32 vcpu;
	u64 detail;
};

enum xen_sched_op { XEN_YIELD, XEN_BLOCK, XEN_SHUTDOWN, XEN_POLL };

struct xen_poll {
	u64 ports;
	u32 count;
	u32 pad;
	u64 ns;				/* of the guest's time; 0: no limit */
};
#define XEN_MAX_POLL	128u		/* ports */

enum xen_version_op {
	XEN_VERSION_NUMBER = 0, XEN_VERSION_EXTRA = 1, XEN_VERSION_CAPABILITIES = 3,
	XEN_VERSION_CHANGESET = 4, XEN_VERSION_PLATFORM = 5, XEN_VERSION_FEATURES = 6,
	XEN_VERSION_PAGE_SIZE = 7,
};

struct xen_features {
	u32 word;
	u32 bits;			/* out */
};
/* Of word 0: what the guest may rely on. */
#define XEN_FEATURE_TABLES_ABOVE_4G	BIT(4)
#define XEN_FEATURE_KEEP_AD		BIT(5)
#define XEN_FEATURE_GRANT_AVAIL_BITS	BIT(7)

enum xen_memory_op {
	XEN_MEMORY_MAX_RAM = 2, XEN_MEMORY_CURRENT = 3, XEN_MEMORY_MAXIMUM = 4,
	XEN_MEMORY_MAP = 9, XEN_MEMORY_M2P = 12,
};

struct xen_memory_map {
	u32 count;
	u32 pad;
	u64 entries;
};

struct xen_e820 {
	u64 from;
	u64 bytes;
	u32 type;
} __packed;

struct xen_m2p {
	u64 start;
	u64 end;
	u64 max_frame;
};

enum xen_grant_op { XEN_GRANT_SETUP = 2, XEN_GRANT_QUERY_SIZE = 6, XEN_GRANT_SET_VERSION = 8 };

/* Of an operation on grants, beside the call's own result. */
#define XEN_GRANT_OKAY		0
#define XEN_GRANT_BAD_DOMAIN	-2
#define XEN_GRANT_ERROR		-1

struct xen_grant_setup {
	u16 domain;
	u16 pad;
	u32 count;
	s16 status;			/* out */
	u16 pad2[3];
	u64 frames;			/* where their numbers are told */
};

struct xen_grant_query {
	u16 domain;
	u16 pad;
	u32 count;			/* out, as the rest */
	u32 max;
	s16 status;
	u16 pad2;
};

#define XEN_CONSOLE_WRITE	0u

#endif
