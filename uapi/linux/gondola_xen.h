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

#endif
