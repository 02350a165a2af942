/* SPDX-License-Identifier: GPL-2.0-only */
/* The maps' layout, for gondola-dirty and its BPF program. */
#ifndef GONDOLA_DIRTY_H
#define GONDOLA_DIRTY_H

#include <linux/gondola.h>

#include "common.h"

#define PAGE_BYTES	4096
#define SOURCES		3	/* enum gondola_dirty_source */
#define EPOCHS		64	/* rounds that are remembered for each page */

struct source_key {
	__u32 vm;
	__u32 source;
	__u32 vcpu;
	char device[GONDOLA_DEVICE_NAME_LEN];
};

struct round_key {
	__u32 vm;
	__u32 phase;
	__u32 round;
};

/**
 * struct round_count - what was dirtied in a round
 * @marked_ns: when the launcher marked it; 0: before we looked
 * @pages: by source
 */
struct round_count {
	__u64 marked_ns;
	__u64 first_ns;
	__u64 last_ns;
	__u64 pages[SOURCES];
};

struct writer_key {
	__u64 rip;
	__u32 vm;
	__u32 pad;
};

struct page_key {
	__u64 gfn;
	__u32 vm;
	__u32 pad;
};

/**
 * struct page_count - one page
 * @rounds: bit i: it was dirtied i rounds before @epoch
 * @epoch: when it was dirtied last, see struct vm_count
 */
struct page_count {
	__u64 rounds;
	__u32 epoch;
	__u32 count;
};

/* A cell of the heat map. */
struct heat_key {
	__u32 vm;
	__u32 column;
	__u64 row;
};

/**
 * struct vm_count - a VM
 * @count: as the last event told
 * @epoch: rounds so far: phase and round as one number without gaps
 * @different: pages
 */
struct vm_count {
	__u64 count;
	__u64 different;
	__u32 epoch;
	__u32 before_epoch;
	__u32 phase;
	__u32 round;
	__u32 before_phase;
	__u32 before_round;
};

#endif
