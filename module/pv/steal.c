// SPDX-License-Identifier: GPL-2.0-only
/*
 * Steal time, as documented in Linux's Documentation/virt/kvm/x86/msr.rst: the time for which a
 * vCPU could have run and did not, whether it runs now, and flushes that others requested
 * meanwhile.
 */
#include <linux/errno.h>
#include <uapi/linux/gondola_pv.h>
#include "host/time.h"
#include "mmu/mmu.h"
#include "internal.h"
#include "vcpu.h"

#define STEAL_ENABLE		BIT_ULL(0)
#define STEAL_RESERVED		GENMASK_ULL(5, 1)	/* the record is aligned to its size */
#define PREEMPTED		BIT(0)
#define FLUSH_TLB		BIT(1)

/* The layout is part of the interface; version is odd while the time changes. */
struct steal_time {
	u64 steal;
	u32 version;
	u32 flags;
	u8 preempted;
	u8 pad[47];
};
static_assert(sizeof(struct steal_time) == 64);

static gpa_t record_of(const struct gondola_vcpu *vcpu)
{
	return vcpu->msrs.steal_time & ~(STEAL_ENABLE | STEAL_RESERVED);
}

int pv_set_steal_time(struct gondola_vcpu *vcpu, u64 value)
{
	if (value & STEAL_RESERVED)
		return -EINVAL;
	vcpu->msrs.steal_time = value;
	if (value & STEAL_ENABLE) {
		vcpu->run_delay = gondola_host_run_delay();
		gondola_request(vcpu, GONDOLA_REQ_STEAL);
	}
	return 0;
}

void gondola_pv_descheduled(struct gondola_vcpu *vcpu)
{
	/*
	 * Set by OR, since a flush from an earlier absence may still be requested.  If it cannot be
	 * set now, other vCPUs take this one for running.
	 */
	gondola_gpa_try_or(vcpu->vm, record_of(vcpu) + offsetof(struct steal_time, preempted),
			   PREEMPTED);
	gondola_request(vcpu, GONDOLA_REQ_STEAL);
}

static void add_steal(struct gondola_vcpu *vcpu, u64 ns)
{
	gpa_t gpa = record_of(vcpu);
	struct steal_time record;
	u32 version;

	if (gondola_gpa_read(vcpu, gpa, &record, offsetof(struct steal_time, flags)))
		return;
	version = record.version | 1;
	record.steal += ns;
	gondola_gpa_write(vcpu, gpa + offsetof(struct steal_time, version), &version,
			  sizeof(version));
	gondola_gpa_write(vcpu, gpa, &record.steal, sizeof(record.steal));
	version++;
	gondola_gpa_write(vcpu, gpa + offsetof(struct steal_time, version), &version,
			  sizeof(version));
}

int gondola_pv_scheduled(struct gondola_vcpu *vcpu)
{
	gpa_t gpa = record_of(vcpu) + offsetof(struct steal_time, preempted);
	u64 now;
	u8 left;

	if (!(vcpu->msrs.steal_time & STEAL_ENABLE))
		return 0;
	/* Clear this first: no other vCPU may request a flush after pending ones are done. */
	switch (gondola_gpa_exchange(vcpu, gpa, 0, &left)) {
	case 0:
		if (left & FLUSH_TLB)
			gondola_mmu_flush_guest(vcpu);
		break;
	case -EAGAIN:
		gondola_request(vcpu, GONDOLA_REQ_STEAL);
		return -EAGAIN;
	}
	now = gondola_host_run_delay();
	/* If it is less, another thread runs the vCPU now, with an account of its own. */
	if (now > vcpu->run_delay)
		add_steal(vcpu, now - vcpu->run_delay);
	vcpu->run_delay = now;
	return 0;
}
