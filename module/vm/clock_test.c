// SPDX-License-Identifier: GPL-2.0-only
/* Suite gondola_clock: readings while another thread holds, releases or sets the time. */
#include "host/sleep.h"
#include "host/time.h"
#include "irq/test_host.h"
#include "state.h"

#define PAUSE_NS	1000000000ull
#define TSC_PER_NS	2u
#define SET_TO		(1ull << 40)

static struct gondola_vm *vm;

static void pause_for_long(void)
{
	gondola_clock_hold(vm);
	irq_test_advance(PAUSE_NS);
	gondola_clock_release(vm);
}

static void release(void)
{
	gondola_clock_release(vm);
}

static void set_all(void)
{
	struct gondola_rec_clock rec;
	u32 bad;

	clock_get(vm, &rec);
	rec.tsc = SET_TO;
	clock_set(vm, &rec, &bad);
}

static void no_pause_is_seen(struct kunit *test)
{
	u64 ns, tsc;

	vm = irq_test_vm(test, 1);
	irq_test_advance(1000);
	ns = gondola_vm_clock_ns(vm);
	gondola_test_meanwhile = pause_for_long;
	KUNIT_EXPECT_EQ_MSG(test, gondola_vm_clock_ns(vm), ns, "a pause between two looks");
	tsc = gondola_guest_tsc(vm->vcpus[0]);
	gondola_test_meanwhile = pause_for_long;
	KUNIT_EXPECT_EQ_MSG(test, gondola_guest_tsc(vm->vcpus[0]), tsc, "likewise");
	KUNIT_EXPECT_EQ(test, vm->clock.lost_ns, 2 * PAUSE_NS);
	irq_test_advance(1000);
	KUNIT_EXPECT_EQ(test, gondola_vm_clock_ns(vm), ns + 1000);
	KUNIT_EXPECT_EQ(test, gondola_guest_tsc(vm->vcpus[0]), tsc + 1000 * TSC_PER_NS);
}

/* The host slept for an hour, in which its TSC started anew, or went on, or its clock was wrong. */
static void the_host_sleeps(struct kunit *test)
{
	const u64 hour = 3600 * (u64)NSEC_PER_SEC, was = 1ull << 50;
	const struct { u64 then, now; } tscs[] = { { was, 500 }, { was, was + hour }, { 7, was }, { was, was } };
	struct gondola_vcpu *vcpu;
	u64 offset, gain;

	vm = irq_test_vm(test, 1);
	vcpu = vm->vcpus[0];
	gondola_tsc_after_sleep(vcpu);
	vcpu->requests = 0;
	for (unsigned int i = 0; i < ARRAY_SIZE(tscs); i++) {
		offset = gondola_guest_tsc_offset(vcpu);
		gain = sleep_tsc_gain();
		sleep_begin(tscs[i].then, 1000);
		sleep_end(tscs[i].now, 1000 + hour, 2000000);
		/* The sum of RDTSC and the gain has advanced by an hour at 2 GHz. */
		KUNIT_EXPECT_EQ(test, tscs[i].now + sleep_tsc_gain(), tscs[i].then + gain + 2 * hour);
		KUNIT_EXPECT_EQ(test, gondola_guest_tsc_offset(vcpu) - offset, sleep_tsc_gain() - gain);
		gondola_tsc_after_sleep(vcpu);
		KUNIT_EXPECT_EQ_MSG(test, vcpu->requests, BIT(GONDOLA_REQ_TSC), "its engine is told");
		vcpu->requests = 0;
		gondola_tsc_after_sleep(vcpu);
		KUNIT_EXPECT_EQ_MSG(test, vcpu->requests, 0, "once");
	}
}

/* One TSC is set while all are set: one comes first. */
static void set_at_once(struct kunit *test)
{
	struct gondola_vcpu *vcpu;
	u64 tsc;

	vm = irq_test_vm(test, 2);
	vcpu = vm->vcpus[0];
	gondola_test_meanwhile = set_all;
	gondola_set_guest_tsc(vcpu, 1000);
	tsc = gondola_guest_tsc(vcpu);
	KUNIT_EXPECT_TRUE_MSG(test, tsc == 1000 || tsc == SET_TO, "%llu", tsc);

	/* The same while time is stopped, and started again. */
	gondola_clock_hold(vm);
	irq_test_advance(PAUSE_NS);
	gondola_test_meanwhile = release;
	gondola_set_guest_tsc(vcpu, 1000);
	KUNIT_EXPECT_EQ(test, gondola_guest_tsc(vcpu), 1000ull);
}

/* The host's time for a time of the VM. */
static void host_time(struct kunit *test)
{
	u64 ns, at;

	vm = irq_test_vm(test, 1);
	ns = gondola_vm_clock_ns(vm);
	pause_for_long();
	KUNIT_EXPECT_TRUE(test, gondola_vm_clock_host_ns(vm, ns + 5, &at));
	KUNIT_EXPECT_EQ(test, at, gondola_host_ns() + 5);
	gondola_clock_hold(vm);
	KUNIT_EXPECT_FALSE(test, gondola_vm_clock_host_ns(vm, ns + 5, &at));
}

static struct kunit_case cases[] = {
	KUNIT_CASE(no_pause_is_seen),
	KUNIT_CASE(the_host_sleeps),
	KUNIT_CASE(set_at_once),
	KUNIT_CASE(host_time),
	{}
};

static struct kunit_suite suite = {
	.name = "gondola_clock",
	.exit = irq_test_exit,
	.test_cases = cases,
};
kunit_test_suite(suite);
