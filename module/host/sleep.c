// SPDX-License-Identifier: GPL-2.0-only
/*
 * While the host sleeps the time-stamp counters of most processors start anew, and others go on.
 * The host's clock tells how long it slept, and guests see a TSC that went on for this time.
 */
#include <linux/compiler.h>
#include <linux/math64.h>
#include <linux/time64.h>
#include "sleep.h"

static u64 gain, went_tsc, went_ns;

void sleep_begin(u64 tsc, u64 ns)
{
	went_tsc = tsc;
	went_ns = ns;
}

void sleep_end(u64 tsc, u64 ns, u32 khz)
{
	u64 slept = mul_u64_u64_div_u64(ns - went_ns, khz, NSEC_PER_MSEC);

	WRITE_ONCE(gain, gain + went_tsc + slept - tsc);
}

u64 sleep_tsc_gain(void)
{
	return READ_ONCE(gain);
}
