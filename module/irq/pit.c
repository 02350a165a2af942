// SPDX-License-Identifier: GPL-2.0-only
/*
 * The 8254 and port 0x61.  Counters are computed from the clock when they are read; only the output
 * of channel 0, which drives line 0, needs a timer.  An access reads the clock once, and first
 * brings all channels up to that time.
 */
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/time64.h>
#include "irqchip.h"

#define PIT_HZ			1193182u
/* The least period of channel 0: its timer runs on the host's time, not the vCPU's. */
#define PIT_MIN_PERIOD_NS	100000u
#define REFRESH_NS		15085u
#define SPEAKER_WRITABLE	0x0f
#define SPEAKER_GATE		0x01
#define NOT_STARTED		(~0ull)

static struct gondola_vm *pit_vm(struct pit *pit)
{
	return container_of(pit, struct gondola_irqchip, pit)->vm;
}

static u64 now_ns(struct pit *pit)
{
	return gondola_vm_clock_ns(pit_vm(pit));
}

static u64 ticks(u64 ns)
{
	return mul_u64_u64_div_u64(ns, PIT_HZ, NSEC_PER_SEC);
}

/* Round up, so that ticks() returns @n. */
static u64 ticks_to_ns(u64 n)
{
	return mul_u64_u64_div_u64(n, NSEC_PER_SEC, PIT_HZ) + 1;
}

/* Modes 1 and 5 start with a rising gate, the others with the count. */
static bool by_gate(const struct pit_channel *c)
{
	return c->mode == 1 || c->mode == 5;
}

static bool periodic(const struct pit_channel *c)
{
	return c->mode == 2 || c->mode == 3;
}

static u16 to_bcd(u32 n)
{
	return n % 10 | n / 10 % 10 << 4 | n / 100 % 10 << 8 | n / 1000 % 10 << 12;
}

static u32 from_bcd(u16 n)
{
	return (n & 15) + (n >> 4 & 15) * 10 + (n >> 8 & 15) * 100 + (n >> 12) * 1000;
}

static void load(struct pit_channel *c, u16 val)
{
	c->count = c->bcd ? from_bcd(val) : val;
	if (!c->count)
		c->count = c->bcd ? 10000 : 0x10000;
	c->null_count = false;
	c->pending = false;
}

/* Mode 3: the counts for which the output is high, in each period. */
static u32 high_half(const struct pit_channel *c)
{
	return (c->count + 1) / 2;
}

/* The time for which it has counted, or NOT_STARTED. */
static u64 elapsed(const struct pit_channel *c, u64 now)
{
	if (c->null_count || (by_gate(c) && !c->triggered))
		return NOT_STARTED;
	if (c->gate || by_gate(c))
		return now - c->start;
	return periodic(c) ? NOT_STARTED : c->held;
}

static bool output(const struct pit_channel *c, u64 now)
{
	u64 ns = elapsed(c, now), d;

	if (ns == NOT_STARTED)
		return c->mode != 0;
	d = ticks(ns);
	switch (c->mode) {
	case 0:
	case 1:
		return d >= c->count;
	case 2:
		return d % c->count != c->count - 1;
	case 3:
		return d % c->count < high_half(c);
	default:
		return d != c->count;
	}
}

/* The value of the counter. */
static u16 current_count(const struct pit_channel *c, u64 now)
{
	u64 ns = elapsed(c, now), d;
	u32 wrap = c->bcd ? 10000 : 0x10000, n;

	if (c->null_count)
		return 0;
	d = ns == NOT_STARTED ? 0 : ticks(ns);
	switch (c->mode) {
	case 2:
		n = c->count - d % c->count;
		break;
	case 3:		/* counts down by two, and twice in a period */
		n = c->count - (2 * (d % c->count)) % c->count;
		break;
	default:	/* goes on below zero */
		n = (c->count + wrap - d % wrap) % wrap;
	}
	n %= wrap;
	return c->bcd ? to_bcd(n) : n;
}

/* ---- counts that wait ("Mode Definitions") ---------------------------------- */

/* Mode 2 takes up a count when its period ends, mode 3 when a half of it does, 1 and 5 by the gate. */
static void wait_with(struct pit_channel *c, u16 val, u64 now)
{
	u64 ns = elapsed(c, now), d, in_period;
	u32 until;

	c->pending = true;
	c->next = val;
	c->next_tick = NOT_STARTED;
	if (!periodic(c) || ns == NOT_STARTED)
		return;
	d = ticks(ns);
	in_period = d % c->count;
	until = c->mode == 3 && in_period < high_half(c) ? high_half(c) : c->count;
	c->next_tick = d - in_period + until;
}

/* Bring a channel to the time @now: a count whose time has come is taken up. */
static void catch_up(struct pit_channel *c, u64 now)
{
	u64 ns = elapsed(c, now);
	bool half;

	if (!c->pending || ns == NOT_STARTED || ticks(ns) < c->next_tick)
		return;
	half = c->next_tick % c->count;
	c->start = min(now, c->start + ticks_to_ns(c->next_tick));
	load(c, c->next);
	/* Then the second half begins, and it is the new count's. */
	if (half)
		c->start -= ticks_to_ns(high_half(c));
}

/* ---- channel 0's line ------------------------------------------------------- */

/* The time of the next rise of channel 0's output; 0: never.  Its gate is always high. */
static u64 next_rise(const struct pit *pit, u64 now)
{
	struct pit_channel c = pit->channel[0];
	u64 d;

	if (elapsed(&c, now) == NOT_STARTED)
		return 0;
	/* The half before the rise may be a new count's.  At its middle no rise is missed. */
	if (c.pending && periodic(&c) && c.next_tick % c.count) {
		now = c.start + ticks_to_ns(c.next_tick);
		catch_up(&c, now);
	}
	d = ticks(now - c.start);
	if (periodic(&c))
		return c.start + ticks_to_ns((div_u64(d, c.count) + 1) * c.count);
	return d < c.count ? c.start + ticks_to_ns(c.count) : 0;
}

/* @now is the caller's time, so that no edge after it is lost. */
static void pit_schedule(struct pit *pit, u64 now, u64 not_before)
{
	u64 due = next_rise(pit, now);

	lockdep_assert_held(&pit->lock);
	pit->due = due ? max(due, not_before) : 0;
	if (pit->due)
		irq_timer_start_vm(pit_vm(pit), &pit->timer, pit->due);
	else
		irq_timer_stop(&pit->timer);
}

static void pit_stop(struct pit *pit)
{
	pit->due = 0;
	irq_timer_stop(&pit->timer);
}

/* Handle what is due at @now, even if the timer has not fired yet. */
static void pit_settle(struct pit *pit, u64 now)
{
	unsigned int i;

	for (i = 0; i < 3; i++)
		catch_up(&pit->channel[i], now);
	if (!pit->due || now < pit->due)
		return;
	/* The line falls between two rises; the time of the fall does not matter. */
	gondola_irq_set_line(pit_vm(pit), 0, GONDOLA_IRQ_PIT, false);
	gondola_irq_set_line(pit_vm(pit), 0, GONDOLA_IRQ_PIT, true);
	pit_schedule(pit, now, now + PIT_MIN_PERIOD_NS);
}

/* Hardirq context. */
static void pit_fired(struct irq_timer *timer)
{
	struct pit *pit = container_of(timer, struct pit, timer);
	unsigned long flags;

	spin_lock_irqsave(&pit->lock, flags);
	pit_settle(pit, now_ns(pit));
	spin_unlock_irqrestore(&pit->lock, flags);
}

/* ---- ports ------------------------------------------------------------------- */

static void pit_load(struct pit *pit, struct pit_channel *c, u16 val, u64 now)
{
	if (by_gate(c) || (periodic(c) && !c->null_count)) {
		wait_with(c, val, now);
	} else {
		load(c, val);
		c->start = now;
		c->held = 0;
	}
	if (c == &pit->channel[0])
		pit_schedule(pit, now, 0);
}

static void pit_write_count(struct pit *pit, struct pit_channel *c, u8 val, u64 now)
{
	switch (c->access) {
	case 1:
		pit_load(pit, c, val, now);
		break;
	case 2:
		pit_load(pit, c, val << 8, now);
		break;
	case 3:
		if (c->write_high) {
			pit_load(pit, c, c->write_latch | val << 8, now);
		} else {
			c->write_latch = val;
			/* In mode 0 the first byte stops the count. */
			if (c->mode == 0) {
				c->null_count = true;
				if (c == &pit->channel[0])
					pit_stop(pit);
			}
		}
		c->write_high = !c->write_high;
		break;
	}
}

static u8 read_count(struct pit_channel *c, u64 now)
{
	u16 count;
	bool high;

	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	count = c->latched ? c->latched_count : current_count(c, now);
	high = c->access == 2 || (c->access == 3 && c->read_high);
	if (c->access == 3)
		c->read_high = !c->read_high;
	if (high || c->access == 1)
		c->latched = false;
	return high ? count >> 8 : count;
}

static void latch_count(struct pit_channel *c, u64 now)
{
	/* A latched count stays until it is read. */
	if (c->latched)
		return;
	c->latched_count = current_count(c, now);
	c->latched = true;
}

static void latch_status(struct pit_channel *c, u64 now)
{
	if (c->status_latched)
		return;
	c->status = output(c, now) << 7 | (c->null_count || c->pending) << 6 | c->access << 4 |
		    c->mode << 1 | c->bcd;
	c->status_latched = true;
}

static void pit_read_back(struct pit *pit, u8 val, u64 now)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		if (!(val & 2 << i))
			continue;
		if (!(val & 0x20))
			latch_count(&pit->channel[i], now);
		if (!(val & 0x10))
			latch_status(&pit->channel[i], now);
	}
}

static void pit_write_control(struct pit *pit, u8 val, u64 now)
{
	unsigned int i = val >> 6;
	struct pit_channel *c;

	if (i == 3) {
		pit_read_back(pit, val, now);
		return;
	}
	c = &pit->channel[i];
	if (!(val & 0x30)) {
		latch_count(c, now);
		return;
	}
	c->access = val >> 4 & 3;
	c->mode = val >> 1 & 7;
	if (c->mode > 5)	/* modes 6 and 7 are 2 and 3 */
		c->mode -= 4;
	c->bcd = val & 1;
	c->null_count = true;
	c->pending = false;
	c->triggered = false;
	c->latched = false;
	c->status_latched = false;
	c->read_high = false;
	c->write_high = false;
	c->held = 0;
	if (i == 0) {
		pit_stop(pit);
		if (c->mode == 0)
			gondola_irq_set_line(pit_vm(pit), 0, GONDOLA_IRQ_PIT, false);
	}
}

static void set_gate(struct pit_channel *c, bool gate, u64 now)
{
	if (gate == c->gate)
		return;
	c->gate = gate;
	if (!gate) {
		c->held = now - c->start;
		return;
	}
	if (c->pending)
		load(c, c->next);
	if (by_gate(c)) {
		c->triggered = true;
		c->start = now;
	} else {	/* modes 0 and 4 continue, 2 and 3 start again */
		c->start = periodic(c) ? now : now - c->held;
	}
}

static u8 pit_read_speaker(const struct pit *pit, u64 now)
{
	return pit->speaker | (div_u64(now, REFRESH_NS) & 1) << 4 |
	       output(&pit->channel[2], now) << 5;
}

u8 pit_read(struct gondola_irqchip *chip, u16 port)
{
	struct pit *pit = &chip->pit;
	unsigned long flags;
	u64 now;
	u8 val;

	spin_lock_irqsave(&pit->lock, flags);
	now = now_ns(pit);
	pit_settle(pit, now);
	if (port == 0x61)
		val = pit_read_speaker(pit, now);
	else if (port == 0x43)
		val = 0;	/* write-only */
	else
		val = read_count(&pit->channel[port & 3], now);
	spin_unlock_irqrestore(&pit->lock, flags);
	return val;
}

void pit_write(struct gondola_irqchip *chip, u16 port, u8 val)
{
	struct pit *pit = &chip->pit;
	unsigned long flags;
	u64 now;

	spin_lock_irqsave(&pit->lock, flags);
	now = now_ns(pit);
	pit_settle(pit, now);
	if (port == 0x61) {
		pit->speaker = val & SPEAKER_WRITABLE;
		set_gate(&pit->channel[2], val & SPEAKER_GATE, now);
	} else if (port == 0x43) {
		pit_write_control(pit, val, now);
	} else {
		pit_write_count(pit, &pit->channel[port & 3], val, now);
	}
	spin_unlock_irqrestore(&pit->lock, flags);
}

/* ---- life and saved state ------------------------------------------------------ */

void pit_init(struct gondola_irqchip *chip)
{
	struct pit *pit = &chip->pit;
	unsigned int i;

	spin_lock_init(&pit->lock);
	irq_timer_init(&pit->timer, pit_fired);
	/* A channel does not count before it is programmed. */
	for (i = 0; i < 3; i++) {
		pit->channel[i].access = 3;
		pit->channel[i].count = 0x10000;
		pit->channel[i].null_count = true;
		pit->channel[i].gate = i != 2;
	}
}

void pit_destroy(struct gondola_irqchip *chip)
{
	unsigned long flags;

	/* A running callback must not start the timer again. */
	spin_lock_irqsave(&chip->pit.lock, flags);
	chip->pit.due = 0;
	spin_unlock_irqrestore(&chip->pit.lock, flags);
	irq_timer_destroy(&chip->pit.timer);
}

void gondola_pit_clock_changed(struct gondola_vm *vm)
{
	struct pit *pit = &vm->irqchip->pit;
	unsigned long flags;

	spin_lock_irqsave(&pit->lock, flags);
	if (gondola_clock_held(vm))
		irq_timer_stop(&pit->timer);
	else if (pit->due)	/* also a rise that fell due just before the clock stopped */
		irq_timer_start_vm(vm, &pit->timer, pit->due);
	spin_unlock_irqrestore(&pit->lock, flags);
}

int pit_get(struct gondola_vm *vm, struct gondola_rec_pit *rec)
{
	struct pit *pit = &vm->irqchip->pit;
	unsigned long flags;
	u64 now, at;
	int i;

	memset(rec, 0, sizeof(*rec));
	spin_lock_irqsave(&pit->lock, flags);
	now = now_ns(pit);
	for (i = 0; i < 3; i++) {
		struct pit_channel copy = pit->channel[i], *c = &copy;

		/* A rise that is due while the host's timer is late must come after a restore. */
		at = !i && pit->due && now >= pit->due ? pit->due - 2 : now;
		catch_up(c, at);
		rec->channel[i].count = c->count;
		rec->channel[i].latched_count = c->latched_count;
		rec->channel[i].mode = c->mode;
		rec->channel[i].bcd = c->bcd;
		rec->channel[i].access = c->access;
		rec->channel[i].latched = c->latched;
		rec->channel[i].status_latched = c->status_latched;
		rec->channel[i].status = c->status;
		rec->channel[i].read_state = c->read_high;
		rec->channel[i].write_state = c->write_high;
		rec->channel[i].write_latch = c->write_latch;
		rec->channel[i].gate = c->gate;
		rec->channel[i].null_count = c->null_count;
		rec->channel[i].pending = c->pending;
		rec->channel[i].next = c->pending ? c->next : 0;
		rec->channel[i].elapsed_ns = elapsed(c, at);
	}
	rec->speaker = pit->speaker;
	spin_unlock_irqrestore(&pit->lock, flags);
	return 0;
}

#define PIT_OFFSET(field)	offsetof(struct gondola_rec_pit, channel[0].field)
/* The limit, 70 years, keeps computations within 64 bits. */
#define MAX_ELAPSED_NS		(1ull << 61)

/* The offset of the first bad field, relative to the first channel's record, or -1. */
static int pit_bad_field(const struct gondola_rec_pit *rec, int i)
{
	if (rec->channel[i].bcd > 1)
		return PIT_OFFSET(bcd);
	/* The limit is not 10000 for BCD, since the count may be older than the mode. */
	if (!rec->channel[i].count || rec->channel[i].count > 0x10000)
		return PIT_OFFSET(count);
	if (rec->channel[i].mode > 5)
		return PIT_OFFSET(mode);
	if (!rec->channel[i].access || rec->channel[i].access > 3)
		return PIT_OFFSET(access);
	if (rec->channel[i].latched > 1)
		return PIT_OFFSET(latched);
	if (rec->channel[i].status_latched > 1)
		return PIT_OFFSET(status_latched);
	if (rec->channel[i].read_state > 1)
		return PIT_OFFSET(read_state);
	if (rec->channel[i].write_state > 1)
		return PIT_OFFSET(write_state);
	if (rec->channel[i].gate != (i == 2 ? rec->speaker & SPEAKER_GATE : 1))
		return PIT_OFFSET(gate);
	if (rec->channel[i].null_count > 1)
		return PIT_OFFSET(null_count);
	if (rec->channel[i].pending > 1 ||
	    (rec->channel[i].pending && (rec->channel[i].mode == 0 || rec->channel[i].mode == 4)))
		return PIT_OFFSET(pending);
	if (rec->channel[i].next && !rec->channel[i].pending)
		return PIT_OFFSET(next);
	if (rec->channel[i].elapsed_ns > MAX_ELAPSED_NS &&
	    rec->channel[i].elapsed_ns != NOT_STARTED)
		return PIT_OFFSET(elapsed_ns);
	return -1;
}

static int pit_check(const struct gondola_rec_pit *rec, u32 *bad)
{
	int i, offset;

	for (i = 0; i < 3; i++) {
		offset = pit_bad_field(rec, i);
		if (offset >= 0) {
			*bad = offset + i * sizeof(rec->channel[0]);
			return -EINVAL;
		}
	}
	*bad = offsetof(struct gondola_rec_pit, speaker);
	if (rec->speaker & ~SPEAKER_WRITABLE)
		return -EINVAL;
	*bad = offsetof(struct gondola_rec_pit, pad);
	return memchr_inv(rec->pad, 0, sizeof(rec->pad)) ? -EINVAL : 0;
}

int pit_set(struct gondola_vm *vm, const struct gondola_rec_pit *rec, u32 *bad)
{
	struct pit *pit = &vm->irqchip->pit;
	int i, ret = pit_check(rec, bad);
	unsigned long flags;
	u64 now, ns;

	if (ret)
		return ret;
	spin_lock_irqsave(&pit->lock, flags);
	now = now_ns(pit);
	for (i = 0; i < 3; i++) {
		ns = rec->channel[i].elapsed_ns;
		pit->channel[i] = (struct pit_channel) {
			.count = rec->channel[i].count,
			.latched_count = rec->channel[i].latched_count,
			.mode = rec->channel[i].mode,
			.access = rec->channel[i].access,
			.latched = rec->channel[i].latched,
			.status = rec->channel[i].status,
			.write_latch = rec->channel[i].write_latch,
			.bcd = rec->channel[i].bcd,
			.status_latched = rec->channel[i].status_latched,
			.read_high = rec->channel[i].read_state,
			.write_high = rec->channel[i].write_state,
			.gate = rec->channel[i].gate,
			.null_count = rec->channel[i].null_count,
			.triggered = ns != NOT_STARTED,
			.start = ns == NOT_STARTED ? now : now - ns,
			.held = ns == NOT_STARTED ? 0 : ns,
		};
		if (rec->channel[i].pending)
			wait_with(&pit->channel[i], rec->channel[i].next, now);
	}
	pit->speaker = rec->speaker;
	pit_schedule(pit, now, 0);
	spin_unlock_irqrestore(&pit->lock, flags);
	return 0;
}

GONDOLA_VM_RECORD(pit, PIT);
