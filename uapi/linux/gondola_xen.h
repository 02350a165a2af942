/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * The ABI of VMs with GONDOLA_VM_XEN, whose guests are paravirtualized by Xen's interface.  The rules of
 * <linux/gondola.h> hold; its ioctls are there, too.
 */
#ifndef _UAPI_LINUX_GONDOLA_XEN_H
#define _UAPI_LINUX_GONDOLA_XEN_H

#include <linux/types.h>

/**
 * struct gondola_xen_config - GONDOLA_SET_XEN: memory of a VM with GONDOLA_VM_XEN, before it runs
 * @size: sizeof(struct gondola_xen_config)
 * @flags: must be 0
 * @pages: pages of memory that the guest is told
 * @frames: frame numbers end here; at most 1 TiB
 * @first_frame: the monitor's own pages begin here: the guest gets no table and no writable mapping
 *	there, but of @shared_info and @grants
 * @shared_info: frame of the page that all vCPUs share with the monitor
 * @table: frame of the third-level table for entry 256 of each root: the monitor's part of the
 *	address space, with the table from frames to pages at its beginning
 * @windows: frame of the first-level table of the vCPUs' GDTs: 16 entries each, of which the module
 *	writes 14
 * @empty: frame of a page of zeros, where a GDT has no page of the guest's
 * @console_port: event channel of the console, which leads to the launcher; 0: there is none
 * @store_port: likewise, of the store
 * @grants: first frame of the table in which the guest says what the launcher may use; the guest may
 *	write it
 * @nr_grants: how many frames it has, at most 256; 0: there is no such table
 * @pad: must be 0
 *
 * EBUSY: a vCPU has run; ENXIO: a VM without GONDOLA_VM_XEN; EINVAL: a number beyond its limit.
 */
struct gondola_xen_config {
	__u32 size;
	__u32 flags;
	__u64 pages;
	__u64 frames;
	__u64 first_frame;
	__u64 shared_info;
	__u64 table;
	__u64 windows;
	__u64 empty;
	__u32 console_port;
	__u32 store_port;
	__u64 grants;
	__u32 nr_grants;
	__u32 pad;
};

/**
 * struct gondola_xen_raise - GONDOLA_XEN_RAISE: raise an event channel of the launcher's
 * @size: sizeof(struct gondola_xen_raise)
 * @flags: must be 0
 * @port: as in struct gondola_xen_config
 * @pad: must be 0
 *
 * ENOENT: the guest has closed it.
 */
struct gondola_xen_raise {
	__u32 size;
	__u32 flags;
	__u32 port;
	__u32 pad;
};

#define GONDOLA_XEN_CALLS	64	/* no number is as large */

/**
 * struct gondola_xen_unknown - GONDOLA_XEN_UNKNOWN: hypercalls that were asked for in vain
 * @size: sizeof(struct gondola_xen_unknown)
 * @flags: must be 0
 * @count: out: by the hypercall's number: how often the guest was told that there is none, or none of
 *	this kind
 *
 * ENXIO: a VM without GONDOLA_VM_XEN.
 */
struct gondola_xen_unknown {
	__u32 size;
	__u32 flags;
	__u32 count[GONDOLA_XEN_CALLS];
};

/**
 * enum gondola_xen_exit - what a paravirtualized guest tells (the run page's @xen.op)
 * @GONDOLA_XEN_CONSOLE: words for the console: @xen.value bytes at GONDOLA_RUN_IO_OFFSET of the page
 * @GONDOLA_XEN_SHUTDOWN: it ends; @xen.value: enum gondola_xen_shutdown
 * @GONDOLA_XEN_EVENT: it has raised the launcher's port @xen.value
 */
enum gondola_xen_exit {
	GONDOLA_XEN_CONSOLE = 0,
	GONDOLA_XEN_SHUTDOWN = 1,
	GONDOLA_XEN_EVENT = 2,
};

/**
 * enum gondola_xen_shutdown - why a paravirtualized guest ends
 * @GONDOLA_XEN_POWEROFF: it has powered off
 * @GONDOLA_XEN_REBOOT: it wants to begin anew
 * @GONDOLA_XEN_SUSPEND: it has made itself ready to be suspended
 * @GONDOLA_XEN_CRASH: its kernel has failed
 */
enum gondola_xen_shutdown {
	GONDOLA_XEN_POWEROFF = 0,
	GONDOLA_XEN_REBOOT = 1,
	GONDOLA_XEN_SUSPEND = 2,
	GONDOLA_XEN_CRASH = 3,
};

/* ---- saved state ---------------------------------------------------------------------- */

/**
 * struct gondola_rec_xen - payload of GONDOLA_REC_XEN
 * @config: as it was set; a VM that has not run takes it from here, too
 * @started: 1: a vCPU has run
 * @pad: must be 0
 */
struct gondola_rec_xen {
	struct gondola_xen_config config;
	__u32 started;
	__u32 pad;
};

/**
 * struct gondola_xen_port - an open event channel, in GONDOLA_REC_XEN_PORTS
 * @port: its number
 * @status: as the guest is told it: 2: it leads to the launcher, 4: a virtual interrupt, 5: an IPI
 * @vcpu: which takes its events
 * @virq: the virtual interrupt; else 0
 * @pad: must be 0
 */
struct gondola_xen_port {
	__u16 port;
	__u8 status;
	__u8 vcpu;
	__u16 virq;
	__u16 pad;
};

/* Flags of struct gondola_rec_xen_vcpu. */
#define GONDOLA_XEN_UP		(1u << 0)	/* it may run */
#define GONDOLA_XEN_INITIALISED	(1u << 1)	/* it was told what it starts with */
#define GONDOLA_XEN_IN_KERNEL	(1u << 2)	/* the guest's kernel runs, not a program */
#define GONDOLA_XEN_USER_CHANGED (1u << 3)	/* @user_cr3 is new */
#define GONDOLA_XEN_UPCALL	(1u << 4)	/* an event may be pending in memory */
#define GONDOLA_XEN_WOKEN	(1u << 5)	/* an event came since it slept */
#define GONDOLA_XEN_RESULT_DUE	(1u << 6)	/* @result is to be written to memory */
#define GONDOLA_XEN_LEAVE	(1u << 7)	/* the launcher is to be told @leave_op and @leave_value */
#define GONDOLA_XEN_TIMER	(1u << 8)	/* the timer runs until @deadline */
#define GONDOLA_XEN_RUNSTATE	(1u << 9)	/* there is an area at @runstate */
#define GONDOLA_XEN_FLAGS	((1u << 10) - 1)

#define GONDOLA_XEN_CONTEXT_BYTES 5168

/**
 * struct gondola_rec_xen_vcpu - payload of GONDOLA_REC_XEN_VCPU
 * @traps: handlers by vector; 0: there is none
 * @callbacks: handlers of events, of failures, of system calls
 * @kernel_sp: the kernel's stack when a program is interrupted
 * @user_cr3: the root that is not in use: the program's in the kernel, and the other way round
 * @gdt: frames of the guest's part of the GDT
 * @info: address of its part of the page that it shares with the monitor
 * @raised: ports that were raised and are not in memory yet, a bit each
 * @deadline: of its timer, in ns of the guest's time
 * @runstate: guest-physical address of the area that says how long it ran, if GONDOLA_XEN_RUNSTATE
 * @runstate_rest: of the page with its last byte
 * @stolen: ns for which it waited for a processor
 * @call_rip: of the hypercall that is not complete
 * @result: of a call in a multicall
 * @trap_flags: for each of @traps: bits 0 and 1: privilege that INT needs; bit 2: events are masked
 * @callback_masks: a bit for each of @callbacks: events are masked
 * @flags: GONDOLA_XEN_UP …
 * @gdt_entries: descriptors in @gdt
 * @cursor: entries of the hypercall that are done
 * @nested: those of a call in a multicall
 * @leave_op: enum gondola_xen_exit
 * @leave_value: see there
 * @pad: must be 0
 */
struct gondola_rec_xen_vcpu {
	__u64 traps[256];
	__u64 callbacks[3];
	__u64 kernel_sp;
	__u64 user_cr3;
	__u64 gdt[14];
	__u64 info;
	__u64 raised[64];
	__u64 deadline;
	__u64 runstate;
	__u64 runstate_rest;
	__u64 stolen;
	__u64 call_rip;
	__u64 result;
	__u8 trap_flags[256];
	__u32 callback_masks;
	__u32 flags;
	__u32 gdt_entries;
	__u32 cursor;
	__u32 nested;
	__u32 leave_op;
	__u32 leave_value;
	__u32 pad;
};

#endif
