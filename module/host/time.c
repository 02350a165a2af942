// SPDX-License-Identifier: GPL-2.0-only
#include <linux/sched.h>
#include <asm/msr.h>
#include <asm/tsc.h>
#include "vcpu.h"
#include "time.h"

u64 gondola_host_tsc(void)
{
	return rdtsc();
}

u64 gondola_host_run_delay(void)
{
	return current->sched_info.run_delay;
}

u32 gondola_host_tsc_khz(void)
{
	return tsc_khz ?: cpu_khz ?: 1;
}

u64 gondola_guest_tsc(struct gondola_vcpu *vcpu)
{
	const struct gondola_vm *vm = vcpu->vm;

	return (READ_ONCE(vm->held) ? vm->held_tsc : rdtsc()) + vcpu->tsc_offset;
}
