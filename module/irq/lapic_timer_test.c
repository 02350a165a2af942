// SPDX-License-Identifier: GPL-2.0-only
/* Suite lapic_timer: what the timer counts, when it fires, and what it costs. */
#include "vm/state.h"
#include "host/time.h"
#include "test_host.h"

#define VECTOR	0x60

static int fired(struct gondola_vcpu *vcpu)
{
	int vector;

	irq_test_run_requests(vcpu);
	vector = irq_test_take(vcpu);
	if (vector >= 0)
		lapic_out(vcpu, LAPIC_EOI, 0);
	return vector;
}

static void one_shot(struct kunit *test)
{
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];

	lapic_out(vcpu, LAPIC_LVT, VECTOR);
	lapic_out(vcpu, LAPIC_TDCR, 0xb);	/* divide by 1 */
	lapic_out(vcpu, LAPIC_TMICT, 1000);
	KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_TMCCT), 1000);
	irq_test_advance(999);
	KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_TMCCT), 1);
	KUNIT_EXPECT_EQ(test, fired(vcpu), -1);
	irq_test_advance(1);
	KUNIT_EXPECT_EQ(test, fired(vcpu), VECTOR);
	KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_TMCCT), 0);
	irq_test_advance(1000000);
	KUNIT_EXPECT_EQ_MSG(test, fired(vcpu), -1, "once is once");
	/* Zero stops it. */
	lapic_out(vcpu, LAPIC_TMICT, 1000);
	lapic_out(vcpu, LAPIC_TMICT, 0);
	KUNIT_EXPECT_EQ(test, irq_test_timers(), 0);
	irq_test_advance(2000);
	KUNIT_EXPECT_EQ(test, fired(vcpu), -1);
}

static void divides(struct kunit *test)
{
	static const struct { u32 code; u32 by; } d[] = {
		{ 0, 2 }, { 1, 4 }, { 2, 8 }, { 3, 16 },
		{ 8, 32 }, { 9, 64 }, { 10, 128 }, { 11, 1 },
	};
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];
	unsigned int i;

	lapic_out(vcpu, LAPIC_LVT, VECTOR);
	for (i = 0; i < ARRAY_SIZE(d); i++) {
		lapic_out(vcpu, LAPIC_TDCR, d[i].code | 0x74);
		KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_TDCR), d[i].code);
		lapic_out(vcpu, LAPIC_TMICT, 100);
		irq_test_advance(60 * d[i].by);
		KUNIT_EXPECT_EQ_MSG(test, lapic_in(vcpu, LAPIC_TMCCT), 40, "by %u", d[i].by);
		irq_test_advance(40 * d[i].by - 1);
		KUNIT_EXPECT_EQ_MSG(test, fired(vcpu), -1, "by %u", d[i].by);
		irq_test_advance(1);
		KUNIT_EXPECT_EQ_MSG(test, fired(vcpu), VECTOR, "by %u", d[i].by);
	}
	/* A new divisor while it counts: what is left goes at the new rate. */
	lapic_out(vcpu, LAPIC_TDCR, 0xb);
	lapic_out(vcpu, LAPIC_TMICT, 1000);
	irq_test_advance(600);
	lapic_out(vcpu, LAPIC_TDCR, 0);
	KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_TMCCT), 400);
	irq_test_advance(799);
	KUNIT_EXPECT_EQ(test, fired(vcpu), -1);
	irq_test_advance(1);
	KUNIT_EXPECT_EQ(test, fired(vcpu), VECTOR);
	/* The longest there is. */
	lapic_out(vcpu, LAPIC_TDCR, 0xa);
	lapic_out(vcpu, LAPIC_TMICT, ~0u);
	irq_test_advance(((u64)U32_MAX << 7) - 1);
	KUNIT_EXPECT_EQ(test, fired(vcpu), -1);
	irq_test_advance(1);
	KUNIT_EXPECT_EQ(test, fired(vcpu), VECTOR);
}

static void repeats(struct kunit *test)
{
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];
	unsigned int i;

	lapic_out(vcpu, LAPIC_LVT, LVT_TIMER_PERIODIC | VECTOR);
	lapic_out(vcpu, LAPIC_TDCR, 0xb);
	lapic_out(vcpu, LAPIC_TMICT, 1000000);
	for (i = 0; i < 10; i++) {
		/* The thread is late by a varying amount; the periods do not drift. */
		irq_test_advance(1000000);
		KUNIT_EXPECT_EQ(test, fired(vcpu), VECTOR);
	}
	irq_test_advance(250000);
	KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_TMCCT), 750000);
	/* A vCPU that does not run gets one interrupt for all it missed, and its phase back. */
	irq_test_advance(7600000);
	KUNIT_EXPECT_EQ(test, irq_test_timers(), 0);
	KUNIT_EXPECT_EQ(test, fired(vcpu), VECTOR);
	KUNIT_EXPECT_EQ(test, fired(vcpu), -1);
	KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_TMCCT), 150000);
	irq_test_advance(150000);
	KUNIT_EXPECT_EQ(test, fired(vcpu), VECTOR);
}

static void tiny_periods_are_lengthened(struct kunit *test)
{
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];
	unsigned int i, n = 0;

	lapic_out(vcpu, LAPIC_LVT, LVT_TIMER_PERIODIC | VECTOR);
	lapic_out(vcpu, LAPIC_TDCR, 0xb);
	lapic_out(vcpu, LAPIC_TMICT, 1);
	for (i = 0; i < 1000; i++) {
		irq_test_advance(1000);
		n += fired(vcpu) == VECTOR;
		KUNIT_EXPECT_LE(test, lapic_in(vcpu, LAPIC_TMCCT), 1);
	}
	KUNIT_EXPECT_EQ(test, n, 1000000 / LAPIC_MIN_PERIOD_NS);
}

static void masked_costs_nothing(struct kunit *test)
{
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];

	lapic_out(vcpu, LAPIC_LVT, LVT_TIMER_PERIODIC | LVT_MASKED | VECTOR);
	lapic_out(vcpu, LAPIC_TDCR, 0xb);
	lapic_out(vcpu, LAPIC_TMICT, 1000000);
	KUNIT_EXPECT_EQ_MSG(test, irq_test_timers(), 0, "masked, it needs no host timer");
	irq_test_advance(5400000);
	KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_TMCCT), 600000);
	lapic_out(vcpu, LAPIC_LVT, LVT_TIMER_PERIODIC | VECTOR);
	KUNIT_EXPECT_EQ(test, fired(vcpu), -1);
	irq_test_advance(600000);
	KUNIT_EXPECT_EQ(test, fired(vcpu), VECTOR);
	/* One shot that ended while masked is over. */
	lapic_out(vcpu, LAPIC_LVT, LVT_MASKED | VECTOR);
	lapic_out(vcpu, LAPIC_TMICT, 1000);
	irq_test_advance(2000);
	lapic_out(vcpu, LAPIC_LVT, VECTOR);
	irq_test_advance(2000);
	KUNIT_EXPECT_EQ(test, fired(vcpu), -1);
}

static void deadline(struct kunit *test)
{
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];
	u32 per_us = gondola_host_tsc_khz() / 1000;
	u64 val;

#define SET(v) KUNIT_EXPECT_EQ(test, gondola_lapic_set_msr(vcpu, MSRX_TSC_DEADLINE, v), 0)
	gondola_set_guest_tsc(vcpu, 0);
	SET(100 * per_us);
	KUNIT_EXPECT_EQ(test, gondola_lapic_get_msr(vcpu, MSRX_TSC_DEADLINE, &val), 0);
	KUNIT_EXPECT_EQ_MSG(test, val, 0, "another mode ignores it");
	lapic_out(vcpu, LAPIC_LVT, LVT_TIMER_DEADLINE | VECTOR);
	lapic_out(vcpu, LAPIC_TMICT, 1000);
	KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_TMICT), 0);
	SET(100 * per_us);
	irq_test_advance(99999);
	KUNIT_EXPECT_EQ(test, fired(vcpu), -1);
	irq_test_advance(2);
	KUNIT_EXPECT_EQ(test, fired(vcpu), VECTOR);
	gondola_lapic_get_msr(vcpu, MSRX_TSC_DEADLINE, &val);
	KUNIT_EXPECT_EQ(test, val, 0);

	/* In the past: at once. Zero: never. Far beyond the steps: no overflow, no interrupt. */
	SET(1);
	KUNIT_EXPECT_EQ(test, fired(vcpu), VECTOR);
	SET(0);
	KUNIT_EXPECT_EQ(test, irq_test_timers(), 0);
	SET(~0ull);
	irq_test_advance(5000ull * NSEC_PER_SEC);
	KUNIT_EXPECT_EQ(test, fired(vcpu), -1);
	KUNIT_EXPECT_EQ(test, irq_test_timers(), 1);

	/* An expiry that the thread has not seen yet is not undone by the next deadline. */
	val = gondola_guest_tsc(vcpu);
	SET(val + 10 * per_us);
	irq_test_advance(20000);
	SET(val + 1000 * per_us);
	KUNIT_EXPECT_EQ(test, fired(vcpu), VECTOR);
	KUNIT_EXPECT_EQ(test, fired(vcpu), -1);

	/* The TSC jumps over it. */
	vcpu->tsc_offset += 1000 * per_us;
	gondola_lapic_rearm(vcpu);
	KUNIT_EXPECT_EQ(test, fired(vcpu), VECTOR);
	/* And back before it. */
	SET(gondola_guest_tsc(vcpu) + 10 * per_us);
	vcpu->tsc_offset -= 10 * per_us;
	gondola_lapic_rearm(vcpu);
	KUNIT_EXPECT_EQ(test, fired(vcpu), -1);
	irq_test_advance(10001);
	KUNIT_EXPECT_EQ(test, fired(vcpu), -1);
	irq_test_advance(10000);
	KUNIT_EXPECT_EQ(test, fired(vcpu), VECTOR);

	/* Leaving the mode disarms. */
	SET(gondola_guest_tsc(vcpu) + 10 * per_us);
	lapic_out(vcpu, LAPIC_LVT, VECTOR);
	KUNIT_EXPECT_EQ(test, irq_test_timers(), 0);
#undef SET
}

static void saved_while_due(struct kunit *test)
{
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];
	struct gondola_rec_lapic *rec = kunit_kzalloc(test, sizeof(*rec), GFP_KERNEL);
	u64 tsc;
	u32 bad;

	KUNIT_ASSERT_NOT_NULL(test, rec);
	/* The host's timer fired; the thread had no time to inject before it was saved. */
	lapic_out(vcpu, LAPIC_LVT, VECTOR);
	lapic_out(vcpu, LAPIC_TMICT, 1000);
	irq_test_advance(10000);
	KUNIT_ASSERT_EQ(test, lapic_get(vcpu, rec), 0);
	KUNIT_EXPECT_EQ(test, rec->regs[(LAPIC_IRR + VECTOR / 32 * 16) / 16], BIT(VECTOR % 32));

	/* A deadline is restored before the TSC it refers to. */
	lapic_out(vcpu, LAPIC_LVT, LVT_TIMER_DEADLINE | VECTOR);
	fired(vcpu);
	gondola_set_guest_tsc(vcpu, 0);
	gondola_lapic_set_msr(vcpu, MSRX_TSC_DEADLINE, 100000);
	KUNIT_ASSERT_EQ(test, lapic_get(vcpu, rec), 0);
	KUNIT_EXPECT_EQ(test, rec->tsc_deadline, 100000);
	tsc = vcpu->tsc_offset;
	vcpu->tsc_offset += 1ull << 40;
	KUNIT_ASSERT_EQ(test, lapic_set(vcpu, rec, &bad), 0);
	vcpu->tsc_offset = tsc;
	gondola_lapic_rearm(vcpu);
	KUNIT_EXPECT_EQ(test, fired(vcpu), -1);
	irq_test_advance(50001);
	KUNIT_EXPECT_EQ(test, fired(vcpu), VECTOR);
}

static void hold(struct gondola_vcpu *vcpu, bool stop)
{
	if (stop) {
		gondola_clock_hold(vcpu->vm);
		return;
	}
	gondola_clock_release(vcpu->vm);
	/* As a vCPU does that is asked to take up a new TSC. */
	gondola_lapic_rearm(vcpu);
	irq_test_run_requests(vcpu);
}

static void stands_while_held(struct kunit *test)
{
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];
	u64 tsc;

	lapic_out(vcpu, LAPIC_LVT, VECTOR);
	lapic_out(vcpu, LAPIC_TDCR, 0xb);
	lapic_out(vcpu, LAPIC_TMICT, 1000);
	irq_test_advance(600);
	hold(vcpu, true);
	tsc = gondola_guest_tsc(vcpu);
	irq_test_advance(5000000000ull);
	KUNIT_EXPECT_EQ_MSG(test, fired(vcpu), -1, "no time has passed");
	KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_TMCCT), 400);
	KUNIT_EXPECT_EQ(test, gondola_guest_tsc(vcpu), tsc);
	hold(vcpu, false);
	KUNIT_EXPECT_EQ(test, gondola_guest_tsc(vcpu), tsc);
	irq_test_advance(399);
	KUNIT_EXPECT_EQ(test, fired(vcpu), -1);
	irq_test_advance(1);
	KUNIT_EXPECT_EQ(test, fired(vcpu), VECTOR);

	/* A deadline, which is a time of the TSC's; held and let go twice. */
	lapic_out(vcpu, LAPIC_LVT, LVT_TIMER_DEADLINE | VECTOR);
	gondola_lapic_set_msr(vcpu, MSRX_TSC_DEADLINE, gondola_guest_tsc(vcpu) + 2000);
	hold(vcpu, true);
	irq_test_advance(7000);
	hold(vcpu, false);
	irq_test_advance(500);
	hold(vcpu, true);
	irq_test_advance(7000);
	hold(vcpu, false);
	irq_test_advance(499);
	KUNIT_EXPECT_EQ(test, fired(vcpu), -1);
	/* The timer is set a nanosecond late, so that it is not early. */
	irq_test_advance(2);
	KUNIT_EXPECT_EQ(test, fired(vcpu), VECTOR);
}

/* However much time passes between two lines, what is armed fires once. */
static void events_while_arming(struct kunit *test)
{
	static const u32 counts[] = { 1, 100, 999, 1000, 1001, 2500, 5000 };
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];
	unsigned int i, what;
	int first, second;

	for (i = 0; i < ARRAY_SIZE(counts) * 4; i++) {
		what = i % 4;
		irq_test_step = 0;
		lapic_out(vcpu, LAPIC_TDCR, 0xb);
		lapic_out(vcpu, LAPIC_LVT, (what == 3 ? LVT_TIMER_DEADLINE : 0) | VECTOR);
		irq_test_step = 1000;
		if (what == 3)
			gondola_lapic_set_msr(vcpu, MSRX_TSC_DEADLINE,
					      gondola_guest_tsc(vcpu) + counts[i / 4]);
		else
			lapic_out(vcpu, LAPIC_TMICT, counts[i / 4]);
		if (what == 1)
			lapic_out(vcpu, LAPIC_TDCR, 0);
		if (what == 2)
			lapic_out(vcpu, LAPIC_LVT, VECTOR + 1);
		irq_test_step = 0;
		irq_test_advance(100000);
		first = fired(vcpu);
		irq_test_advance(100000);
		second = fired(vcpu);
		KUNIT_EXPECT_TRUE_MSG(test, first == VECTOR || (what == 2 && first == VECTOR + 1),
				      "way %u, count %u: %d", what, counts[i / 4], first);
		KUNIT_EXPECT_EQ_MSG(test, second, -1, "way %u, count %u", what, counts[i / 4]);
	}
}

/* Writes that come while the timer counts, or when it is due and nobody has seen it yet. */
enum write {
	W_COUNT, W_DIVIDE, W_VECTOR, W_MASK, W_ONE_SHOT, W_PERIODIC, W_DEADLINE, W_OFF, W_HOLD,
	W_SAVE, NR_WRITES,
};

static void write_timer(struct kunit *test, struct gondola_vcpu *vcpu, u32 lvt, enum write what)
{
	struct gondola_rec_lapic *rec = kunit_kzalloc(test, sizeof(*rec), GFP_KERNEL);
	u32 bad;

	KUNIT_ASSERT_NOT_NULL(test, rec);
	switch (what) {
	case W_COUNT:
		lapic_out(vcpu, LAPIC_TMICT, 2000);
		break;
	case W_DIVIDE:
		lapic_out(vcpu, LAPIC_TDCR, 0);
		break;
	case W_VECTOR:
		lapic_out(vcpu, LAPIC_LVT, lvt | 1);
		break;
	case W_MASK:
		lapic_out(vcpu, LAPIC_LVT, lvt | LVT_MASKED);
		lapic_out(vcpu, LAPIC_LVT, lvt);
		break;
	case W_ONE_SHOT:
		lapic_out(vcpu, LAPIC_LVT, VECTOR);
		break;
	case W_PERIODIC:
		lapic_out(vcpu, LAPIC_LVT, LVT_TIMER_PERIODIC | VECTOR);
		break;
	case W_DEADLINE:
		lapic_out(vcpu, LAPIC_LVT, LVT_TIMER_DEADLINE | VECTOR);
		break;
	case W_OFF:	/* it counts on, but takes no interrupt */
		lapic_out(vcpu, LAPIC_SVR, 0xff);
		lapic_out(vcpu, LAPIC_SVR, 0x1ff);
		lapic_out(vcpu, LAPIC_LVT, lvt);
		break;
	case W_HOLD:
		hold(vcpu, true);
		hold(vcpu, false);
		break;
	default:
		KUNIT_EXPECT_EQ(test, lapic_get(vcpu, rec), 0);
		KUNIT_EXPECT_EQ(test, lapic_set(vcpu, rec, &bad), 0);
	}
}

/* How many interrupts come within ten times 200 µs, each of which has an end of the period? */
static unsigned int fires(struct gondola_vcpu *vcpu)
{
	unsigned int i, n = 0;
	int vector;

	irq_test_step = 0;
	for (i = 0; i < 10; i++) {
		irq_test_advance(200000);
		vector = fired(vcpu);
		n += vector == VECTOR || vector == (VECTOR | 1);
	}
	return n;
}

static unsigned int armed_and_written(struct kunit *test, struct gondola_vcpu *vcpu, u32 mode,
				      enum write what, u32 step)
{
	irq_test_step = 0;
	lapic_out(vcpu, LAPIC_SVR, 0x1ff);
	lapic_out(vcpu, LAPIC_LVT, mode | VECTOR);
	lapic_out(vcpu, LAPIC_TDCR, 0xb);
	irq_test_step = step;
	if (mode == LVT_TIMER_DEADLINE)
		gondola_lapic_set_msr(vcpu, MSRX_TSC_DEADLINE, gondola_guest_tsc(vcpu) + 4000);
	else
		lapic_out(vcpu, LAPIC_TMICT, 2000);
	write_timer(test, vcpu, mode | VECTOR, what);
	return fires(vcpu);
}

/*
 * Each write in each mode, while time passes between any two lines: a timer that goes on is not
 * lost, one that was stopped is silent, and no interrupt comes twice.
 */
static void events_while_writing(struct kunit *test)
{
	static const u32 steps[] = { 0, 1, 100, 499, 500, 999, 1000, 1999, 2000, 2001, 7000 };
	static const u32 modes[] = { 0, LVT_TIMER_PERIODIC, LVT_TIMER_DEADLINE };
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];
	unsigned int i, n, least, most;

	for (i = 0; i < ARRAY_SIZE(steps) * ARRAY_SIZE(modes) * NR_WRITES; i++) {
		u32 mode = modes[i / NR_WRITES % 3], step = steps[i / NR_WRITES / 3];
		enum write what = i % NR_WRITES;
		bool periodic = mode == LVT_TIMER_PERIODIC, once_deadline = mode == LVT_TIMER_DEADLINE;

		n = armed_and_written(test, vcpu, mode, what, step);
		least = periodic ? 10 : 1;
		most = least;
		if (what == W_ONE_SHOT && periodic)
			least = most = 1;
		if (what == W_PERIODIC && !periodic)
			most = 10;
		/* A count that ended while it was masked is over. */
		if ((what == W_MASK || what == W_OFF) && !periodic)
			least = 0;
		if (once_deadline ? what == W_ONE_SHOT || what == W_PERIODIC : what == W_DEADLINE) {
			least = 0;
			most = 1;
		}
		KUNIT_EXPECT_TRUE_MSG(test, n >= least && n <= most,
				      "mode %x, write %u, step %u: %u interrupts", mode, what, step, n);
	}
}

/* Does this write change anything in this mode?  To hold the clock is none. */
static bool settles(u32 mode, enum write what)
{
	switch (what) {
	case W_COUNT:
		return mode != LVT_TIMER_DEADLINE;
	case W_ONE_SHOT:
		return mode != 0;
	case W_PERIODIC:
		return mode != LVT_TIMER_PERIODIC;
	case W_DEADLINE:
		return mode != LVT_TIMER_DEADLINE;
	default:
		return what != W_HOLD;
	}
}

/* The timer is due, and its thread has not seen it: the write itself requests the old interrupt. */
static void each_write_settles(struct kunit *test)
{
	static const u32 modes[] = { 0, LVT_TIMER_PERIODIC, LVT_TIMER_DEADLINE };
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(modes) * NR_WRITES; i++) {
		u32 mode = modes[i / NR_WRITES];
		enum write what = i % NR_WRITES;

		if (!settles(mode, what))
			continue;
		lapic_out(vcpu, LAPIC_LVT, mode | VECTOR);
		lapic_out(vcpu, LAPIC_TDCR, 0xb);
		if (mode == LVT_TIMER_DEADLINE)
			gondola_lapic_set_msr(vcpu, MSRX_TSC_DEADLINE, gondola_guest_tsc(vcpu) + 4000);
		else
			lapic_out(vcpu, LAPIC_TMICT, 200000);
		irq_test_advance(250000);
		write_timer(test, vcpu, mode | VECTOR, what);
		KUNIT_EXPECT_EQ_MSG(test, irq_test_take(vcpu), VECTOR, "mode %x, write %u", mode, what);
		lapic_out(vcpu, LAPIC_EOI, 0);
		/* Once: the thread's turn finds it done. */
		KUNIT_EXPECT_EQ_MSG(test, fired(vcpu), -1, "mode %x, write %u", mode, what);
		lapic_out(vcpu, LAPIC_LVT, VECTOR);
		lapic_out(vcpu, LAPIC_TMICT, 0);
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE(one_shot),
	KUNIT_CASE(divides),
	KUNIT_CASE(repeats),
	KUNIT_CASE(tiny_periods_are_lengthened),
	KUNIT_CASE(masked_costs_nothing),
	KUNIT_CASE(deadline),
	KUNIT_CASE(saved_while_due),
	KUNIT_CASE(stands_while_held),
	KUNIT_CASE(events_while_arming),
	KUNIT_CASE(events_while_writing),
	KUNIT_CASE(each_write_settles),
	{}
};

static struct kunit_suite suite = {
	.name = "gondola_lapic_timer",
	.exit = irq_test_exit,
	.test_cases = cases,
};
kunit_test_suite(suite);
