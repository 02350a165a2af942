// SPDX-License-Identifier: GPL-2.0-only
/* Clock, timers and TSC of the tests, and a VM for the suites of the interrupt room. */
#include <linux/bug.h>
#include "host/time.h"
#include "test_host.h"

#define TSC_KHZ		2000000u
#define MAX_TIMERS	64

static struct {
	struct irq_timer *timer;
	u64 due;
} armed[MAX_TIMERS];
static u64 now_ns = 1000000000;
u32 irq_test_kicked;
void (*gondola_test_meanwhile)(void);

u64 irq_test_step;

static void meanwhile(void)
{
	void (*other)(void) = gondola_test_meanwhile;

	gondola_test_meanwhile = NULL;
	if (other)
		other();
}

u64 gondola_host_ns(void)
{
	u64 ns = now_ns += irq_test_step;

	meanwhile();
	return ns;
}

u64 gondola_host_run_delay(void)
{
	return 0;
}

u64 gondola_host_tsc(void)
{
	u64 tsc;

	now_ns += irq_test_step;
	tsc = now_ns * (TSC_KHZ / 1000000);
	meanwhile();
	return tsc;
}

u32 gondola_host_tsc_khz(void)
{
	return TSC_KHZ;
}

/* No vCPU sleeps or runs in the tests; only note that the request came before the kick. */
void gondola_vcpu_kick(struct gondola_vcpu *vcpu)
{
	irq_test_kicked |= vcpu->requests ? BIT(vcpu->id) : 0;
}

void irq_timer_init(struct irq_timer *timer, void (*fired)(struct irq_timer *timer))
{
	timer->fired = fired;
}

void irq_timer_stop(struct irq_timer *timer)
{
	unsigned int i;

	meanwhile();
	for (i = 0; i < MAX_TIMERS; i++)
		if (armed[i].timer == timer)
			armed[i].timer = NULL;
}

void irq_timer_start(struct irq_timer *timer, u64 ns)
{
	unsigned int i;

	irq_timer_stop(timer);
	for (i = 0; i < MAX_TIMERS; i++) {
		if (!armed[i].timer) {
			armed[i].timer = timer;
			armed[i].due = ns;
			return;
		}
	}
	WARN_ONCE(1, "more timers than the tests provide for\n");
}

void irq_timer_destroy(struct irq_timer *timer)
{
	irq_timer_stop(timer);
}

unsigned int irq_test_timers(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < MAX_TIMERS; i++)
		n += armed[i].timer != NULL;
	return n;
}

void irq_test_advance(u64 ns)
{
	u64 end = now_ns + ns;
	struct irq_timer *timer;
	unsigned int i, next;

	for (;;) {
		next = MAX_TIMERS;
		for (i = 0; i < MAX_TIMERS; i++)
			if (armed[i].timer && armed[i].due <= end &&
			    (next == MAX_TIMERS || armed[i].due < armed[next].due))
				next = i;
		if (next == MAX_TIMERS)
			break;
		timer = armed[next].timer;
		now_ns = max(now_ns, armed[next].due);
		armed[next].timer = NULL;
		timer->fired(timer);
	}
	now_ns = end;
}

struct gondola_vm *irq_test_vm(struct kunit *test, unsigned int nr)
{
	struct gondola_vm *vm = kunit_kzalloc(test, sizeof(*vm), GFP_KERNEL);
	struct gondola_vcpu *vcpu;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, vm);
	irq_test_exit(test);
	test->priv = vm;
	gondola_clock_init(vm);
	KUNIT_ASSERT_EQ(test, gondola_irqchip_create(vm), 0);
	for (i = 0; i < nr; i++) {
		vcpu = kunit_kzalloc(test, sizeof(*vcpu), GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, vcpu);
		vcpu->vm = vm;
		vcpu->id = i;
		vcpu->maxphyaddr = 40;
		KUNIT_ASSERT_EQ(test, gondola_lapic_create(vcpu), 0);
		gondola_lapic_cpuid_changed(vcpu, true, true);
		vm->vcpus[i] = vcpu;
	}
	return vm;
}

void irq_test_exit(struct kunit *test)
{
	struct gondola_vm *vm = test->priv;
	unsigned int i;

	if (!vm)
		return;
	gondola_irqchip_destroy(vm);
	for (i = 0; i < GONDOLA_MAX_VCPUS; i++)
		if (vm->vcpus[i])
			gondola_lapic_destroy(vm->vcpus[i]);
	test->priv = NULL;
	KUNIT_EXPECT_EQ_MSG(test, irq_test_timers(), 0, "a timer outlives its VM");
}

u32 irq_test_mmio_read(struct gondola_vcpu *vcpu, u64 gpa)
{
	u32 val = 0xdeadbeef;

	WARN_ON(gondola_irq_mmio(vcpu, gpa, sizeof(val), false, &val));
	return val;
}

void irq_test_mmio_write(struct gondola_vcpu *vcpu, u64 gpa, u32 val)
{
	WARN_ON(gondola_irq_mmio(vcpu, gpa, sizeof(val), true, &val));
}

u8 irq_test_in(struct gondola_vcpu *vcpu, u16 port)
{
	u32 val = 0xdeadbeef;

	WARN_ON(!gondola_irq_pio(vcpu, port, 1, false, &val));
	return val;
}

void irq_test_out(struct gondola_vcpu *vcpu, u16 port, u8 val)
{
	u32 word = val;

	WARN_ON(!gondola_irq_pio(vcpu, port, 1, true, &word));
}
