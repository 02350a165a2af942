/* SPDX-License-Identifier: GPL-2.0-only */
/* The host's sleep, in which the time-stamp counter may start anew. */
#ifndef GONDOLA_HOST_SLEEP_H
#define GONDOLA_HOST_SLEEP_H

#include <linux/types.h>

/** sleep_begin() - the last processor goes to sleep, at @tsc of its TSC and @ns of the clock */
void sleep_begin(u64 tsc, u64 ns);
/** sleep_end() - it wakes up; its TSC counts @khz thousand per second */
void sleep_end(u64 tsc, u64 ns, u32 khz);
/**
 * sleep_tsc_gain() - get the number to add to RDTSC, so that the sum goes on through all sleeps
 *
 * It changes while no user's thread runs, so a vCPU inside GONDOLA_RUN sees one value.
 */
u64 sleep_tsc_gain(void);

#endif
