// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hypercalls, and the paravirtual clock as documented in Linux's
 * Documentation/virt/kvm/x86/msr.rst.
 *
 * The clock starts with the guest's TSC, and its rate is fixed.  So a record is written once, when
 * the guest asks for it, is the same on all vCPUs, and stays right when the guest is saved and
 * restored with its TSC.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/time64.h>
#include <uapi/linux/gondola_pv.h>
#include "irq/irq.h"
#include "mmu/mmu.h"
#include "internal.h"
#include "vcpu.h"

#define SYSTEM_TIME_ENABLE	BIT_ULL(0)
#define SYSTEM_TIME_FIXED	BIT_ULL(1)	/* reserved: the address is a multiple of 4 */
#define CLOCK_TSC_STABLE	BIT(0)

/* The layout is part of the interface; version is odd while the rest changes. */
struct time_info {
	u32 version;
	u32 pad0;
	u64 tsc_timestamp;
	u64 system_time;
	u32 tsc_to_system_mul;
	s8 tsc_shift;
	u8 flags;
	u8 pad[2];
};
static_assert(sizeof(struct time_info) == 32);

struct wall_clock {
	u32 version;
	u32 sec;
	u32 nsec;
};
static_assert(sizeof(struct wall_clock) == 12);

/* ns = ((tsc << shift) * mul) >> 32, with mul in its upper half for precision */
static void clock_scale(u32 khz, u32 *mul, s8 *shift)
{
	u64 hz = (u64)khz * 1000;
	u64 ns = NSEC_PER_SEC;

	*shift = 0;
	while (hz > NSEC_PER_SEC * 2) {
		hz >>= 1;
		(*shift)--;
	}
	while (hz <= NSEC_PER_SEC) {
		hz <<= 1;
		(*shift)++;
	}
	/* Now 1 < hz / 10^9 <= 2, so the quotient below fits. */
	*mul = (u32)div64_u64(ns << 32, hz);
}

u64 gondola_pv_clock_ns(struct gondola_vcpu *vcpu)
{
	u64 tsc = gondola_guest_tsc(vcpu);
	u32 mul;
	s8 shift;

	clock_scale(gondola_guest_tsc_khz(vcpu->vm), &mul, &shift);
	tsc = shift < 0 ? tsc >> -shift : tsc << shift;
	return mul_u64_u32_shr(tsc, mul, 32);
}

/* First make the version odd, in a write of its own. */
static int publish(struct gondola_vcpu *vcpu, gpa_t gpa, void *record, unsigned int bytes)
{
	u32 *version = record;
	int ret;

	vcpu->msrs.clock_version += 2;
	*version = vcpu->msrs.clock_version - 1;
	ret = gondola_gpa_write(vcpu, gpa, version, sizeof(*version));
	if (ret)
		return ret == -EAGAIN ? ret : -EINVAL;
	smp_wmb();	/* readers on other vCPUs: odd, then the rest, then even */
	ret = gondola_gpa_write(vcpu, gpa + sizeof(*version), record + sizeof(*version),
				bytes - sizeof(*version));
	smp_wmb();	/* likewise */
	*version = vcpu->msrs.clock_version;
	if (!ret)
		ret = gondola_gpa_write(vcpu, gpa, version, sizeof(*version));
	return ret && ret != -EAGAIN ? -EINVAL : ret;
}

int gondola_pv_write_time(struct gondola_vcpu *vcpu, gpa_t gpa)
{
	struct time_info info = { .flags = CLOCK_TSC_STABLE };

	clock_scale(gondola_guest_tsc_khz(vcpu->vm), &info.tsc_to_system_mul, &info.tsc_shift);
	return publish(vcpu, gpa, &info, sizeof(info));
}

static int set_system_time(struct gondola_vcpu *vcpu, u64 value)
{
	int err;

	if (value & SYSTEM_TIME_FIXED)
		return -EINVAL;
	if (value & SYSTEM_TIME_ENABLE) {
		err = gondola_pv_write_time(vcpu, value & ~SYSTEM_TIME_ENABLE);
		if (err)
			return err;
	}
	vcpu->msrs.system_time = value;
	return 0;
}

static int set_wall_clock(struct gondola_vcpu *vcpu, u64 value)
{
	struct wall_clock wall = {};
	u64 zero = ktime_get_real_ns() - gondola_pv_clock_ns(vcpu);
	u32 nsec;
	int err;

	wall.sec = (u32)div_u64_rem(zero, NSEC_PER_SEC, &nsec);
	wall.nsec = nsec;
	if (value & 3)
		return -EINVAL;
	err = publish(vcpu, value, &wall, sizeof(wall));
	if (err)
		return err;
	vcpu->msrs.wall_clock = value;
	return 0;
}

static u32 feature_of(u32 index)
{
	switch (index) {
	case GONDOLA_KVM_STEAL_TIME:
		return GONDOLA_KVM_STEAL;
	case GONDOLA_KVM_EOI:
		return GONDOLA_KVM_PV_EOI;
	default:
		return GONDOLA_KVM_CLOCKSOURCE2;
	}
}

int gondola_pv_get_msr(struct gondola_vcpu *vcpu, u32 index, u64 *value)
{
	if (!gondola_cpuid_has_pv(vcpu, feature_of(index)))
		return -EINVAL;
	switch (index) {
	case GONDOLA_KVM_SYSTEM_TIME:
		*value = vcpu->msrs.system_time;
		return 0;
	case GONDOLA_KVM_WALL_CLOCK:
		*value = vcpu->msrs.wall_clock;
		return 0;
	case GONDOLA_KVM_STEAL_TIME:
		*value = vcpu->msrs.steal_time;
		return 0;
	case GONDOLA_KVM_EOI:
		*value = vcpu->msrs.eoi;
		return 0;
	}
	return -EINVAL;
}

int gondola_pv_set_msr(struct gondola_vcpu *vcpu, u32 index, u64 value)
{
	if (!gondola_cpuid_has_pv(vcpu, feature_of(index)))
		return -EINVAL;
	switch (index) {
	case GONDOLA_KVM_SYSTEM_TIME:
		return set_system_time(vcpu, value);
	case GONDOLA_KVM_WALL_CLOCK:
		return set_wall_clock(vcpu, value);
	case GONDOLA_KVM_STEAL_TIME:
		return pv_set_steal_time(vcpu, value);
	case GONDOLA_KVM_EOI:
		return gondola_lapic_set_pv_eoi(vcpu, value);
	}
	return -EINVAL;
}

int gondola_pv_restore_msr(struct gondola_vcpu *vcpu, u32 index, u64 value)
{
	if (!gondola_cpuid_has_pv(vcpu, feature_of(index)))
		return -EINVAL;
	switch (index) {
	case GONDOLA_KVM_SYSTEM_TIME:
		if (value & SYSTEM_TIME_FIXED)
			return -EINVAL;
		vcpu->msrs.system_time = value;
		return 0;
	case GONDOLA_KVM_WALL_CLOCK:
		if (value & 3)
			return -EINVAL;
		vcpu->msrs.wall_clock = value;
		return 0;
	case GONDOLA_KVM_EOI:
		return gondola_lapic_restore_pv_eoi(vcpu, value);
	}
	return gondola_pv_set_msr(vcpu, index, value);
}

/* ---- hypercalls ------------------------------------------------------------------ */

struct call {
	u64 number;
	u64 arg[4];
};

static struct gondola_vcpu *by_apic_id(struct gondola_vcpu *vcpu, u64 id)
{
	return id < GONDOLA_MAX_VCPUS ? gondola_vcpu_by_id(vcpu->vm, id) : NULL;
}

static s64 kick_cpu(struct gondola_vcpu *vcpu, const struct call *call)
{
	struct gondola_vcpu *target = by_apic_id(vcpu, call->arg[1]);

	if (!target)
		return GONDOLA_HC_EINVAL;
	WRITE_ONCE(target->unhalted, true);
	gondola_request(target, GONDOLA_REQ_EVENT);
	gondola_vcpu_kick(target);
	return 0;
}

static s64 send_ipi(struct gondola_vcpu *vcpu, const struct call *call)
{
	bool wide = gondola_long_mode(vcpu);
	u64 whom[2] = { call->arg[0], call->arg[1] };
	int taken;

	if (!wide) {
		whom[0] |= whom[1] << 32;
		whom[1] = 0;
	}
	taken = gondola_lapic_send_ipis(vcpu, (unsigned long *)whom, 128, call->arg[2],
					call->arg[3]);
	return taken < 0 ? GONDOLA_HC_EINVAL : taken;
}

static s64 sched_yield_to(struct gondola_vcpu *vcpu, const struct call *call)
{
	struct gondola_vcpu *target = by_apic_id(vcpu, call->arg[0]);

	if (target && READ_ONCE(target->preempted))
		gondola_vcpu_yield_to(target);
	return 0;
}

static const struct {
	u32 number;
	u32 feature;
	s64 (*run)(struct gondola_vcpu *vcpu, const struct call *call);
} calls[] = {
	{ GONDOLA_HC_SEND_IPI, GONDOLA_KVM_PV_SEND_IPI, send_ipi },
	{ GONDOLA_HC_KICK_CPU, GONDOLA_KVM_PV_UNHALT, kick_cpu },
	{ GONDOLA_HC_SCHED_YIELD, GONDOLA_KVM_PV_SCHED_YIELD, sched_yield_to },
};

static s64 dispatch(struct gondola_vcpu *vcpu, const struct call *call)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(calls); i++)
		if (calls[i].number == call->number &&
		    gondola_cpuid_has_pv(vcpu, calls[i].feature))
			return calls[i].run(vcpu, call);
	return GONDOLA_HC_ENOSYS;
}

/* VMCALL or VMMCALL. */
int gondola_hypercall(struct gondola_vcpu *vcpu)
{
	static const u8 args[] = { R_RBX, R_RCX, R_RDX, R_RSI };
	u64 *gpr = vcpu->regs.gpr;
	bool wide = gondola_long_mode(vcpu);
	struct call call = { .number = wide ? gpr[R_RAX] : (u32)gpr[R_RAX] };
	s64 result = GONDOLA_HC_EPERM;
	int i;

	if (!gondola_cpuid_has_pv(vcpu, 0))
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(args); i++)
		call.arg[i] = wide ? gpr[args[i]] : (u32)gpr[args[i]];
	if (!vcpu->engine->cpl(vcpu))
		result = dispatch(vcpu, &call);
	gpr[R_RAX] = wide ? (u64)result : (u32)result;
	return 0;
}
