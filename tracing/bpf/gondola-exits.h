/* SPDX-License-Identifier: GPL-2.0-only */
/* The maps' layout, for gondola-exits and its BPF program. */
#ifndef GONDOLA_EXITS_H
#define GONDOLA_EXITS_H

#include "common.h"

/* A kind of exit: a reason, or what came of a page fault. */
#define MAX_REASONS	48
#define FAULT_RESULTS	6
#define KINDS		(MAX_REASONS + FAULT_RESULTS)

/**
 * struct cell - one kind of exit on one vCPU
 * @count: exits
 * @timed: those of which the next entry was seen too; the times are theirs
 * @total_ns: from exits to the next entries
 * @max_ns: the longest since @epoch began
 * @user: how often the launcher was asked
 * @user_ns: of @total_ns, since the launcher was asked
 * @epoch: number of the report for which @max_ns is meant
 * @slots: histogram of times
 */
struct cell {
	__u64 count;
	__u64 timed;
	__u64 total_ns;
	__u64 max_ns;
	__u64 user;
	__u64 user_ns;
	__u32 epoch;
	__u32 pad;
	__u64 slots[SLOTS];
};

struct cells {
	struct cell kind[KINDS];
};

/* Hypercalls of a paravirtualized guest on one vCPU, by number. */
#define CALLS	64

struct calls {
	__u64 count[CALLS];
};

struct vcpu_key {
	__u32 vm;
	__u32 vcpu;
};

/* @phase is 0 unless phases are told apart. */
struct index_key {
	__u32 vm;
	__u32 vcpu;
	__u32 phase;
};

struct rip_key {
	__u64 rip;
	__u32 vm;
	__u32 reason;
};

struct rip_count {
	__u64 count;
	__u64 total_ns;
};

/* One exit that took long. */
struct slow_exit {
	__u64 end_ns;
	__u64 ns;
	__u64 user_ns;
	__u64 rip;
	__u32 vm;
	__u32 vcpu;
	__u32 reason;
	__u32 fault;		/* result + 1, or 0 */
};

#endif
