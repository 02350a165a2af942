// SPDX-License-Identifier: GPL-2.0-only
/* Messages to local APICs: addressing and delivery modes. */
#include <linux/bitops.h>
#include "irqchip.h"
#include "lapic.h"

/* The least valid vector of a message ("Valid Interrupt Vectors"). */
#define FIRST_LEGAL_VECTOR	16

static void wake(struct gondola_vcpu *vcpu, enum gondola_request req)
{
	gondola_request(vcpu, req);
	gondola_vcpu_kick(vcpu);
}

static bool accepts(const struct gondola_lapic *lapic)
{
	return (READ_ONCE(lapic->svr) & LAPIC_SVR_ENABLE) && lapic_enabled(lapic);
}

bool lapic_accept(struct gondola_lapic *lapic, u8 vector, bool level, bool kick)
{
	bool taken, was_requested = false;
	unsigned long flags;

	if (vector < FIRST_LEGAL_VECTOR) {
		if (accepts(lapic))
			lapic_error(lapic, LAPIC_ESR_RECV_VECTOR);
		return false;
	}
	spin_lock_irqsave(&lapic->lock, flags);
	taken = accepts(lapic);
	if (taken) {
		if (test_bit(vector, lapic->tmr) != level)
			change_bit(vector, lapic->tmr);
		was_requested = test_and_set_bit(vector, lapic->irr);
	}
	spin_unlock_irqrestore(&lapic->lock, flags);
	/* Only the thread that set the bit kicks. */
	if (!taken || was_requested)
		return taken;
	WRITE_ONCE(lapic->attention, true);
	if (kick)
		wake(lapic->vcpu, GONDOLA_REQ_EVENT);
	return true;
}

void lapic_error(struct gondola_lapic *lapic, u32 error)
{
	u32 lvt = READ_ONCE(lapic->lvt[LVT_ERROR]);

	/* Each kind of error interrupts once, until the guest reads ESR. */
	if (test_and_set_bit(__ffs(error), &lapic->errors) || (lvt & LVT_MASKED))
		return;
	if ((lvt & LVT_VECTOR) < FIRST_LEGAL_VECTOR)
		set_bit(__ffs(LAPIC_ESR_RECV_VECTOR), &lapic->errors);
	else
		lapic_accept(lapic, lvt & LVT_VECTOR, false, true);
}

/* INIT drops everything, including a start-up IPI that came before it. */
static void accept_init(struct gondola_lapic *lapic)
{
	unsigned long flags;

	spin_lock_irqsave(&lapic->lock, flags);
	WRITE_ONCE(lapic->signals, BIT(SIGNAL_INIT));
	spin_unlock_irqrestore(&lapic->lock, flags);
}

static bool accept_sipi(struct gondola_lapic *lapic, u8 vector)
{
	unsigned long flags;
	bool taken;

	spin_lock_irqsave(&lapic->lock, flags);
	taken = lapic->waiting || (lapic->signals & BIT(SIGNAL_INIT));
	if (taken) {
		lapic->sipi_vector = vector;
		WRITE_ONCE(lapic->signals, lapic->signals | BIT(SIGNAL_SIPI));
	}
	spin_unlock_irqrestore(&lapic->lock, flags);
	return taken;
}

static bool deliver_one(struct gondola_vcpu *vcpu, const struct lapic_message *msg,
			struct gondola_vcpu *from)
{
	struct gondola_lapic *lapic = vcpu->lapic;

	switch (msg->mode) {
	case DELIVER_FIXED:
	case DELIVER_LOWEST:
		return lapic_accept(lapic, msg->vector, msg->level, vcpu != from);
	case DELIVER_NMI:
		wake(vcpu, GONDOLA_REQ_NMI);
		return true;
	case DELIVER_INIT:
		accept_init(lapic);
		wake(vcpu, GONDOLA_REQ_EVENT);
		return true;
	case DELIVER_SIPI:
		if (!accept_sipi(lapic, msg->vector))
			return false;
		wake(vcpu, GONDOLA_REQ_EVENT);
		return true;
	default:	/* SMI: there is no SMM.  ExtINT: the PIC is wired to LINT0 only. */
		return false;
	}
}

static u32 x2apic_logical_id(u32 id)
{
	return ((id >> 4) << 16) | BIT(id & 15);
}

static bool logical_match(const struct gondola_lapic *lapic, const struct lapic_message *msg)
{
	u32 mine, dest = msg->dest;

	if (lapic_x2apic(lapic)) {
		mine = x2apic_logical_id(lapic->vcpu->id);
		return (mine >> 16) == (dest >> 16) && (mine & dest & 0xffff);
	}
	mine = READ_ONCE(lapic->ldr) >> 24;
	dest &= 0xff;
	if (READ_ONCE(lapic->dfr) == LAPIC_DFR_FLAT)
		return mine & dest;
	return (mine >> 4) == (dest >> 4) && (mine & dest & 0xf);
}

static bool is_broadcast(const struct lapic_message *msg)
{
	return msg->dest == (msg->wide ? 0xffffffffu : 0xffu);
}

static bool matches(struct gondola_vcpu *vcpu, const struct lapic_message *msg,
		    const struct gondola_vcpu *from)
{
	const struct gondola_lapic *lapic = vcpu->lapic;

	if (!lapic_enabled(lapic))
		return false;
	switch (msg->shorthand) {
	case TO_SELF:
		return vcpu == from;
	case TO_ALL:
		return true;
	case TO_OTHERS:
		return vcpu != from;
	}
	if (is_broadcast(msg))
		return true;
	return msg->logical ? logical_match(lapic, msg) : vcpu->id == msg->dest;
}

/* Lowest priority: the least PPR wins; equals take turns. */
static bool deliver_lowest(struct gondola_vm *vm, const struct lapic_message *msg,
			   struct gondola_vcpu *from)
{
	u32 start = READ_ONCE(vm->irqchip->last_lowest);
	struct gondola_vcpu *vcpu, *best = NULL;
	unsigned int i, id;

	for (i = 1; i <= GONDOLA_MAX_VCPUS; i++) {
		id = (start + i) % GONDOLA_MAX_VCPUS;
		vcpu = gondola_vcpu_by_id(vm, id);
		if (!vcpu || !matches(vcpu, msg, from) ||
		    !(READ_ONCE(vcpu->lapic->svr) & LAPIC_SVR_ENABLE))
			continue;
		if (!best || READ_ONCE(vcpu->lapic->ppr) < READ_ONCE(best->lapic->ppr))
			best = vcpu;
	}
	if (!best)
		return false;
	WRITE_ONCE(vm->irqchip->last_lowest, best->id);
	return deliver_one(best, msg, from);
}

bool lapic_deliver(struct gondola_vm *vm, const struct lapic_message *msg,
		   struct gondola_vcpu *from)
{
	struct gondola_vcpu *vcpu;
	bool taken = false;
	unsigned int i;

	if (msg->mode == DELIVER_LOWEST)
		return deliver_lowest(vm, msg, from);
	/* The common case needs no search: a vCPU's id is its APIC id. */
	if (msg->shorthand == TO_DEST && !msg->logical && !is_broadcast(msg)) {
		if (msg->dest >= GONDOLA_MAX_VCPUS)
			return false;
		vcpu = gondola_vcpu_by_id(vm, msg->dest);
		return vcpu && lapic_enabled(vcpu->lapic) && deliver_one(vcpu, msg, from);
	}
	gondola_for_each_vcpu(vcpu, vm, i) {
		if (matches(vcpu, msg, from))
			taken |= deliver_one(vcpu, msg, from);
	}
	return taken;
}

int gondola_lapic_send_ipis(struct gondola_vcpu *from, const unsigned long *whom,
			    unsigned int bits, u32 first, u32 icr)
{
	struct lapic_message msg = {
		.wide = true,
		.vector = icr & ICR_VECTOR,
		.mode = (icr & ICR_MODE) >> DELIVERY_SHIFT,
		.shorthand = TO_DEST,
	};
	unsigned int i;
	int taken = 0;

	if (msg.mode != DELIVER_NMI &&
	    (msg.mode != DELIVER_FIXED || msg.vector < FIRST_LEGAL_VECTOR))
		return -EINVAL;
	for_each_set_bit(i, whom, bits) {
		/* Stop behind the last id: no wrapping to the broadcast id. */
		if (first >= GONDOLA_MAX_VCPUS || i >= GONDOLA_MAX_VCPUS - first)
			break;
		msg.dest = first + i;
		taken += lapic_deliver(from->vm, &msg, from);
	}
	return taken;
}

void lapic_pic_raised(struct gondola_vm *vm)
{
	struct gondola_vcpu *vcpu = gondola_vcpu_by_id(vm, 0);
	struct gondola_lapic *lapic;
	u32 lint0;

	/* If vCPU 0 does not exist yet: it will start with attention set. */
	if (!vcpu)
		return;
	lapic = vcpu->lapic;
	WRITE_ONCE(lapic->attention, true);
	if (lapic_accepts_extint(lapic)) {
		wake(vcpu, GONDOLA_REQ_EVENT);
		return;
	}
	lint0 = READ_ONCE(lapic->lvt[LVT_LINT0]);
	if (lint0 & LVT_MASKED)
		return;
	switch ((lint0 & LVT_MODE) >> DELIVERY_SHIFT) {
	case DELIVER_FIXED:
		lapic_accept(lapic, lint0 & LVT_VECTOR, false, true);
		break;
	case DELIVER_NMI:
		wake(vcpu, GONDOLA_REQ_NMI);
		break;
	}
}
