// SPDX-License-Identifier: GPL-2.0-only
#include <linux/ktime.h>
#include <linux/sched.h>
#include <asm/msr.h>
#include <asm/tsc.h>
#include "sleep.h"
#include "time.h"

u64 gondola_host_ns(void)
{
	return ktime_get_boottime_ns();
}

u64 gondola_host_tsc(void)
{
	return rdtsc() + sleep_tsc_gain();
}

u64 gondola_host_run_delay(void)
{
	return current->sched_info.run_delay;
}

u32 gondola_host_tsc_khz(void)
{
	return tsc_khz ?: cpu_khz ?: 1;
}
