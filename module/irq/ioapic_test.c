// SPDX-License-Identifier: GPL-2.0-only
/* Suite ioapic: redirection, level and edge, remote IRR, saved state. */
#include "test_host.h"

static void select(struct gondola_vcpu *vcpu, u32 reg)
{
	irq_test_mmio_write(vcpu, IOAPIC_BASE + IOAPIC_SELECT, reg);
}

static u32 get(struct gondola_vcpu *vcpu, u32 reg)
{
	select(vcpu, reg);
	return irq_test_mmio_read(vcpu, IOAPIC_BASE + IOAPIC_WINDOW);
}

static void set(struct gondola_vcpu *vcpu, u32 reg, u32 val)
{
	select(vcpu, reg);
	irq_test_mmio_write(vcpu, IOAPIC_BASE + IOAPIC_WINDOW, val);
}

static u64 get_entry(struct gondola_vcpu *vcpu, u32 pin)
{
	return (u64)get(vcpu, 0x11 + 2 * pin) << 32 | get(vcpu, 0x10 + 2 * pin);
}

static void set_entry(struct gondola_vcpu *vcpu, u32 pin, u64 entry)
{
	set(vcpu, 0x11 + 2 * pin, entry >> 32);
	set(vcpu, 0x10 + 2 * pin, entry);
}

static void line(struct gondola_vcpu *vcpu, u32 gsi, bool level)
{
	gondola_irq_set_line(vcpu->vm, gsi, GONDOLA_IRQ_LAUNCHER, level);
}

static int take_and_end(struct gondola_vcpu *vcpu)
{
	int vector = irq_test_take(vcpu);

	if (vector >= 0)
		lapic_out(vcpu, LAPIC_EOI, 0);
	return vector;
}

static void registers(struct kunit *test)
{
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];
	u32 pin;

	KUNIT_EXPECT_EQ(test, get(vcpu, 1), 0x170011);
	set(vcpu, 1, ~0u);
	KUNIT_EXPECT_EQ(test, get(vcpu, 1), 0x170011);
	set(vcpu, 0, ~0u);
	KUNIT_EXPECT_EQ(test, get(vcpu, 0), 0x0f000000);
	KUNIT_EXPECT_EQ(test, get(vcpu, 2), 0x0f000000);
	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		KUNIT_EXPECT_EQ(test, get_entry(vcpu, pin), REDIR_MASKED);
		set_entry(vcpu, pin, ~0ull);
		KUNIT_EXPECT_EQ(test, get_entry(vcpu, pin), REDIR_DEFINED & ~REDIR_READ_ONLY);
	}
	/* There is nothing beyond the last pin. */
	set(vcpu, 0x40, ~0u);
	KUNIT_EXPECT_EQ(test, get(vcpu, 0x40), 0);
	set(vcpu, 0xff, ~0u);
	KUNIT_EXPECT_EQ(test, get(vcpu, 0xff), 0);
	/* The rest of the page reads 0 and ignores writes. */
	irq_test_mmio_write(vcpu, IOAPIC_BASE + 0x40, 0x31);
	KUNIT_EXPECT_EQ(test, irq_test_mmio_read(vcpu, IOAPIC_BASE + 0x40), 0);
}

static void edges(struct kunit *test)
{
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];

	set_entry(vcpu, 17, 0x51);
	line(vcpu, 17, true);
	KUNIT_EXPECT_TRUE(test, gondola_take_request(vcpu, GONDOLA_REQ_EVENT));
	KUNIT_EXPECT_EQ(test, take_and_end(vcpu), 0x51);
	line(vcpu, 17, true);
	KUNIT_EXPECT_EQ_MSG(test, take_and_end(vcpu), -1, "no edge");
	line(vcpu, 17, false);
	KUNIT_EXPECT_EQ(test, take_and_end(vcpu), -1);
	line(vcpu, 17, true);
	KUNIT_EXPECT_EQ(test, take_and_end(vcpu), 0x51);
	/* An edge on a masked pin is lost. */
	line(vcpu, 17, false);
	set_entry(vcpu, 17, REDIR_MASKED | 0x51);
	line(vcpu, 17, true);
	set_entry(vcpu, 17, 0x51);
	KUNIT_EXPECT_EQ(test, take_and_end(vcpu), -1);
}

static void levels(struct kunit *test)
{
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];

	set_entry(vcpu, 9, REDIR_LEVEL | 0x61);
	line(vcpu, 9, true);
	KUNIT_EXPECT_EQ(test, get_entry(vcpu, 9), REDIR_LEVEL | REDIR_REMOTE_IRR | 0x61);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x61);
	KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_TMR + 0x30), 2);
	/* It sends again only after the EOI. */
	line(vcpu, 9, false);
	line(vcpu, 9, true);
	KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_IRR + 0x30), 0);
	lapic_out(vcpu, LAPIC_EOI, 0);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x61);
	line(vcpu, 9, false);
	lapic_out(vcpu, LAPIC_EOI, 0);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), -1);
	KUNIT_EXPECT_EQ(test, get_entry(vcpu, 9), REDIR_LEVEL | 0x61);
	/* A pin that is high is unmasked. */
	set_entry(vcpu, 9, REDIR_LEVEL | REDIR_MASKED | 0x61);
	line(vcpu, 9, true);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), -1);
	set_entry(vcpu, 9, REDIR_LEVEL | 0x61);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x61);
	/* A switch to edge mode and back clears remote IRR, as there is no directed EOI. */
	set_entry(vcpu, 9, REDIR_MASKED | 0x61);
	KUNIT_EXPECT_EQ(test, get_entry(vcpu, 9), REDIR_MASKED | 0x61);
	line(vcpu, 9, false);
}

static void storm_is_bounded_by_eoi(struct kunit *test)
{
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];
	unsigned int i;

	set_entry(vcpu, 16, REDIR_LEVEL | 0x71);
	line(vcpu, 16, true);
	for (i = 0; i < 1000; i++) {
		KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x71);
		KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), -1);
		lapic_out(vcpu, LAPIC_EOI, 0);
	}
	/* No vCPU takes it, so no EOI is expected. */
	lapic_out(vcpu, LAPIC_SVR, 0xff);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x71);
	lapic_out(vcpu, LAPIC_EOI, 0);
	KUNIT_EXPECT_EQ(test, get_entry(vcpu, 16), REDIR_LEVEL | 0x71);
}

static void sources_share_a_line(struct kunit *test)
{
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];
	struct gondola_vm *vm = vcpu->vm;

	set_entry(vcpu, 2, REDIR_LEVEL | 0x51);
	gondola_irq_set_line(vm, 0, GONDOLA_IRQ_PIT, true);
	KUNIT_EXPECT_EQ_MSG(test, irq_test_take(vcpu), 0x51, "line 0 is pin 2");
	gondola_irq_set_line(vm, 0, GONDOLA_IRQ_LAUNCHER, true);
	gondola_irq_set_line(vm, 0, GONDOLA_IRQ_PIT, false);
	lapic_out(vcpu, LAPIC_EOI, 0);
	KUNIT_EXPECT_EQ_MSG(test, irq_test_take(vcpu), 0x51, "still held by the other");
	gondola_irq_set_line(vm, 0, GONDOLA_IRQ_LAUNCHER, false);
	lapic_out(vcpu, LAPIC_EOI, 0);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), -1);
}

static void destinations(struct kunit *test)
{
	struct gondola_vm *vm = irq_test_vm(test, 3);
	struct gondola_vcpu *vcpu = vm->vcpus[0];
	unsigned int i;

	for (i = 0; i < 3; i++) {
		lapic_out(vm->vcpus[i], LAPIC_SVR, 0x1ff);
		lapic_out(vm->vcpus[i], LAPIC_LDR, BIT(i) << 24);
	}
	set_entry(vcpu, 20, 2ull << 56 | 0x51);
	line(vcpu, 20, true);
	KUNIT_EXPECT_EQ(test, take_and_end(vm->vcpus[2]), 0x51);
	KUNIT_EXPECT_EQ(test, take_and_end(vm->vcpus[0]), -1);
	line(vcpu, 20, false);
	/* A level goes to two vCPUs; after the first EOI it may be sent again. */
	set_entry(vcpu, 20, 6ull << 56 | REDIR_LOGICAL | REDIR_LEVEL | 0x51);
	line(vcpu, 20, true);
	KUNIT_EXPECT_EQ(test, irq_test_take(vm->vcpus[1]), 0x51);
	KUNIT_EXPECT_EQ(test, irq_test_take(vm->vcpus[2]), 0x51);
	line(vcpu, 20, false);
	lapic_out(vm->vcpus[1], LAPIC_EOI, 0);
	lapic_out(vm->vcpus[2], LAPIC_EOI, 0);
	KUNIT_EXPECT_EQ(test, get_entry(vcpu, 20) & REDIR_REMOTE_IRR, 0);
	/* NMI; and modes that do nothing here. */
	vm->vcpus[1]->requests = 0;
	set_entry(vcpu, 21, 1ull << 56 | DELIVER_NMI << DELIVERY_SHIFT);
	line(vcpu, 21, true);
	KUNIT_EXPECT_TRUE(test, gondola_take_request(vm->vcpus[1], GONDOLA_REQ_NMI));
	vm->vcpus[1]->requests = 0;
	for (i = 0; i < 8; i++) {
		if (i == DELIVER_FIXED || i == DELIVER_LOWEST || i == DELIVER_NMI ||
		    i == DELIVER_INIT)
			continue;
		line(vcpu, 22, false);
		set_entry(vcpu, 22, 1ull << 56 | i << DELIVERY_SHIFT | 0x51);
		line(vcpu, 22, true);
		KUNIT_EXPECT_EQ_MSG(test, vm->vcpus[1]->requests, 0, "delivery mode %u", i);
	}
}

static void state_survives(struct kunit *test)
{
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];
	struct gondola_vm *vm = vcpu->vm;
	struct gondola_rec_ioapic rec, again;
	u32 bad = 0;

	set(vcpu, 0, 0x03000000);
	set_entry(vcpu, 9, REDIR_LEVEL | 0x61);
	set_entry(vcpu, 11, REDIR_LEVEL | REDIR_MASKED | 0x62);
	line(vcpu, 9, true);
	line(vcpu, 11, true);
	KUNIT_ASSERT_EQ(test, ioapic_get(vm, &rec), 0);
	line(vcpu, 9, false);
	line(vcpu, 11, false);
	set_entry(vcpu, 9, REDIR_MASKED);
	KUNIT_ASSERT_EQ(test, ioapic_set(vm, &rec, &bad), 0);
	KUNIT_ASSERT_EQ(test, ioapic_get(vm, &again), 0);
	KUNIT_EXPECT_EQ(test, memcmp(&rec, &again, sizeof(rec)), 0);
	/* The launcher can release a line that it held when the VM was saved. */
	KUNIT_EXPECT_EQ(test, take_and_end(vcpu), 0x61);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x61);
	line(vcpu, 9, false);
	lapic_out(vcpu, LAPIC_EOI, 0);
	KUNIT_EXPECT_EQ(test, take_and_end(vcpu), -1);

	again.redirect[3] = BIT_ULL(20);
	KUNIT_EXPECT_EQ(test, ioapic_set(vm, &again, &bad), -EINVAL);
	KUNIT_EXPECT_EQ(test, bad, 3 * 8);
	again.redirect[3] = REDIR_REMOTE_IRR;
	KUNIT_EXPECT_EQ(test, ioapic_set(vm, &again, &bad), -EINVAL);
	again.redirect[3] = 0;
	again.level = BIT(24);
	KUNIT_EXPECT_EQ(test, ioapic_set(vm, &again, &bad), -EINVAL);
	KUNIT_EXPECT_EQ(test, bad, offsetof(struct gondola_rec_ioapic, level));
}

static struct kunit_case cases[] = {
	KUNIT_CASE(registers),
	KUNIT_CASE(edges),
	KUNIT_CASE(levels),
	KUNIT_CASE(storm_is_bounded_by_eoi),
	KUNIT_CASE(sources_share_a_line),
	KUNIT_CASE(destinations),
	KUNIT_CASE(state_survives),
	{}
};

static struct kunit_suite suite = {
	.name = "gondola_ioapic",
	.exit = irq_test_exit,
	.test_cases = cases,
};
kunit_test_suite(suite);
