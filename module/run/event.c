// SPDX-License-Identifier: GPL-2.0-only
/* The next event of a vCPU: its choice, the queue of exceptions, and events that the guest did not take. */
#include "internal.h"
#include "irq/irq.h"
#include "trace.h"
#include "vcpu.h"

/* Bits of the engine's get_shadow(): STI, MOV SS. */
#define SHADOW_INTERRUPT	3u

/* Faults push RFLAGS with RF set, so that the restart meets no instruction breakpoint. */
#define VECTORS_NOT_FAULTS	(BIT(VEC_DB) | BIT(VEC_NMI) | BIT(VEC_BP) | BIT(VEC_OF) | \
				 BIT(VEC_DF) | BIT(VEC_MC))

/* ---- which comes next ------------------------------------------------------------- */

bool run_nmi_blocked(struct gondola_vcpu *vcpu)
{
	return vcpu->event.kind == GONDOLA_EVENT_NMI ||
	       vcpu->engine->get_shadow(vcpu) & GONDOLA_SHADOW_NMI;
}

static bool takes_interrupts(const struct gondola_vcpu *vcpu)
{
	return vcpu->regs.rflags & RFL_IF;
}

bool run_interrupt_wakes(struct gondola_vcpu *vcpu)
{
	/* It never takes one, and would not sleep either. */
	if (unlikely(vcpu->xen))
		return false;
	return takes_interrupts(vcpu) && gondola_irq_pending(vcpu);
}

/* An NMI goes before an interrupt. */
static noinline void pick(struct gondola_vcpu *vcpu, bool interrupt)
{
	u32 shadow = vcpu->engine->get_shadow(vcpu);
	int vector;

	if (vcpu->nmi_pending && !shadow) {
		vcpu->nmi_pending--;
		vcpu->event = (struct gondola_event) {
			.kind = GONDOLA_EVENT_NMI,
			.vector = VEC_NMI,
		};
	} else if (interrupt && takes_interrupts(vcpu) && !(shadow & SHADOW_INTERRUPT)) {
		vector = gondola_irq_ack(vcpu);
		if (vector >= 0)
			vcpu->event = (struct gondola_event) {
				.kind = GONDOLA_EVENT_INTERRUPT,
				.vector = vector,
			};
		gondola_lapic_offer_eoi(vcpu);
	}
}

bool run_pick_event(struct gondola_vcpu *vcpu)
{
	bool interrupt;

	/* It takes its events otherwise: gondola_xen_prepare(). */
	if (unlikely(vcpu->xen))
		return false;
	interrupt = gondola_irq_pending(vcpu);
	if (likely(!interrupt && !vcpu->nmi_pending) || vcpu->event.kind != GONDOLA_EVENT_NONE ||
	    !(vcpu->nmi_pending || takes_interrupts(vcpu)))
		return interrupt;
	pick(vcpu, interrupt);
	return gondola_irq_pending(vcpu);
}

void run_event_given(struct gondola_vcpu *vcpu)
{
	const struct gondola_event *event = &vcpu->event;

	trace_gondola_inject(vcpu->vm->id, vcpu->id, event->kind, event->vector, event->error);
	vcpu->event.kind = GONDOLA_EVENT_NONE;
	gondola_count(vcpu, GONDOLA_COUNTER_INJECTED);
}

/* ---- what was not taken, and what is queued ---------------------------------------- */

void run_interrupt_not_taken(struct gondola_vcpu *vcpu)
{
	if (unlikely(vcpu->event.kind == GONDOLA_EVENT_INTERRUPT) && gondola_irq_take_back(vcpu))
		vcpu->event.kind = GONDOLA_EVENT_NONE;
}

/* NMIs stay blocked until the fault's handler returns, so the NMI does not interrupt it. */
static void nmi_not_taken(struct gondola_vcpu *vcpu)
{
	const struct gondola_engine_ops *engine = vcpu->engine;

	vcpu->nmi_pending = gondola_nmi_latch(vcpu->nmi_pending, true);
	engine->set_shadow(vcpu, engine->get_shadow(vcpu) | GONDOLA_SHADOW_NMI);
	vcpu->event.kind = GONDOLA_EVENT_NONE;
}

void run_queue_event(struct gondola_vcpu *vcpu, const struct gondola_event *next)
{
	if (!(VECTORS_NOT_FAULTS & BIT(next->vector)))
		vcpu->regs.rflags |= RFL_RF;
	/* An NMI gives way to the fault, and is delivered after it. */
	if (unlikely(vcpu->event.kind == GONDOLA_EVENT_NMI))
		nmi_not_taken(vcpu);
	run_interrupt_not_taken(vcpu);
	gondola_event_merge(&vcpu->event, next);
	if (unlikely(vcpu->event.kind == GONDOLA_EVENT_TRIPLE_FAULT)) {
		vcpu->event.kind = GONDOLA_EVENT_NONE;
		gondola_request(vcpu, GONDOLA_REQ_TRIPLE_FAULT);
	}
}

void run_queue_exception(struct gondola_vcpu *vcpu, u8 vector, bool has_error, u32 error)
{
	run_queue_event(vcpu, &(struct gondola_event){
		.kind = GONDOLA_EVENT_EXCEPTION,
		.vector = vector,
		.has_error = has_error,
		.error = error,
	});
}

void run_queue_page_fault(struct gondola_vcpu *vcpu, gva_t gva, u32 error)
{
	gondola_count(vcpu, GONDOLA_COUNTER_GUEST_FAULTS);
	/* Do it already now, so that a state saved before the delivery is complete. */
	vcpu->cr2 = gva;
	run_queue_event(vcpu, &(struct gondola_event){
		.kind = GONDOLA_EVENT_EXCEPTION,
		.vector = VEC_PF,
		.has_error = true,
		.error = error,
		.cr2 = gva,
	});
}
