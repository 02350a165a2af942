// SPDX-License-Identifier: GPL-2.0-only
/* The local APIC's saved state. */
#include <linux/bitmap.h>
#include <linux/string.h>
#include "lapic.h"

#define REC_REG(rec, reg)	((rec)->regs[(reg) >> 4])

static void save_bitmap(const unsigned long *map, struct gondola_rec_lapic *rec, u32 reg)
{
	u32 words[NR_VECTORS_LAPIC / 32];
	unsigned int i;

	bitmap_to_arr32(words, map, NR_VECTORS_LAPIC);
	for (i = 0; i < ARRAY_SIZE(words); i++)
		REC_REG(rec, reg + i * 16) = words[i];
}

/* Fields that other threads set are read at one moment. */
static void get_arrived(struct gondola_lapic *lapic, struct gondola_rec_lapic *rec)
{
	unsigned long flags;

	spin_lock_irqsave(&lapic->lock, flags);
	save_bitmap(lapic->tmr, rec, LAPIC_TMR);
	save_bitmap(lapic->irr, rec, LAPIC_IRR);
	rec->startup = lapic->sipi_vector << 8;
	if (lapic->signals & BIT(SIGNAL_INIT))
		rec->startup |= GONDOLA_LAPIC_INIT;
	if (lapic->signals & BIT(SIGNAL_SIPI))
		rec->startup |= GONDOLA_LAPIC_SIPI;
	if (lapic->waiting)
		rec->startup |= GONDOLA_LAPIC_WAITING;
	rec->errors = READ_ONCE(lapic->errors);
	spin_unlock_irqrestore(&lapic->lock, flags);
}

int lapic_get(struct gondola_vcpu *vcpu, struct gondola_rec_lapic *rec)
{
	struct gondola_lapic *lapic = vcpu->lapic;
	bool x2apic = lapic_x2apic(lapic);
	u32 reg;
	u64 val;
	int err;

	err = lapic_settle_eoi(vcpu);
	if (err)
		return err;
	memset(rec, 0, sizeof(*rec));
	/* Do this first: it may turn an expiry into a request. */
	rec->timer_remaining_ns = lapic_timer_remaining(lapic);
	rec->tsc_deadline = lapic_timer_deadline(lapic);
	for (reg = 0; reg < ARRAY_SIZE(rec->regs) * 16; reg += 16)
		if (!lapic_read(lapic, reg, x2apic, &val))
			REC_REG(rec, reg) = val;
	/* Some registers that must be saved cannot be read in every mode. */
	REC_REG(rec, LAPIC_DFR) = lapic->dfr;
	REC_REG(rec, LAPIC_ICR2) = lapic->icr2;
	get_arrived(lapic, rec);
	return 0;
}

static bool rec_reg_valid(const struct gondola_lapic *lapic, u32 reg, u32 val)
{
	u32 id = lapic->vcpu->id;

	switch (reg) {
	case LAPIC_ID:
		return val == id || val == id << 24;
	case LAPIC_VERSION:
		return val == LAPIC_VERSION_VALUE;
	case LAPIC_TPR:
	case LAPIC_PPR:
	case LAPIC_ESR:
		return val <= 0xff;
	case LAPIC_DFR:
		return (val & LAPIC_DFR_CLUSTER) == LAPIC_DFR_CLUSTER;
	case LAPIC_SVR:
		return !(val & ~LAPIC_SVR_WRITABLE);
	case LAPIC_ISR:
	case LAPIC_TMR:
	case LAPIC_IRR:
		return !(val & 0xffff);		/* no legal vectors */
	case LAPIC_ICR:
		return !(val & ~ICR_WRITABLE);
	case LAPIC_LVT ... LAPIC_LVT_LAST:
		/* CPUID may not be set yet; the timer's mode is checked when it is. */
		return !(val & ~(lapic_lvt_writable(lapic, (reg - LAPIC_LVT) >> 4) |
				 (reg == LAPIC_LVT ? LVT_TIMER_DEADLINE : 0)));
	case LAPIC_TDCR:
		return !(val & ~TDCR_WRITABLE);
	case LAPIC_LDR:
	case LAPIC_ICR2:
	case LAPIC_TMICT:
	case LAPIC_TMCCT:
	case LAPIC_ISR + 16 ... LAPIC_TMR - 1:
	case LAPIC_TMR + 16 ... LAPIC_IRR - 1:
	case LAPIC_IRR + 16 ... LAPIC_IRR_END - 1:
		return true;
	default:
		return !val;
	}
}

static void restore_bitmap(unsigned long *map, const struct gondola_rec_lapic *rec, u32 reg)
{
	u32 words[NR_VECTORS_LAPIC / 32];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		words[i] = REC_REG(rec, reg + i * 16);
	bitmap_from_arr32(map, words, NR_VECTORS_LAPIC);
}

/* An interrupt that arrives meanwhile is either replaced as well or requested afterwards. */
static void set_arrived(struct gondola_lapic *lapic, const struct gondola_rec_lapic *rec)
{
	unsigned long flags;

	spin_lock_irqsave(&lapic->lock, flags);
	WRITE_ONCE(lapic->svr, REC_REG(rec, LAPIC_SVR));
	WRITE_ONCE(lapic->errors, rec->errors);
	restore_bitmap(lapic->tmr, rec, LAPIC_TMR);
	restore_bitmap(lapic->irr, rec, LAPIC_IRR);
	lapic->sipi_vector = rec->startup >> 8;
	WRITE_ONCE(lapic->signals, (rec->startup & GONDOLA_LAPIC_INIT ? BIT(SIGNAL_INIT) : 0) |
		   (rec->startup & GONDOLA_LAPIC_SIPI ? BIT(SIGNAL_SIPI) : 0));
	WRITE_ONCE(lapic->waiting, !!(rec->startup & GONDOLA_LAPIC_WAITING));
	spin_unlock_irqrestore(&lapic->lock, flags);
}

int lapic_set(struct gondola_vcpu *vcpu, const struct gondola_rec_lapic *rec, u32 *bad)
{
	struct gondola_lapic *lapic = vcpu->lapic;
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(rec->regs); i++) {
		*bad = offsetof(struct gondola_rec_lapic, regs) + i * sizeof(rec->regs[0]);
		if (!rec_reg_valid(lapic, i << 4, rec->regs[i]))
			return -EINVAL;
	}
	/* The longest period has the largest count and divisor. */
	*bad = offsetof(struct gondola_rec_lapic, timer_remaining_ns);
	if (rec->timer_remaining_ns > (u64)U32_MAX << 7)
		return -EINVAL;
	*bad = offsetof(struct gondola_rec_lapic, startup);
	if (rec->startup & ~(GONDOLA_LAPIC_INIT | GONDOLA_LAPIC_SIPI | GONDOLA_LAPIC_WAITING |
			     GONDOLA_LAPIC_SIPI_VECTOR))
		return -EINVAL;
	*bad = offsetof(struct gondola_rec_lapic, errors);
	if (rec->errors > 0xff)
		return -EINVAL;

	/* Forget the offer: a saved bit must not count as an EOI of another interrupt. */
	err = lapic_settle_eoi(vcpu);
	if (err)
		return err;
	set_arrived(lapic, rec);
	WRITE_ONCE(lapic->ldr, REC_REG(rec, LAPIC_LDR) & 0xff000000);
	WRITE_ONCE(lapic->dfr, REC_REG(rec, LAPIC_DFR));
	lapic->esr = REC_REG(rec, LAPIC_ESR);
	lapic->icr = REC_REG(rec, LAPIC_ICR);
	lapic->icr2 = REC_REG(rec, LAPIC_ICR2);
	for (i = 0; i < NR_LVTS; i++) {
		u32 disabled = lapic->svr & LAPIC_SVR_ENABLE ? 0 : LVT_MASKED;

		WRITE_ONCE(lapic->lvt[i], REC_REG(rec, LAPIC_LVT + i * 16) | disabled);
	}
	restore_bitmap(lapic->isr, rec, LAPIC_ISR);
	lapic->isr_top = lapic_top_vector(lapic->isr);
	lapic->acked = ACKED_NOTHING;
	lapic->tpr = REC_REG(rec, LAPIC_TPR);
	lapic_update_ppr(lapic);
	lapic_timer_restore(lapic, REC_REG(rec, LAPIC_TMICT), REC_REG(rec, LAPIC_TDCR),
			    rec->tsc_deadline, rec->timer_remaining_ns);
	WRITE_ONCE(lapic->attention, true);
	gondola_request(vcpu, GONDOLA_REQ_EVENT);
	return 0;
}

GONDOLA_VCPU_RECORD(lapic, LAPIC);
