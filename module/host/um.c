// SPDX-License-Identifier: GPL-2.0-only
/* The host's processor and time in User Mode Linux, where a clock serves as TSC. */
#include <linux/ktime.h>
#include <linux/sched.h>
#include "cpu.h"
#include "time.h"

void gondola_host_cpuid(u32 function, u32 index, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx)
{
	*eax = *ebx = *ecx = *edx = 0;
}

u64 gondola_host_xcr0(void)
{
	return 0;
}

bool gondola_host_tsc_steady(void)
{
	return true;
}

bool gondola_host_tsc_invariant(void)
{
	return true;
}

u64 gondola_host_ns(void)
{
	return ktime_get_boottime_ns();
}

/* The time-stamp counter counts nanoseconds. */
u64 gondola_host_tsc(void)
{
	return ktime_get_ns();
}

u32 gondola_host_tsc_khz(void)
{
	return NSEC_PER_MSEC;
}

u64 gondola_host_run_delay(void)
{
	return 0;
}
