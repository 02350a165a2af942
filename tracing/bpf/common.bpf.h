/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by the BPF programs. */
#ifndef COMMON_BPF_H
#define COMMON_BPF_H

#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "common.h"
#include "events.h"

/* Filters: fixed before the program is loaded, so that what they exclude costs nothing. */
const volatile __u32 filter_vm;		/* 0: all */

/* Losses by their cause, shown with every report. */
struct losses lost;

static __always_inline void lose(__u64 *counter, __u64 by)
{
	__sync_fetch_and_add(counter, by);
}

static __always_inline bool filtered_out(__u32 vm)
{
	return filter_vm && vm != filter_vm;
}

static __always_inline unsigned int log2_slot(__u64 value)
{
	unsigned int slot = 0;

	if (value >> 32)
		return SLOTS - 1;
	if (value >> 16) {
		slot += 16;
		value >>= 16;
	}
	if (value >> 8) {
		slot += 8;
		value >>= 8;
	}
	if (value >> 4) {
		slot += 4;
		value >>= 4;
	}
	if (value >> 2) {
		slot += 2;
		value >>= 2;
	}
	return slot + (value >> 1 ? 1 : 0);
}

char LICENSE[] SEC("license") = "GPL";

#endif
