// SPDX-License-Identifier: GPL-2.0-only
/*
 * Real mode where the engine has none: instructions are interpreted, events
 * delivered by hand through the interrupt vector table ("Real-Address Mode" in
 * the manual).
 */
#include "run.h"
#include "irq/irq.h"
#include "vcpu.h"
#include "host/vcpu_host.h"

#define SHADOW_INTERRUPT	3	/* STI, MOV SS */

static void pick_event(struct gondola_vcpu *vcpu)
{
	u32 shadow;
	int vector;

	if (!vcpu->nmi_pending && !((vcpu->regs.rflags & RFL_IF) && gondola_irq_pending(vcpu)))
		return;
	shadow = vcpu->engine->get_shadow(vcpu);
	if (vcpu->nmi_pending && !shadow) {
		vcpu->nmi_pending--;
		/* An interpreted IRET would not end their blocking: it is not begun. */
		vcpu->event = (struct gondola_event){ .kind = GONDOLA_EVENT_NMI, .vector = VEC_NMI };
	} else if ((vcpu->regs.rflags & RFL_IF) && !(shadow & SHADOW_INTERRUPT)) {
		/* Not yet, if the launcher must make the guest's bit present first. */
		if (unlikely(vcpu->eoi_offered))
			gondola_lapic_settle_eoi(vcpu);
		vector = gondola_irq_ack(vcpu);
		if (vector >= 0)
			vcpu->event = (struct gondola_event){
				.kind = GONDOLA_EVENT_INTERRUPT, .vector = vector,
			};
	}
}

/* 0, -EAGAIN, or -EINVAL: the vector or the stack cannot be used. */
static int deliver(struct gondola_vcpu *vcpu, const struct gondola_event *event)
{
	const struct gondola_engine_ops *engine = vcpu->engine;
	struct gondola_regs *regs = &vcpu->regs;
	struct gondola_segment cs, ss;
	struct gondola_dtable idt;
	u16 frame[3], target[2], sp;
	int err;

	engine->get_segment(vcpu, GONDOLA_CS, &cs);
	engine->get_segment(vcpu, GONDOLA_SS, &ss);
	engine->get_dtable(vcpu, true, &idt);
	if (event->vector * 4u + 3 > idt.limit)
		return -EINVAL;
	err = gondola_gpa_read(vcpu, (u32)(idt.base + event->vector * 4), target, sizeof(target));
	if (err)
		return err;
	frame[0] = regs->rip + (event->kind == GONDOLA_EVENT_SOFT_INTERRUPT ? event->insn_len : 0);
	frame[1] = cs.selector;
	frame[2] = regs->rflags;
	sp = regs->gpr[R_RSP] - sizeof(frame);
	err = gondola_gpa_write(vcpu, (u32)(ss.base + sp), frame, sizeof(frame));
	if (err)
		return err;
	regs->gpr[R_RSP] = (regs->gpr[R_RSP] & ~0xffffull) | sp;
	regs->rflags &= ~(RFL_IF | RFL_TF | RFL_AC | RFL_RF);
	cs.selector = target[1];
	cs.base = target[1] << 4;
	engine->set_segment(vcpu, GONDOLA_CS, &cs);
	regs->rip = target[0];
	gondola_count(vcpu, GONDOLA_COUNTER_INJECTED);
	return 0;
}

int gondola_real_mode_step(struct gondola_vcpu *vcpu)
{
	struct gondola_event event;
	int err;

	if (vcpu->event.kind == GONDOLA_EVENT_NONE)
		pick_event(vcpu);
	if (likely(vcpu->event.kind == GONDOLA_EVENT_NONE))
		return gondola_interpret(vcpu);
	event = vcpu->event;
	vcpu->event.kind = GONDOLA_EVENT_NONE;
	err = deliver(vcpu, &event);
	if (err == -EAGAIN) {
		vcpu->event = event;
		return err;
	}
	/* With no table there is no handler for the double fault either. */
	if (err)
		gondola_request(vcpu, GONDOLA_REQ_TRIPLE_FAULT);
	return GONDOLA_REENTER;
}
