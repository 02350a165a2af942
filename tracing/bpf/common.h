/* SPDX-License-Identifier: GPL-2.0-only */
/* The layout that BPF programs and their tools agree on. */
#ifndef COMMON_H
#define COMMON_H

#include <linux/types.h>

#define SLOTS	32	/* of a histogram: slot i counts 2^i to 2^(i+1) - 1 ns, the last all above */

/**
 * struct losses - what a program saw and could not count, or did not see
 * @events: tracepoints that did not reach it, by the gaps in their counts
 * @room: events of a vCPU, page or round for which its table had no room
 * @addresses: events whose guest address had no room; they are in the other counts
 * @ring: events that the ring buffer had no room for; they are in the other counts
 */
struct losses {
	__u64 events;
	__u64 room;
	__u64 addresses;
	__u64 ring;
};

#endif
