/* SPDX-License-Identifier: GPL-2.0-only */
/* The host's clock and time-stamp counter; tests supply their own. */
#ifndef GONDOLA_HOST_TIME_H
#define GONDOLA_HOST_TIME_H

#include <linux/types.h>
#ifndef CONFIG_UML
#include <asm/msr.h>
#include <asm/tsc.h>
#endif

/** gondola_host_ns() - get the monotonic time, which goes on while the host sleeps; any context */
u64 gondola_host_ns(void);
/** gondola_host_tsc() - get the TSC, corrected so that it goes on while the host sleeps */
u64 gondola_host_tsc(void);
/** gondola_host_ticks() - get the TSC as it is; inline, for use at each exit */
static inline u64 gondola_host_ticks(void)
{
#ifdef CONFIG_UML
	return gondola_host_tsc();
#else
	return rdtsc();
#endif
}

/** gondola_host_run_delay() - get the ns for which this thread has waited for a processor */
u64 gondola_host_run_delay(void);
/** gondola_host_tsc_khz() - get the TSC's frequency, never 0 */
u32 gondola_host_tsc_khz(void);

#endif
