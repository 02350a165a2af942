/* SPDX-License-Identifier: GPL-2.0-only */
/* The host's clock and time-stamp counter; tests supply their own. */
#ifndef GONDOLA_HOST_TIME_H
#define GONDOLA_HOST_TIME_H

#include <linux/types.h>
#ifndef CONFIG_UML
#include <asm/msr.h>
#include <asm/tsc.h>
#endif

/** gondola_host_ns() - monotonic time; any context */
u64 gondola_host_ns(void);
u64 gondola_host_tsc(void);
/** gondola_host_ticks() - the same, without a call: for what happens at each exit */
static inline u64 gondola_host_ticks(void)
{
#ifdef CONFIG_UML
	return gondola_host_tsc();
#else
	return rdtsc();
#endif
}

/** gondola_host_run_delay() - ns that this thread waited for a processor, so far */
u64 gondola_host_run_delay(void);
/** gondola_host_tsc_khz() - its frequency, never 0 */
u32 gondola_host_tsc_khz(void);

#endif
