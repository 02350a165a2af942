/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The local APIC, private to the interrupt room.
 *
 * Only the vCPU's thread (or the holder of its mutex) writes the fields, except @irr, @tmr,
 * @errors, @signals, @sipi_vector, @waiting and @attention.  A sender reads the registers that
 * decide whether a message is for this APIC, and adds the message to these fields, under @lock.
 * The thread takes the lock to replace them (reset, saved state), and takes single vectors out of
 * @irr atomically without it.
 */
#ifndef GONDOLA_IRQ_LAPIC_H
#define GONDOLA_IRQ_LAPIC_H

#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include "vcpu.h"
#include "apic_regs.h"
#include "irq.h"
#include "timer.h"

#define NR_VECTORS_LAPIC	256

/*
 * The least period of a periodic LAPIC timer.  An expiry costs the vCPU's own thread a pass through
 * its run loop, and costs nobody else anything.
 */
#define LAPIC_MIN_PERIOD_NS	20000u

/* Bits of @signals: INIT and start-up IPIs that arrived. */
#define SIGNAL_INIT	0
#define SIGNAL_SIPI	1

/**
 * struct lapic_timer - the timer
 * @timer: fires at @expires (or when the TSC reaches @deadline), unless the LVT masks it
 * @initial: initial count
 * @divide: divide configuration, as written
 * @expires: time at which the count reaches zero; 0: it does not count
 * @deadline: guest TSC; 0: disarmed
 */
struct lapic_timer {
	struct irq_timer timer;
	u32 initial;
	u32 divide;
	u64 expires;
	u64 deadline;
};

enum lapic_acked { ACKED_NOTHING, ACKED_LAPIC, ACKED_PIC };

/**
 * struct gondola_lapic - a local APIC
 * @lock: held while a message arrives, and while a reset or saved state replaces what arrived
 * @attention: set after each request, cleared by the vCPU's thread when none is left;
 *	gondola_irq_pending() checks it first
 * @ppr: processor priority, derived from @tpr and @isr_top
 * @isr_top: highest vector in service, or -1
 * @acked, @acked_which: the last result of gondola_irq_ack(): a vector of this APIC or a line of
 *	the PIC
 * @extint: the PIC's output, if it is wired to LINT0; else NULL
 * @mmio: address of the xAPIC page; ~0 while there is none
 * @base: APIC_BASE MSR
 * @errors: collected since the last write of ESR
 * @waiting: after INIT, until a start-up IPI
 */
struct gondola_lapic {
	spinlock_t lock;
	bool attention;
	u8 ppr;
	u8 tpr;
	s16 isr_top;
	u8 acked;			/* enum lapic_acked */
	u8 acked_which;
	const bool *extint;
	struct gondola_vcpu *vcpu;
	u64 mmio;
	u64 base;
	DECLARE_BITMAP(irr, NR_VECTORS_LAPIC);
	DECLARE_BITMAP(tmr, NR_VECTORS_LAPIC);
	DECLARE_BITMAP(isr, NR_VECTORS_LAPIC);
	u32 svr;
	u32 ldr;
	u32 dfr;
	u32 esr;
	u32 icr;
	u32 icr2;
	u32 lvt[NR_LVTS];
	unsigned long errors;
	unsigned long signals;
	u8 sipi_vector;
	bool waiting;
	bool offers_x2apic;
	bool offers_deadline;
	struct lapic_timer timer;
};

/**
 * struct lapic_message - a message from the I/O APIC or an ICR to local APICs
 * @dest: APIC id, or logical destination
 * @wide: @dest has 32 bits (x2APIC); otherwise 8
 */
struct lapic_message {
	u32 dest;
	bool wide;
	bool logical;
	bool level;
	u8 vector;
	u8 mode;		/* enum apic_delivery */
	u8 shorthand;		/* enum apic_shorthand */
};

static inline bool lapic_enabled(const struct gondola_lapic *lapic)
{
	return READ_ONCE(lapic->base) & APIC_BASE_ENABLE;
}

static inline bool lapic_x2apic(const struct gondola_lapic *lapic)
{
	return READ_ONCE(lapic->base) & APIC_BASE_X2APIC;
}

static inline bool lapic_accepts_extint(const struct gondola_lapic *lapic)
{
	u32 lint0 = READ_ONCE(lapic->lvt[LVT_LINT0]);

	return !lapic_enabled(lapic) ||
	       (lint0 & (LVT_MASKED | LVT_MODE)) == DELIVER_EXTINT << DELIVERY_SHIFT;
}

/** lapic_top_vector() - highest vector of a bitmap, or -1 */
static inline int lapic_top_vector(const unsigned long *map)
{
	int i;

	for (i = BITS_TO_LONGS(NR_VECTORS_LAPIC) - 1; i >= 0; i--) {
		unsigned long word = READ_ONCE(map[i]);

		if (word)
			return i * BITS_PER_LONG + __fls(word);
	}
	return -1;
}

/* lapic.c */
/** lapic_mmio() - access the xAPIC page; 0, or -EAGAIN: memory is missing, nothing was done */
int lapic_mmio(struct gondola_vcpu *vcpu, u32 offset, unsigned int bytes, bool write,
	       void *data);
/**
 * lapic_read() - read a register, by its offset in the xAPIC page
 *
 * -EINVAL: this mode has no such register.  -EAGAIN: memory is missing.
 */
int lapic_read(struct gondola_lapic *lapic, u32 reg, bool x2apic, u64 *val);
u32 lapic_lvt_writable(const struct gondola_lapic *lapic, unsigned int i);
void lapic_update_ppr(struct gondola_lapic *lapic);
/** lapic_eoi() - end the highest vector in service */
void lapic_eoi(struct gondola_lapic *lapic);
/** lapic_error() - note an error and raise LVT_ERROR; any context */
void lapic_error(struct gondola_lapic *lapic, u32 error);

/* lapic_deliver.c; any context */
/**
 * lapic_accept() - request a vector
 * @kick: false if the vCPU's own thread calls, since it checks before it enters
 *
 * Returns false if the APIC is disabled, or the vector is illegal.
 */
bool lapic_accept(struct gondola_lapic *lapic, u8 vector, bool level, bool kick);
/**
 * lapic_deliver() - send a message
 * @from: the vCPU whose thread this is, or NULL
 *
 * Returns true if any APIC took it.
 */
bool lapic_deliver(struct gondola_vm *vm, const struct lapic_message *msg,
		   struct gondola_vcpu *from);
/** lapic_pic_raised() - the PIC's output went high */
void lapic_pic_raised(struct gondola_vm *vm);

/* lapic_timer.c; the vCPU's thread */
void lapic_timer_init(struct gondola_lapic *lapic);
void lapic_timer_destroy(struct gondola_lapic *lapic);
void lapic_timer_reset(struct gondola_lapic *lapic);
/**
 * lapic_timer_settle() - before a register changes: handle expiries up to now
 *
 * Returns the time that it used for now.
 */
u64 lapic_timer_settle(struct gondola_lapic *lapic);
/** lapic_timer_lvt_changed() - called after a write of the timer's LVT entry; @old: its old value */
void lapic_timer_lvt_changed(struct gondola_lapic *lapic, u32 old);
u32 lapic_timer_count(struct gondola_lapic *lapic);
void lapic_timer_set_initial(struct gondola_lapic *lapic, u32 count);
void lapic_timer_set_divide(struct gondola_lapic *lapic, u32 divide);
u64 lapic_timer_deadline(struct gondola_lapic *lapic);
void lapic_timer_set_deadline(struct gondola_lapic *lapic, u64 deadline);
/** lapic_timer_remaining() - ns until the count is zero; 0 only if it does not count */
u64 lapic_timer_remaining(struct gondola_lapic *lapic);
/** lapic_timer_restore() - set saved values and start */
void lapic_timer_restore(struct gondola_lapic *lapic, u32 initial, u32 divide, u64 deadline,
			 u64 remaining_ns);

/** lapic_settle_eoi() - collect a paravirtual EOI or withdraw the offer, so that registers are complete */
int lapic_settle_eoi(struct gondola_vcpu *vcpu);

/* lapic_state.c, for saved state: 0, or -EINVAL with the offset of the bad field in *@bad. */
int lapic_get(struct gondola_vcpu *vcpu, struct gondola_rec_lapic *rec);
int lapic_set(struct gondola_vcpu *vcpu, const struct gondola_rec_lapic *rec, u32 *bad);

#endif
