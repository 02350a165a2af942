// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guests whose 64-bit user code runs in ring 3 of the processor.  All else is the interpreter's,
 * which also has all registers between two stays.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include "host/compat.h"
#include "stay.h"
#include "preflight.h"

static u32 engine_probe(char *detail)
{
	struct ring3_facts facts;

	ring3_find_facts(&facts);
	return ring3_verdict(&facts, detail);
}

static int engine_setup(void)
{
	ring3_stay_setup();
	return 0;
}

static int engine_vcpu_create(struct gondola_vcpu *vcpu)
{
	struct ring3_vcpu *r3 = kvzalloc(sizeof(*r3), GFP_KERNEL_ACCOUNT);
	int err = -ENOMEM;

	if (!r3)
		return -ENOMEM;
	r3->root = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!r3->root)
		goto free;
	err = ring3_area_create(&r3->area);
	if (err)
		goto free_root;
	ring3_root_link(&r3->area, r3->root);
	interp_vcpu_init(&r3->ip, vcpu);
	r3->ip.stop_at_user = true;
	return 0;
free_root:
	free_page((unsigned long)r3->root);
free:
	kvfree(r3);
	return err;
}

static struct ring3_vcpu *to_ring3(const struct gondola_vcpu *vcpu)
{
	return container_of(vcpu->engine_data, struct ring3_vcpu, ip);
}

static void engine_vcpu_destroy(struct gondola_vcpu *vcpu)
{
	struct ring3_vcpu *r3 = to_ring3(vcpu);

	ring3_area_destroy(&r3->area);
	free_page((unsigned long)r3->root);
	kvfree(r3);
	vcpu->engine_data = NULL;
}

static void engine_vcpu_load(struct gondola_vcpu *vcpu, int cpu)
{
	/* Another guest may have trained the branch predictors here. */
	gondola_host_ibpb();
}

static void engine_vcpu_put(struct gondola_vcpu *vcpu)
{
	ring3_put(&to_ring3(vcpu)->area);
}

/*
 * An instruction that faulted in ring 3, and that the interpreter does not know: it faults.  In the
 * upper half, which ring 3 has not, the guest's tables are asked.
 */
static void raise_unknown(struct ring3_vcpu *r3, const struct gondola_event *fault)
{
	struct interp_vcpu *ip = &r3->ip;

	switch (fault->vector) {
	case VEC_PF:
		ring3_leave_page_fault(r3, fault->error);
		break;
	case VEC_UD:
	case VEC_NM:
	case VEC_NP:
	case VEC_SS:
	case VEC_GP:
	case VEC_AC:
		interp_leave(ip, GONDOLA_REASON_EXCEPTION);
		ip->exit.exception.vector = fault->vector;
		ip->exit.exception.has_error = fault->has_error;
		ip->exit.exception.error = fault->error;
		ip->exit.exception.dr6 = 0;
	}
}

static void engine_enter(struct gondola_vcpu *vcpu)
{
	struct ring3_vcpu *r3 = to_ring3(vcpu);
	struct interp_vcpu *ip = &r3->ip;
	unsigned int left = INTERP_CHUNK;

	interp_find_mode(ip);
	ip->exit = (struct gondola_exit){ .reason = GONDOLA_REASON_COUNT };
	do {
		struct gondola_event fault = { .vector = 0 };
		enum ring3_next next = ring3_stay(r3, &fault);

		if (next == RING3_LEAVE)
			break;
		if (next == RING3_INTERPRET) {
			left = interp_run(ip, left);
		} else {
			interp_run(ip, 1);
			if (unlikely(ip->exit.reason == GONDOLA_REASON_INTERPRET))
				raise_unknown(r3, &fault);
		}
	} while (ip->exit.reason == GONDOLA_REASON_COUNT && left && --left);
	if (ip->exit.reason == GONDOLA_REASON_COUNT)
		ip->exit.reason = GONDOLA_REASON_HOST_INTERRUPT;
}

/* The GDT is read by no instruction, so the guest must not see a fault of that. */
static void engine_decode(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	struct ring3_vcpu *r3 = to_ring3(vcpu);
	struct gondola_access access;

	interp_vcpu_decode(vcpu, exit);
	if (likely(!r3->gdt_wanted))
		return;
	r3->gdt_wanted = false;
	switch (gondola_mmu_fault(vcpu, exit->pf.gva, exit->pf.error, &access)) {
	case GONDOLA_ACCESS_OK:
		break;
	case GONDOLA_ACCESS_MEMORY:
		/* The run loop faults once more, and asks the launcher. */
		return;
	default:
		r3->gdt_absent = true;
	}
	exit->reason = GONDOLA_REASON_HOST_INTERRUPT;
}

const struct gondola_engine_ops gondola_ring3_ops = {
	.id = GONDOLA_ENGINE_RING3,
	.name = "ring3",
	.caps = GONDOLA_ENGINE_ASKED_FOR,
	.probe = engine_probe,
	.setup = engine_setup,
	.cpuid = interp_processor_cpuid,
	.vcpu_create = engine_vcpu_create,
	.vcpu_destroy = engine_vcpu_destroy,
	.vcpu_load = engine_vcpu_load,
	.vcpu_put = engine_vcpu_put,
	.enter = engine_enter,
	.decode = engine_decode,
	.inject = interp_vcpu_inject,
	.cancel_injection = interp_vcpu_cancel_injection,
	.get_shadow = interp_vcpu_get_shadow,
	.set_shadow = interp_vcpu_set_shadow,
	.open_window = interp_vcpu_open_window,
	.get_segment = interp_vcpu_get_segment,
	.set_segment = interp_vcpu_set_segment,
	.cpl = interp_vcpu_get_cpl,
	.get_dtable = interp_vcpu_get_dtable,
	.set_dtable = interp_vcpu_set_dtable,
	.update_control = interp_vcpu_update_control,
	.set_dr7 = interp_vcpu_set_dr7,
	.set_debug = interp_vcpu_set_debug,
	.set_tsc_offset = interp_vcpu_set_tsc_offset,
	.get_msr = interp_vcpu_get_msr,
	.set_msr = interp_vcpu_set_msr,
	.flush_tlb = interp_vcpu_flush_tlb,
	.flush_gva = interp_vcpu_flush_gva,
};
