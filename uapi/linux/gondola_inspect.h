/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * What a launcher can see of a VM's inside: the last exits, and the shadow tables.
 * It is a part of <linux/gondola.h>, whose rules hold here, too.
 */
#ifndef _UAPI_LINUX_GONDOLA_INSPECT_H
#define _UAPI_LINUX_GONDOLA_INSPECT_H

#include <linux/types.h>

/**
 * struct gondola_history_entry - one exit of a vCPU
 * @tsc: the host's time-stamp counter when it had left guest mode
 * @rip: where it left
 * @reason: enum gondola_reason
 * @hw_reason: the engine's raw code
 * @user_exit: enum gondola_user_exit: what GONDOLA_RUN returned for this exit; GONDOLA_EXIT_NONE: it
 *	did not return, since the module handled the exit
 * @error: the errno with which GONDOLA_RUN failed then, or 0
 */
struct gondola_history_entry {
	__u64 tsc;
	__u64 rip;
	__u32 reason;
	__u32 hw_reason;
	__u32 user_exit;
	__u32 error;
};

/**
 * struct gondola_history - GONDOLA_GET_HISTORY on a vCPU: its last exits
 * @size: sizeof(struct gondola_history)
 * @flags: must be 0
 * @count: in: room at @entries; out: how many were written, GONDOLA_HISTORY_LEN at most
 * @pad: must be 0
 * @total: out: how often the vCPU has left guest mode, which is the number of the last entry
 * @entries: address of an array of struct gondola_history_entry; the oldest comes first
 *
 * If there is room for fewer than there are, the newest are written.  The module always keeps the
 * history.  Saved state does not include it: where a VM is resumed, its history begins anew.
 */
struct gondola_history {
	__u32 size;
	__u32 flags;
	__u32 count;
	__u32 pad;
	__u64 total;
	__u64 entries;
};
#define GONDOLA_HISTORY_LEN	256

/**
 * struct gondola_shadow_level - one entry of the shadow tables
 * @level: 4 … 1: what the entry translates: 512 GiB, 1 GiB, 2 MiB, 4 KiB
 * @flags: GONDOLA_SHADOW_*
 * @gfn: page frame of the guest's table that this one shadows; of a DIRECT table: the first page
 *	frame that it maps; 0 for the four directory pointers outside long mode
 * @guest: the guest's entry, as it was when the shadow entry was made from it; 0: the shadow entry
 *	is empty, or the table is DIRECT
 * @entry: the shadow entry as the processor reads it, but 0 in place of the host's address; 0: the
 *	entry is empty
 */
struct gondola_shadow_level {
	__u32 level;
	__u32 flags;
	__u64 gfn;
	__u64 guest;
	__u64 entry;
};
#define GONDOLA_SHADOW_DIRECT	(1u << 0)	/* no table of the guest: paging is off, or a large page */
#define GONDOLA_SHADOW_UNSYNC	(1u << 1)	/* the guest may write its table unseen until it flushes */

/**
 * struct gondola_shadow - GONDOLA_GET_SHADOW on a vCPU: an address in its shadow tables
 * @size: sizeof(struct gondola_shadow)
 * @flags: must be 0
 * @gva: in: linear address
 * @gpa: in: a guest-physical address, whose page @page and @nr_* are about
 * @page: out: GONDOLA_PAGE_*; 0: no slot has this address
 * @nr_mappings: out: how many shadow entries map that page
 * @nr_tables: out: how many shadow tables were made from guest tables in that page
 * @nr_unsync: out: how many of these are out of sync
 * @root: out: GONDOLA_ROOT_*
 * @nr_levels: out: entries in @level; 0: the vCPU has no shadow tables now
 * @level: out: the entries on the way of @gva, the root's first.  The last one is of level 1 or empty.
 *
 * Nothing is changed: no entry is made or brought up to date.
 */
struct gondola_shadow {
	__u32 size;
	__u32 flags;
	__u64 gva;
	__u64 gpa;
	__u32 page;
	__u32 nr_mappings;
	__u32 nr_tables;
	__u32 nr_unsync;
	__u32 root;
	__u32 nr_levels;
	struct gondola_shadow_level level[4];
};
#define GONDOLA_PAGE_MEMORY	(1u << 0)	/* a slot has it */
#define GONDOLA_PAGE_PRESENT	(1u << 1)	/* the module has it from the launcher's memory */
#define GONDOLA_PAGE_WRITABLE	(1u << 2)	/* … and may write it */
#define GONDOLA_PAGE_READONLY	(1u << 3)	/* its slot is GONDOLA_MEM_READONLY */
#define GONDOLA_PAGE_CLEAN	(1u << 4)	/* dirty logging has to see the next write */
#define GONDOLA_ROOT_STALE	(1u << 0)	/* it is synced, or replaced, before the vCPU next runs */

/**
 * enum gondola_shadow_format - what shadow tables are made from
 * @GONDOLA_SHADOW_NO_TABLE: no table of the guest: paging is off, or a large page is cut into small ones
 * @GONDOLA_SHADOW_TWO_LEVELS: tables of 32-bit entries
 * @GONDOLA_SHADOW_PAE: 64-bit entries, outside long mode
 * @GONDOLA_SHADOW_LONG_MODE: 64-bit entries, in long mode
 * @GONDOLA_SHADOW_FORMATS: how many there are
 */
enum gondola_shadow_format {
	GONDOLA_SHADOW_NO_TABLE,
	GONDOLA_SHADOW_TWO_LEVELS,
	GONDOLA_SHADOW_PAE,
	GONDOLA_SHADOW_LONG_MODE,
	GONDOLA_SHADOW_FORMATS
};

/**
 * struct gondola_shadow_kind - the shadow tables of one level and one format
 * @tables: how many there are
 * @unsync: how many of them are out of sync
 * @roots: how many of them some vCPU may return to without a search
 * @pad: 0
 * @entries: their entries that are not empty
 */
struct gondola_shadow_kind {
	__u32 tables;
	__u32 unsync;
	__u32 roots;
	__u32 pad;
	__u64 entries;
};
#define GONDOLA_SHADOW_LEVELS	4
#define GONDOLA_SHADOW_LENGTHS	11

/**
 * struct gondola_shadows - GONDOLA_GET_SHADOWS on a VM: its shadow tables, counted
 * @size: sizeof(struct gondola_shadows)
 * @flags: must be 0
 * @max_tables: out: the bound that GONDOLA_CREATE_VM set
 * @pad: must be 0
 * @kind: out: by level - 1, and enum gondola_shadow_format
 * @mapped: out: pages of the guest's memory that are present, by how many entries map them: none,
 *	one, two, up to 4, 8, ..., 512
 * @table_bytes: out: the host's memory for these tables
 * @rmap_bytes: out: for finding the entries that map a page, beyond the first
 * @frame_bytes: out: for what is known of each page of the guest's memory
 *
 * The directory pointers outside long mode, which each vCPU has, are not counted.  While vCPUs run the
 * figures are not of one moment.
 */
struct gondola_shadows {
	__u32 size;
	__u32 flags;
	__u32 max_tables;
	__u32 pad;
	struct gondola_shadow_kind kind[GONDOLA_SHADOW_LEVELS][GONDOLA_SHADOW_FORMATS];
	__u64 mapped[GONDOLA_SHADOW_LENGTHS];
	__u64 table_bytes;
	__u64 rmap_bytes;
	__u64 frame_bytes;
};

#endif
