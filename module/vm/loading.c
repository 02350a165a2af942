// SPDX-License-Identifier: GPL-2.0-only
/* Loading of vCPUs: a thread's engine state on its processor. */
#include <linux/preempt.h>
#include <linux/smp.h>
#include "host/run.h"
#include "host/vcpu_host.h"
#include "pv/pv.h"
#include "run/run.h"
#include "vcpu.h"

static void load_here(struct gondola_vcpu *vcpu, int cpu)
{
	WRITE_ONCE(vcpu->cpu, cpu);
	/* The engine is off only during a shutdown; then the run loop returns. */
	if (!gondola_engine_on(vcpu->engine))
		return;
	vcpu->engine->vcpu_load(vcpu, cpu);
	vcpu->host->loaded = true;
}

static void put_here(struct gondola_vcpu *vcpu)
{
	/* Do this even if the engine went off: the processor still holds the guest's MSRs. */
	if (vcpu->host->loaded)
		vcpu->engine->vcpu_put(vcpu);
	vcpu->host->loaded = false;
	WRITE_ONCE(vcpu->cpu, -1);
}

void gondola_vcpu_scheduled_in(struct gondola_vcpu *vcpu, int cpu)
{
	WRITE_ONCE(vcpu->preempted, false);
	load_here(vcpu, cpu);
}

void gondola_vcpu_scheduled_out(struct gondola_vcpu *vcpu, bool preempted)
{
	WRITE_ONCE(vcpu->preempted, preempted);
	if (gondola_pv_wants_steal(vcpu))
		gondola_pv_descheduled(vcpu);
	put_here(vcpu);
}

int gondola_vcpu_load(struct gondola_vcpu *vcpu)
{
	int err = gondola_host_begin();

	if (err)
		return err;
	preempt_disable();
	gondola_thread_attach(vcpu);
	load_here(vcpu, smp_processor_id());
	preempt_enable();
	return 0;
}

void gondola_vcpu_unload(struct gondola_vcpu *vcpu)
{
	preempt_disable();
	put_here(vcpu);
	gondola_thread_detach(vcpu);
	preempt_enable();
	gondola_host_end();
}
