// SPDX-License-Identifier: GPL-2.0-only
/* Suite pic: two 8259A, and their connection to the processor. */
#include <linux/prandom.h>
#include "test_host.h"

#define M	0x20
#define S	0xa0

/* The set-up of PC software: vectors 0x30 and 0x38. */
static struct gondola_vcpu *setup(struct kunit *test, u8 icw4)
{
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];

	irq_test_out(vcpu, M, 0x11);
	irq_test_out(vcpu, M + 1, 0x30);
	irq_test_out(vcpu, M + 1, 0x04);
	irq_test_out(vcpu, M + 1, icw4);
	irq_test_out(vcpu, S, 0x11);
	irq_test_out(vcpu, S + 1, 0x38);
	irq_test_out(vcpu, S + 1, 0x02);
	irq_test_out(vcpu, S + 1, icw4);
	return vcpu;
}

static void line(struct gondola_vcpu *vcpu, u32 gsi, bool level)
{
	gondola_irq_set_line(vcpu->vm, gsi, GONDOLA_IRQ_LAUNCHER, level);
}

static void pulse(struct gondola_vcpu *vcpu, u32 gsi)
{
	line(vcpu, gsi, true);
	line(vcpu, gsi, false);
}

static void priorities(struct kunit *test)
{
	struct gondola_vcpu *vcpu = setup(test, 0x01);

	pulse(vcpu, 4);
	KUNIT_EXPECT_TRUE(test, gondola_take_request(vcpu, GONDOLA_REQ_EVENT));
	pulse(vcpu, 1);
	pulse(vcpu, 12);
	KUNIT_EXPECT_EQ(test, irq_test_in(vcpu, M), 0x16);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x31);
	KUNIT_EXPECT_EQ_MSG(test, irq_test_take(vcpu), -1, "lower ones wait");
	irq_test_out(vcpu, M, 0x0b);
	KUNIT_EXPECT_EQ(test, irq_test_in(vcpu, M), 0x02);
	irq_test_out(vcpu, M, 0x20);
	/* The slave's lines come by line 2, so before 4. */
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x3c);
	KUNIT_EXPECT_EQ(test, irq_test_in(vcpu, M), 0x04);
	irq_test_out(vcpu, S, 0x20);
	irq_test_out(vcpu, M, 0x20);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x34);
	/* Nesting: a higher line interrupts; a specific EOI ends the lower one. */
	pulse(vcpu, 0);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x30);
	irq_test_out(vcpu, M, 0x64);
	KUNIT_EXPECT_EQ(test, irq_test_in(vcpu, M), 0x01);
	irq_test_out(vcpu, M, 0x20);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), -1);
}

static void masks(struct kunit *test)
{
	struct gondola_vcpu *vcpu = setup(test, 0x01);

	irq_test_out(vcpu, M + 1, 0xfb);
	irq_test_out(vcpu, S + 1, 0xff);
	KUNIT_EXPECT_EQ(test, irq_test_in(vcpu, M + 1), 0xfb);
	pulse(vcpu, 3);
	pulse(vcpu, 9);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), -1);
	irq_test_out(vcpu, S + 1, 0xfd);
	KUNIT_EXPECT_EQ_MSG(test, irq_test_take(vcpu), 0x39, "the edge was kept");
	irq_test_out(vcpu, S, 0x20);
	irq_test_out(vcpu, M, 0x20);
	irq_test_out(vcpu, M + 1, 0xf7);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x33);
	/* Special mask mode: a masked line in service blocks no other line. */
	pulse(vcpu, 5);
	irq_test_out(vcpu, M + 1, 0x08);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), -1);
	irq_test_out(vcpu, M, 0x68);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x35);
	/* In this mode a non-specific EOI does not end a masked line. */
	irq_test_out(vcpu, M, 0x20);
	irq_test_out(vcpu, M, 0x0b);
	KUNIT_EXPECT_EQ(test, irq_test_in(vcpu, M), 0x08);
	irq_test_out(vcpu, M, 0x48);
	KUNIT_EXPECT_FALSE(test, vcpu->vm->irqchip->pic.chip[0].special_mask);
}

static void levels(struct kunit *test)
{
	struct gondola_vcpu *vcpu = setup(test, 0x01);
	u32 both = 0xffff;

	KUNIT_EXPECT_TRUE(test, gondola_irq_pio(vcpu, 0x4d0, 2, true, &both));
	KUNIT_EXPECT_TRUE(test, gondola_irq_pio(vcpu, 0x4d0, 2, false, &both));
	KUNIT_EXPECT_EQ_MSG(test, both, 0xdef8, "fixed lines stay edge-triggered");
	line(vcpu, 11, true);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x3b);
	irq_test_out(vcpu, S, 0x20);
	irq_test_out(vcpu, M, 0x20);
	KUNIT_EXPECT_EQ_MSG(test, irq_test_take(vcpu), 0x3b, "still high");
	line(vcpu, 11, false);
	irq_test_out(vcpu, S, 0x20);
	irq_test_out(vcpu, M, 0x20);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), -1);
	/* A level that falls before it is acknowledged does not interrupt. */
	line(vcpu, 10, true);
	line(vcpu, 10, false);
	KUNIT_EXPECT_FALSE(test, gondola_irq_pending(vcpu));
	KUNIT_EXPECT_EQ(test, gondola_irq_ack(vcpu), -1);
}

/* After an acknowledge that the guest did not take, this line alone is requested once more. */
static void interrupts_are_taken_back(struct kunit *test)
{
	struct gondola_vcpu *vcpu = setup(test, 0x01);
	struct pic *pic = &vcpu->vm->irqchip->pic;

	KUNIT_EXPECT_FALSE(test, gondola_irq_take_back(vcpu));
	pulse(vcpu, 5);
	pulse(vcpu, 12);
	/* The second chip's interrupt comes first.  The LAPIC's has the vector of line 12. */
	lapic_accept(vcpu->lapic, 0x3c, false, false);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x3c);
	KUNIT_EXPECT_TRUE(test, gondola_irq_take_back(vcpu));
	KUNIT_EXPECT_FALSE(test, gondola_irq_take_back(vcpu));
	KUNIT_EXPECT_EQ(test, pic->chip[0].isr | pic->chip[1].isr, 0);
	KUNIT_EXPECT_EQ(test, vcpu->lapic->isr_top, -1);
	/* A more urgent interrupt that arrives meanwhile is taken first. */
	pulse(vcpu, 1);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x31);
	irq_test_out(vcpu, M, 0x20);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x3c);
	irq_test_out(vcpu, S, 0x20);
	irq_test_out(vcpu, M, 0x20);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x35);
	irq_test_out(vcpu, M, 0x20);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x3c);
	lapic_out(vcpu, LAPIC_EOI, 0);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), -1);
	/* A level that falls meanwhile does not interrupt. */
	irq_test_out(vcpu, 0x4d1, 0x08);
	line(vcpu, 11, true);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x3b);
	line(vcpu, 11, false);
	KUNIT_EXPECT_TRUE(test, gondola_irq_take_back(vcpu));
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), -1);
	KUNIT_EXPECT_EQ(test, pic->chip[0].isr | pic->chip[1].isr, 0);
}

static void rotation(struct kunit *test)
{
	struct gondola_vcpu *vcpu = setup(test, 0x01);
	int i;

	/* Rotate on EOI: the line just served gets the lowest priority. */
	pulse(vcpu, 3);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x33);
	irq_test_out(vcpu, M, 0xa0);
	pulse(vcpu, 3);
	pulse(vcpu, 4);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x34);
	irq_test_out(vcpu, M, 0x20);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x33);
	irq_test_out(vcpu, M, 0x20);
	/* Set priority: line 5 last, so 6 first. */
	irq_test_out(vcpu, M, 0xc5);
	pulse(vcpu, 0);
	pulse(vcpu, 6);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x36);
	irq_test_out(vcpu, M, 0x66);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x30);
	irq_test_out(vcpu, M, 0x60);
	/* Automatic EOI with rotation. */
	vcpu = setup(test, 0x03);
	irq_test_out(vcpu, M, 0x80);
	for (i = 0; i < 3; i++) {
		pulse(vcpu, 4);
		pulse(vcpu, 5);
		KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x34);
		KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x35);
		irq_test_out(vcpu, M, 0x0b);
		KUNIT_EXPECT_EQ(test, irq_test_in(vcpu, M), 0);
	}
}

static void polls(struct kunit *test)
{
	struct gondola_vcpu *vcpu = setup(test, 0x01);

	irq_test_out(vcpu, M, 0x0c);
	KUNIT_EXPECT_EQ(test, irq_test_in(vcpu, M), 0);
	pulse(vcpu, 6);
	irq_test_out(vcpu, M, 0x0c);
	KUNIT_EXPECT_EQ(test, irq_test_in(vcpu, M), 0x86);
	KUNIT_EXPECT_EQ_MSG(test, irq_test_take(vcpu), -1, "a poll is an acknowledgement");
	irq_test_out(vcpu, M, 0x0b);
	KUNIT_EXPECT_EQ(test, irq_test_in(vcpu, M), 0x40);
}

static void fully_nested_lets_the_slave_through(struct kunit *test)
{
	struct gondola_vcpu *vcpu = setup(test, 0x01);

	pulse(vcpu, 12);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x3c);
	pulse(vcpu, 8);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), -1);
	vcpu = setup(test, 0x11);
	pulse(vcpu, 12);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x3c);
	pulse(vcpu, 8);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x38);
}

static void reaches_the_processor_by_lint0(struct kunit *test)
{
	struct gondola_vcpu *vcpu = setup(test, 0x01);
	u32 lint0 = LAPIC_LVT + LVT_LINT0 * 16;

	/* ExtINT ignores the task priority, and does not change the LAPIC. */
	lapic_out(vcpu, LAPIC_TPR, 0xff);
	pulse(vcpu, 1);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x31);
	KUNIT_EXPECT_EQ(test, vcpu->lapic->isr_top, -1);
	irq_test_out(vcpu, M, 0x20);
	lapic_out(vcpu, LAPIC_TPR, 0);
	/* Masked. */
	lapic_out(vcpu, lint0, LVT_MASKED | DELIVER_EXTINT << DELIVERY_SHIFT);
	pulse(vcpu, 1);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), -1);
	lapic_out(vcpu, lint0, DELIVER_EXTINT << DELIVERY_SHIFT);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x31);
	irq_test_out(vcpu, M, 0x20);
	/* Fixed mode has the LAPIC's own vector; the PIC's request still waits for a poll. */
	lapic_out(vcpu, lint0, 0x55);
	pulse(vcpu, 1);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x55);
	lapic_out(vcpu, LAPIC_EOI, 0);
	irq_test_out(vcpu, M, 0x0c);
	KUNIT_EXPECT_EQ(test, irq_test_in(vcpu, M), 0x81);
	irq_test_out(vcpu, M, 0x20);
	/* NMI. */
	lapic_out(vcpu, lint0, DELIVER_NMI << DELIVERY_SHIFT);
	pulse(vcpu, 1);
	KUNIT_EXPECT_TRUE(test, gondola_take_request(vcpu, GONDOLA_REQ_NMI));
	/* With the LAPIC off the PIC is wired to the processor. */
	gondola_lapic_set_msr(vcpu, MSRX_APIC_BASE, LAPIC_DEFAULT_BASE);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x31);
}

static void line_2_is_the_cascade(struct kunit *test)
{
	struct gondola_vcpu *vcpu = setup(test, 0x01);

	line(vcpu, 2, true);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), -1);
	KUNIT_EXPECT_EQ(test, irq_test_in(vcpu, M), 0);
}

/* Each GSI above the ISA lines reaches the PIC on one of these lines. */
static void the_router_has_lines_for_gsis_above_15(struct kunit *test)
{
	static const u8 lines[] = { 10, 11, 5, 3, 7, 6, 14, 15 };
	struct gondola_vcpu *vcpu = setup(test, 0x01);
	struct gondola_rec_ioapic ioapic;
	struct gondola_rec_pic pic;
	u32 i, bad;

	for (i = 0; i < ARRAY_SIZE(lines); i++) {
		pulse(vcpu, 16 + i);
		KUNIT_EXPECT_EQ_MSG(test, irq_test_take(vcpu), 0x30 + lines[i], "GSI %u", 16 + i);
		if (lines[i] >= 8)
			irq_test_out(vcpu, S, 0x20);
		irq_test_out(vcpu, M, 0x20);
	}
	/* Two drivers of one line. */
	irq_test_out(vcpu, 0x4d1, 0x04);
	line(vcpu, 10, true);
	line(vcpu, 16, true);
	line(vcpu, 10, false);
	KUNIT_EXPECT_EQ_MSG(test, irq_test_in(vcpu, S), 0x04, "GSI 16 holds it");
	/* Restored in either order, the line falls with the GSI that holds it. */
	pic_get(vcpu->vm, &pic);
	ioapic_get(vcpu->vm, &ioapic);
	for (i = 0; i < 2; i++) {
		line(vcpu, 16, false);
		if (i)
			KUNIT_EXPECT_EQ(test, ioapic_set(vcpu->vm, &ioapic, &bad), 0);
		KUNIT_EXPECT_EQ(test, pic_set(vcpu->vm, &pic, &bad), 0);
		if (!i)
			KUNIT_EXPECT_EQ(test, ioapic_set(vcpu->vm, &ioapic, &bad), 0);
		KUNIT_EXPECT_EQ(test, irq_test_in(vcpu, S), 0x04);
		line(vcpu, 16, false);
		KUNIT_EXPECT_EQ_MSG(test, irq_test_in(vcpu, S), 0, "order %u", i);
	}
}

static void state_survives(struct kunit *test)
{
	struct gondola_vcpu *vcpu = setup(test, 0x01);
	struct gondola_vm *vm = vcpu->vm;
	struct gondola_rec_pic rec, again;
	u32 bad = 0;

	irq_test_out(vcpu, 0x4d1, 0x08);
	line(vcpu, 11, true);
	pulse(vcpu, 6);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x3b);
	irq_test_out(vcpu, M, 0x11);	/* in the middle of initialisation */
	irq_test_out(vcpu, M + 1, 0x40);
	KUNIT_ASSERT_EQ(test, pic_get(vm, &rec), 0);
	setup(test, 0x01);
	vcpu = ((struct gondola_vm *)test->priv)->vcpus[0];
	vm = vcpu->vm;
	KUNIT_ASSERT_EQ(test, pic_set(vm, &rec, &bad), 0);
	KUNIT_ASSERT_EQ(test, pic_get(vm, &again), 0);
	KUNIT_EXPECT_EQ(test, memcmp(&rec, &again, sizeof(rec)), 0);
	irq_test_out(vcpu, M + 1, 0x04);
	irq_test_out(vcpu, M + 1, 0x01);
	irq_test_out(vcpu, S, 0x20);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x3b);
	irq_test_out(vcpu, M, 0x20);
	line(vcpu, 11, false);
	irq_test_out(vcpu, S, 0x20);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), -1);

	again = rec;
	again.chip[1].vector_base = 0x3f;
	KUNIT_EXPECT_EQ(test, pic_set(vm, &again, &bad), -EINVAL);
	KUNIT_EXPECT_EQ(test, bad, offsetof(struct gondola_rec_pic, chip[1].vector_base));
	again = rec;
	again.chip[0].elcr = 0x01;
	KUNIT_EXPECT_EQ(test, pic_set(vm, &again, &bad), -EINVAL);
	KUNIT_EXPECT_EQ(test, bad, offsetof(struct gondola_rec_pic, chip[0].elcr));
}

static void ports(struct kunit *test)
{
	static const u16 not_ours[] = { 0, 0x1f, 0x22, 0x3f, 0x44, 0x60, 0x62, 0x9f, 0xa2, 0x3f8,
					0x4cf, 0x4d2, 0xcf8, 0xffff };
	struct gondola_vcpu *vcpu = setup(test, 0x01);
	u32 val = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(not_ours); i++)
		KUNIT_EXPECT_FALSE_MSG(test, gondola_irq_pio(vcpu, not_ours[i], 1, false, &val),
				       "%#x", not_ours[i]);
	/* A wide access is split into bytes; bytes that no chip claims read as ones. */
	irq_test_out(vcpu, M + 1, 0x5a);
	KUNIT_EXPECT_TRUE(test, gondola_irq_pio(vcpu, M + 1, 2, false, &val));
	KUNIT_EXPECT_EQ(test, val, 0xff5a);
}

static void survives_nonsense(struct kunit *test)
{
	static const u16 all[] = { 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1 };
	struct gondola_vcpu *vcpu = setup(test, 0x01);
	struct pic *pic = &vcpu->vm->irqchip->pic;
	struct gondola_rec_pic rec;
	struct rnd_state rnd;
	unsigned int i;
	u32 bad;

	prandom_seed_state(&rnd, 8259);
	for (i = 0; i < 100000; i++) {
		u32 r = prandom_u32_state(&rnd);
		u16 port = all[(r >> 8) % ARRAY_SIZE(all)];

		if (r & 0x1000000)
			irq_test_out(vcpu, port, r);
		else
			irq_test_in(vcpu, port);
		line(vcpu, r >> 28, r & 0x2000000);
		if (r & 0x4000000)
			irq_test_take(vcpu);
		if (pic->chip[0].first > 7 || pic->chip[0].elcr & 7 || pic->chip[1].base & 7)
			break;
	}
	KUNIT_EXPECT_EQ(test, i, 100000);
	pic_get(vcpu->vm, &rec);
	KUNIT_EXPECT_EQ(test, pic_set(vcpu->vm, &rec, &bad), 0);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(priorities),
	KUNIT_CASE(masks),
	KUNIT_CASE(levels),
	KUNIT_CASE(interrupts_are_taken_back),
	KUNIT_CASE(rotation),
	KUNIT_CASE(polls),
	KUNIT_CASE(fully_nested_lets_the_slave_through),
	KUNIT_CASE(reaches_the_processor_by_lint0),
	KUNIT_CASE(line_2_is_the_cascade),
	KUNIT_CASE(the_router_has_lines_for_gsis_above_15),
	KUNIT_CASE(state_survives),
	KUNIT_CASE(ports),
	KUNIT_CASE(survives_nonsense),
	{}
};

static struct kunit_suite suite = {
	.name = "gondola_pic",
	.exit = irq_test_exit,
	.test_cases = cases,
};
kunit_test_suite(suite);
