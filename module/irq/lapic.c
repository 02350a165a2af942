// SPDX-License-Identifier: GPL-2.0-only
/*
 * The local APIC: its registers, in the xAPIC page or x2APIC's MSRs, and the questions of the run
 * loop before each entry.  Messages between APICs are in lapic_deliver.c, the timer in
 * lapic_timer.c, saved state in lapic_state.c.
 */
#include <linux/slab.h>
#include <linux/string.h>
#include "irqchip.h"
#include "lapic.h"

#define SPURIOUS_RESET	0xffu

void lapic_update_ppr(struct gondola_lapic *lapic)
{
	u8 isr_class = lapic->isr_top < 0 ? 0 : lapic->isr_top & 0xf0;

	WRITE_ONCE(lapic->ppr, (lapic->tpr & 0xf0) >= isr_class ? lapic->tpr : isr_class);
}

static bool extint_ready(const struct gondola_lapic *lapic)
{
	return lapic->extint && READ_ONCE(*lapic->extint);
}

static bool vector_ready(const struct gondola_lapic *lapic, int vector)
{
	return vector >= 0 && (vector & 0xf0) > (lapic->ppr & 0xf0);
}

static bool pending_slow(struct gondola_lapic *lapic)
{
	int vector = lapic_top_vector(lapic->irr);

	if (vector < 0 && !extint_ready(lapic)) {
		WRITE_ONCE(lapic->attention, false);
		/* A requester sets attention last, so look once more after clearing it. */
		smp_mb();
		vector = lapic_top_vector(lapic->irr);
		if (vector < 0 && !extint_ready(lapic))
			return false;
		WRITE_ONCE(lapic->attention, true);
	}
	return vector_ready(lapic, vector) ||
	       (extint_ready(lapic) && lapic_accepts_extint(lapic));
}

bool gondola_irq_pending(struct gondola_vcpu *vcpu)
{
	return unlikely(READ_ONCE(vcpu->lapic->attention)) && pending_slow(vcpu->lapic);
}

int gondola_irq_ack(struct gondola_vcpu *vcpu)
{
	struct gondola_lapic *lapic = vcpu->lapic;
	int vector;

	if (extint_ready(lapic) && lapic_accepts_extint(lapic)) {
		vector = pic_ack(vcpu->vm->irqchip, &lapic->acked_which);
		if (vector >= 0) {
			lapic->acked = ACKED_PIC;
			return vector;
		}
	}
	/*
	 * The guest would use the bit that was offered for the last interrupt for this one, whose
	 * EOI an I/O APIC may wait for.  The run loop withdraws the offer first.
	 */
	if (unlikely(vcpu->eoi_offered))
		return -1;
	vector = lapic_top_vector(lapic->irr);
	if (!vector_ready(lapic, vector))
		return -1;
	clear_bit(vector, lapic->irr);
	__set_bit(vector, lapic->isr);
	/* It was above PPR, so it is above TPR and all vectors in service. */
	lapic->isr_top = vector;
	WRITE_ONCE(lapic->ppr, vector & 0xf0);
	lapic->acked = ACKED_LAPIC;
	lapic->acked_which = vector;
	return vector;
}

bool gondola_irq_take_back(struct gondola_vcpu *vcpu)
{
	struct gondola_lapic *lapic = vcpu->lapic;

	switch (lapic->acked) {
	case ACKED_NOTHING:
		return false;
	case ACKED_PIC:
		pic_take_back(vcpu->vm->irqchip, lapic->acked_which);
		break;
	case ACKED_LAPIC:
		__clear_bit(lapic->acked_which, lapic->isr);
		lapic->isr_top = lapic_top_vector(lapic->isr);
		lapic_update_ppr(lapic);
		set_bit(lapic->acked_which, lapic->irr);
		break;
	}
	lapic->acked = ACKED_NOTHING;
	WRITE_ONCE(lapic->attention, true);
	return true;
}

void gondola_irq_forget_ack(struct gondola_vcpu *vcpu)
{
	vcpu->lapic->acked = ACKED_NOTHING;
}

void lapic_eoi(struct gondola_lapic *lapic)
{
	int vector = lapic->isr_top;

	if (vector < 0)
		return;
	__clear_bit(vector, lapic->isr);
	lapic->isr_top = lapic_top_vector(lapic->isr);
	lapic_update_ppr(lapic);
	if (test_bit(vector, lapic->tmr))
		ioapic_eoi(lapic->vcpu, vector);
}

static void lapic_set_tpr(struct gondola_lapic *lapic, u8 tpr)
{
	lapic->tpr = tpr;
	lapic_update_ppr(lapic);
}

u64 gondola_lapic_cr8(struct gondola_vcpu *vcpu)
{
	return vcpu->lapic->tpr >> 4;
}

void gondola_lapic_set_cr8(struct gondola_vcpu *vcpu, u64 cr8)
{
	lapic_set_tpr(vcpu->lapic, (cr8 & 0xf) << 4);
}

/* ---- registers ------------------------------------------------------------- */

u32 lapic_lvt_writable(const struct gondola_lapic *lapic, unsigned int i)
{
	switch (i) {
	case LVT_TIMER:
		return LVT_VECTOR | LVT_MASKED | LVT_TIMER_PERIODIC |
		       (lapic->offers_deadline ? LVT_TIMER_DEADLINE : 0);
	case LVT_LINT0:
	case LVT_LINT1:
		return LVT_VECTOR | LVT_MODE | LVT_POLARITY | LVT_LEVEL | LVT_MASKED;
	case LVT_ERROR:
		return LVT_VECTOR | LVT_MASKED;
	default:
		return LVT_VECTOR | LVT_MODE | LVT_MASKED;
	}
}

static void lapic_set_lvt(struct gondola_lapic *lapic, unsigned int i, u32 val)
{
	u32 old = lapic->lvt[i];

	val &= lapic_lvt_writable(lapic, i);
	if (!(lapic->svr & LAPIC_SVR_ENABLE))
		val |= LVT_MASKED;
	if (i == LVT_TIMER && val != old)
		lapic_timer_settle(lapic);
	WRITE_ONCE(lapic->lvt[i], val);
	if (i == LVT_TIMER && val != old)
		lapic_timer_lvt_changed(lapic, old);
}

static void lapic_set_svr(struct gondola_lapic *lapic, u32 val)
{
	unsigned int i;

	/* An APIC that is off takes no interrupt, not even one that is pending. */
	lapic_timer_settle(lapic);
	WRITE_ONCE(lapic->svr, val & LAPIC_SVR_WRITABLE);
	if (!(val & LAPIC_SVR_ENABLE))
		for (i = 0; i < NR_LVTS; i++)
			lapic_set_lvt(lapic, i, lapic->lvt[i] | LVT_MASKED);
}

static void lapic_send_ipi(struct gondola_lapic *lapic, u32 icr, u32 dest, bool wide)
{
	struct lapic_message msg = {
		.dest = dest,
		.wide = wide,
		.logical = icr & ICR_LOGICAL,
		.vector = icr & ICR_VECTOR,
		.mode = (icr & ICR_MODE) >> DELIVERY_SHIFT,
		.shorthand = (icr & ICR_SHORTHAND) >> ICR_SHORTHAND_SHIFT,
	};

	switch (msg.mode) {
	case DELIVER_FIXED:
	case DELIVER_LOWEST:
		if (msg.vector < 16) {
			lapic_error(lapic, LAPIC_ESR_SEND_VECTOR);
			return;
		}
		break;
	case DELIVER_INIT:
		/* Only the arbitration of old buses needed the de-assertion. */
		if ((icr & ICR_LEVEL) && !(icr & ICR_ASSERT))
			return;
		fallthrough;
	case DELIVER_NMI:
	case DELIVER_SIPI:
		/* "Valid Combinations": these cannot be sent to oneself by shorthand. */
		if (msg.shorthand == TO_SELF || msg.shorthand == TO_ALL)
			return;
		break;
	default:
		return;
	}
	lapic_deliver(lapic->vcpu->vm, &msg, lapic->vcpu);
}

static u32 bitmap_word(const unsigned long *map, u32 reg)
{
	u32 bit = (reg & 0x70) * 2;

	return READ_ONCE(map[bit / BITS_PER_LONG]) >> (bit % BITS_PER_LONG);
}

/* Long, since it is one switch: a case for each register. */
int lapic_read(struct gondola_lapic *lapic, u32 reg, bool x2apic, u64 *val)
{
	u32 id = lapic->vcpu->id;
	int err;

	err = lapic_settle_eoi(lapic->vcpu);
	if (err)
		return err;
	switch (reg) {
	case LAPIC_ID:
		*val = x2apic ? id : id << 24;
		break;
	case LAPIC_VERSION:
		*val = LAPIC_VERSION_VALUE;
		break;
	case LAPIC_TPR:
		*val = lapic->tpr;
		break;
	case LAPIC_PPR:
		*val = lapic->ppr;
		break;
	case LAPIC_LDR:
		*val = x2apic ? ((id >> 4) << 16) | BIT(id & 15) : lapic->ldr;
		break;
	case LAPIC_SVR:
		*val = lapic->svr;
		break;
	case LAPIC_ISR ... LAPIC_TMR - 1:
		*val = bitmap_word(lapic->isr, reg);
		break;
	case LAPIC_TMR ... LAPIC_IRR - 1:
		*val = bitmap_word(lapic->tmr, reg);
		break;
	case LAPIC_IRR ... LAPIC_IRR_END - 1:
		*val = bitmap_word(lapic->irr, reg);
		break;
	case LAPIC_ESR:
		*val = lapic->esr;
		break;
	case LAPIC_ICR:
		*val = lapic->icr | (x2apic ? (u64)lapic->icr2 << 32 : 0);
		break;
	case LAPIC_LVT ... LAPIC_LVT_LAST:
		*val = lapic->lvt[(reg - LAPIC_LVT) >> 4];
		break;
	case LAPIC_TMICT:
		*val = lapic->timer.initial;
		break;
	case LAPIC_TMCCT:
		*val = lapic_timer_count(lapic);
		break;
	case LAPIC_TDCR:
		*val = lapic->timer.divide;
		break;
	default:
		*val = 0;
		if (x2apic)
			return -EINVAL;
		if (reg == LAPIC_DFR)
			*val = lapic->dfr;
		else if (reg == LAPIC_ICR2)
			*val = lapic->icr2;
		else if (reg != LAPIC_EOI && reg != LAPIC_APR)
			return -EINVAL;
	}
	return 0;
}

/* The bits that WRMSR may set.  Other bits, and other registers, raise #GP. */
static bool x2apic_write_ok(const struct gondola_lapic *lapic, u32 reg, u64 val)
{
	switch (reg) {
	case LAPIC_TPR:
	case LAPIC_SELF_IPI:
		return val <= 0xff;
	case LAPIC_EOI:
	case LAPIC_ESR:
		return val == 0;
	case LAPIC_SVR:
		return !(val & ~(u64)LAPIC_SVR_WRITABLE);
	case LAPIC_ICR:
		return !(val & GENMASK_ULL(31, 0) & ~(u64)ICR_WRITABLE);
	case LAPIC_LVT ... LAPIC_LVT_LAST:
		return !(val & ~(u64)(lapic_lvt_writable(lapic, (reg - LAPIC_LVT) >> 4) |
				      LVT_STATUS | LVT_REMOTE_IRR));
	case LAPIC_TMICT:
		return !(val >> 32);
	case LAPIC_TDCR:
		return !(val & ~(u64)TDCR_WRITABLE);
	default:
		return false;
	}
}

/* Like lapic_read().  Read-only bits are ignored. */
static int lapic_write(struct gondola_lapic *lapic, u32 reg, u32 val)
{
	int err = lapic_settle_eoi(lapic->vcpu);

	if (err)
		return err;
	switch (reg) {
	case LAPIC_EOI:
		lapic_eoi(lapic);
		break;
	case LAPIC_TPR:
		lapic_set_tpr(lapic, val);
		break;
	case LAPIC_ICR:
		lapic->icr = val & ICR_WRITABLE;
		lapic_send_ipi(lapic, lapic->icr, lapic->icr2 >> 24, false);
		break;
	case LAPIC_ICR2:
		lapic->icr2 = val & 0xff000000;
		break;
	case LAPIC_TMICT:
		lapic_timer_set_initial(lapic, val);
		break;
	case LAPIC_TDCR:
		lapic_timer_set_divide(lapic, val & TDCR_WRITABLE);
		break;
	case LAPIC_LVT ... LAPIC_LVT_LAST:
		lapic_set_lvt(lapic, (reg - LAPIC_LVT) >> 4, val);
		break;
	case LAPIC_SVR:
		lapic_set_svr(lapic, val);
		break;
	case LAPIC_LDR:
		WRITE_ONCE(lapic->ldr, val & 0xff000000);
		break;
	case LAPIC_DFR:
		WRITE_ONCE(lapic->dfr, val | LAPIC_DFR_CLUSTER);
		break;
	case LAPIC_ESR:
		lapic->esr = xchg(&lapic->errors, 0);
		break;
	case LAPIC_ID:		/* read-only: it is the vCPU's id */
	case LAPIC_VERSION:
	case LAPIC_APR:
	case LAPIC_PPR:
	case LAPIC_ISR ... LAPIC_IRR_END - 1:
	case LAPIC_TMCCT:
		break;		/* read-only */
	default:
		return -EINVAL;
	}
	return 0;
}

int lapic_mmio(struct gondola_vcpu *vcpu, u32 offset, unsigned int bytes, bool write,
	       void *data)
{
	struct gondola_lapic *lapic = vcpu->lapic;
	u32 reg = offset & ~0xfu, byte = offset & 0xfu, word;
	u64 val = 0;
	int ret = 0;

	/*
	 * A register is the first word of its 16 bytes, and must be written as a whole.  An
	 * undefined access reads 0 or does nothing.
	 */
	if (write) {
		if (!byte && bytes >= sizeof(word)) {
			memcpy(&word, data, sizeof(word));
			ret = lapic_write(lapic, reg, word);
		}
	} else {
		if (byte < sizeof(word)) {
			ret = lapic_read(lapic, reg, false, &val);
			val >>= byte * 8;
		}
		memcpy(data, &val, bytes);
	}
	if (ret == -EINVAL)
		lapic_error(lapic, LAPIC_ESR_REGISTER);
	return ret == -EAGAIN ? ret : 0;
}

static int x2apic_write(struct gondola_lapic *lapic, u32 reg, u64 val)
{
	if (!x2apic_write_ok(lapic, reg, val))
		return -EINVAL;
	switch (reg) {
	case LAPIC_ICR:
		lapic->icr = val;
		lapic->icr2 = val >> 32;
		lapic_send_ipi(lapic, lapic->icr, lapic->icr2, true);
		return 0;
	case LAPIC_SELF_IPI:
		if (val < 16)
			lapic_error(lapic, LAPIC_ESR_SEND_VECTOR);
		else
			lapic_accept(lapic, val, false, false);
		return 0;
	default:
		return lapic_write(lapic, reg, val);
	}
}

/* ---- MSRs and the base ----------------------------------------------------- */

int gondola_lapic_get_msr(struct gondola_vcpu *vcpu, u32 index, u64 *value)
{
	struct gondola_lapic *lapic = vcpu->lapic;

	switch (index) {
	case MSRX_X2APIC ... MSRX_X2APIC_END:
		if (!lapic_x2apic(lapic))
			return -EINVAL;
		return lapic_read(lapic, (index - MSRX_X2APIC) << 4, true, value);
	case MSRX_TSC_DEADLINE:
		if (!lapic->offers_deadline)
			return -EINVAL;
		*value = lapic_timer_deadline(lapic);
		return 0;
	case MSRX_APIC_BASE:
		*value = lapic->base;
		return 0;
	default:
		return -ENOENT;
	}
}

static void lapic_reset(struct gondola_lapic *lapic)
{
	unsigned long flags;
	unsigned int i;

	/* The guest must clear its bit before it turns this on again. */
	lapic->vcpu->msrs.eoi = 0;
	lapic->vcpu->eoi_offered = false;
	spin_lock_irqsave(&lapic->lock, flags);
	bitmap_zero(lapic->irr, NR_VECTORS_LAPIC);
	bitmap_zero(lapic->tmr, NR_VECTORS_LAPIC);
	WRITE_ONCE(lapic->svr, SPURIOUS_RESET);
	WRITE_ONCE(lapic->errors, 0);
	spin_unlock_irqrestore(&lapic->lock, flags);
	bitmap_zero(lapic->isr, NR_VECTORS_LAPIC);
	lapic->isr_top = -1;
	lapic->acked = ACKED_NOTHING;
	lapic->tpr = 0;
	lapic_update_ppr(lapic);
	WRITE_ONCE(lapic->ldr, 0);
	WRITE_ONCE(lapic->dfr, LAPIC_DFR_FLAT);
	lapic->esr = 0;
	lapic->icr = 0;
	lapic->icr2 = 0;
	for (i = 0; i < NR_LVTS; i++)
		WRITE_ONCE(lapic->lvt[i], LVT_MASKED);
	lapic_timer_reset(lapic);
	WRITE_ONCE(lapic->attention, true);
}

static bool base_valid(const struct gondola_lapic *lapic, u64 base)
{
	unsigned int bits = lapic->vcpu->maxphyaddr ?: 36;
	u64 defined = APIC_BASE_BSP | APIC_BASE_ENABLE | GENMASK_ULL(bits - 1, 12);

	if (lapic->offers_x2apic)
		defined |= APIC_BASE_X2APIC;
	/* x2APIC needs the enable bit too. */
	return !(base & ~defined) && (!(base & APIC_BASE_X2APIC) || (base & APIC_BASE_ENABLE));
}

static void lapic_set_base(struct gondola_lapic *lapic, u64 base)
{
	/* The guest cannot choose the boot processor. */
	base = (base & ~APIC_BASE_BSP) | (lapic->vcpu->id ? 0 : APIC_BASE_BSP);
	WRITE_ONCE(lapic->base, base);
	if ((base & (APIC_BASE_ENABLE | APIC_BASE_X2APIC)) == APIC_BASE_ENABLE)
		lapic->mmio = base & GONDOLA_PAGE_MASK;
	else
		lapic->mmio = ~0ull;
	WRITE_ONCE(lapic->attention, true);
}

int gondola_lapic_restore_base(struct gondola_vcpu *vcpu, u64 base)
{
	if (!base_valid(vcpu->lapic, base))
		return -EINVAL;
	lapic_set_base(vcpu->lapic, base);
	return 0;
}

/* A guest may go disabled -> xAPIC -> x2APIC -> disabled ("x2APIC State Transitions"). */
static int lapic_write_base(struct gondola_lapic *lapic, u64 base)
{
	u64 old = lapic->base;

	if (!base_valid(lapic, base))
		return -EINVAL;
	if (!(old & APIC_BASE_ENABLE) && (base & APIC_BASE_X2APIC))
		return -EINVAL;
	if ((old & APIC_BASE_X2APIC) &&
	    (base & (APIC_BASE_ENABLE | APIC_BASE_X2APIC)) == APIC_BASE_ENABLE)
		return -EINVAL;
	lapic_set_base(lapic, base);
	if ((old & APIC_BASE_ENABLE) && !(base & APIC_BASE_ENABLE))
		lapic_reset(lapic);
	return 0;
}

int gondola_lapic_set_msr(struct gondola_vcpu *vcpu, u32 index, u64 value)
{
	struct gondola_lapic *lapic = vcpu->lapic;

	switch (index) {
	case MSRX_X2APIC ... MSRX_X2APIC_END:
		if (!lapic_x2apic(lapic))
			return -EINVAL;
		return x2apic_write(lapic, (index - MSRX_X2APIC) << 4, value);
	case MSRX_TSC_DEADLINE:
		if (!lapic->offers_deadline)
			return -EINVAL;
		lapic_timer_set_deadline(lapic, value);
		return 0;
	case MSRX_APIC_BASE:
		return lapic_write_base(lapic, value);
	default:
		return -ENOENT;
	}
}

void gondola_lapic_cpuid_changed(struct gondola_vcpu *vcpu, bool x2apic, bool tsc_deadline)
{
	vcpu->lapic->offers_x2apic = x2apic;
	vcpu->lapic->offers_deadline = tsc_deadline;
}

/* ---- life ------------------------------------------------------------------ */

/* With the lock held a start-up IPI finds the state before or after, nothing in between. */
static enum gondola_startup take_signal(struct gondola_lapic *lapic, u8 *vector)
{
	if (lapic->signals & BIT(SIGNAL_INIT)) {
		WRITE_ONCE(lapic->signals, lapic->signals & ~BIT(SIGNAL_INIT));
		WRITE_ONCE(lapic->waiting, lapic->vcpu->id != 0);
		return GONDOLA_STARTUP_INIT;
	}
	/* A start-up IPI counts only for a vCPU that waits. */
	WRITE_ONCE(lapic->signals, 0);
	if (!lapic->waiting)
		return GONDOLA_STARTUP_NONE;
	*vector = lapic->sipi_vector;
	WRITE_ONCE(lapic->waiting, false);
	return GONDOLA_STARTUP_SIPI;
}

enum gondola_startup gondola_lapic_take_startup(struct gondola_vcpu *vcpu, u8 *vector)
{
	struct gondola_lapic *lapic = vcpu->lapic;
	enum gondola_startup startup;
	unsigned long flags;

	if (likely(!READ_ONCE(lapic->signals)))
		return GONDOLA_STARTUP_NONE;
	spin_lock_irqsave(&lapic->lock, flags);
	startup = take_signal(lapic, vector);
	spin_unlock_irqrestore(&lapic->lock, flags);
	/* The mode (xAPIC, x2APIC) and the id survive INIT. */
	if (startup == GONDOLA_STARTUP_INIT)
		lapic_reset(lapic);
	return startup;
}

bool gondola_lapic_waiting(struct gondola_vcpu *vcpu)
{
	return READ_ONCE(vcpu->lapic->waiting);
}

int gondola_lapic_create(struct gondola_vcpu *vcpu)
{
	struct gondola_lapic *lapic = kzalloc(sizeof(*lapic), GFP_KERNEL_ACCOUNT);

	if (!lapic)
		return -ENOMEM;
	lapic->vcpu = vcpu;
	spin_lock_init(&lapic->lock);
	vcpu->lapic = lapic;
	lapic_timer_init(lapic);
	lapic_reset(lapic);
	lapic_set_base(lapic, LAPIC_DEFAULT_BASE | APIC_BASE_ENABLE);
	if (vcpu->id == 0) {
		/* The state that firmware leaves: virtual wire mode, the PIC at LINT0, NMI at LINT1. */
		lapic->extint = &vcpu->vm->irqchip->pic.output;
		lapic_set_svr(lapic, LAPIC_SVR_ENABLE | SPURIOUS_RESET);
		lapic_set_lvt(lapic, LVT_LINT0, DELIVER_EXTINT << DELIVERY_SHIFT);
		lapic_set_lvt(lapic, LVT_LINT1, DELIVER_NMI << DELIVERY_SHIFT);
	} else {
		lapic->waiting = true;
	}
	return 0;
}

void gondola_lapic_destroy(struct gondola_vcpu *vcpu)
{
	if (!vcpu->lapic)
		return;
	lapic_timer_destroy(vcpu->lapic);
	kfree(vcpu->lapic);
	vcpu->lapic = NULL;
}
