// SPDX-License-Identifier: GPL-2.0-only
/* Suite gondola_lapic: registers, priorities, messages, x2APIC, saved state, hostile writes. */
#include <linux/prandom.h>
#include "test_host.h"

/* A destination field in the high word, as the xAPIC's ICR has it. */
static void send_ipi(struct gondola_vcpu *from, u8 dest, u32 icr)
{
	lapic_out(from, LAPIC_ICR2, (u32)dest << 24);
	lapic_out(from, LAPIC_ICR, icr);
}

static void enable_all(struct gondola_vm *vm)
{
	struct gondola_vcpu *vcpu;
	unsigned int i;

	gondola_for_each_vcpu(vcpu, vm, i)
		lapic_out(vcpu, LAPIC_SVR, LAPIC_SVR_ENABLE | 0xff);
}

static int x2apic_on(struct gondola_vcpu *vcpu)
{
	return gondola_lapic_set_msr(vcpu, MSRX_APIC_BASE,
				     LAPIC_DEFAULT_BASE | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
}

static int wr(struct gondola_vcpu *vcpu, u32 reg, u64 val)
{
	return gondola_lapic_set_msr(vcpu, MSRX_X2APIC + (reg >> 4), val);
}

/* Bit i: vCPU i has vector 0x50 requested. All are then taken and ended. */
static u32 who_got(struct gondola_vm *vm)
{
	struct gondola_vcpu *vcpu;
	unsigned int i;
	u32 who = 0;

	gondola_for_each_vcpu(vcpu, vm, i) {
		if (irq_test_take(vcpu) != 0x50)
			continue;
		who |= BIT(i);
		if (lapic_x2apic(vcpu->lapic))
			wr(vcpu, LAPIC_EOI, 0);
		else
			lapic_out(vcpu, LAPIC_EOI, 0);
	}
	return who;
}

static void starts_as_firmware_leaves_it(struct kunit *test)
{
	struct gondola_vm *vm = irq_test_vm(test, 2);
	struct gondola_vcpu *bsp = vm->vcpus[0], *ap = vm->vcpus[1];
	u64 base;

	KUNIT_EXPECT_EQ(test, lapic_in(bsp, LAPIC_SVR), 0x1ff);
	KUNIT_EXPECT_EQ(test, lapic_in(bsp, LAPIC_LVT + LVT_LINT0 * 16), 0x700);
	KUNIT_EXPECT_EQ(test, lapic_in(bsp, LAPIC_LVT + LVT_LINT1 * 16), 0x400);
	KUNIT_EXPECT_EQ(test, lapic_in(bsp, LAPIC_LVT), 0x10000);
	KUNIT_EXPECT_EQ(test, lapic_in(bsp, LAPIC_VERSION), 0x50014);
	KUNIT_EXPECT_EQ(test, lapic_in(bsp, LAPIC_DFR), 0xffffffff);
	KUNIT_EXPECT_EQ(test, lapic_in(ap, LAPIC_ID), 0x01000000);
	KUNIT_EXPECT_EQ(test, lapic_in(ap, LAPIC_SVR), 0xff);
	KUNIT_EXPECT_EQ(test, lapic_in(ap, LAPIC_LVT + LVT_LINT0 * 16), 0x10000);
	KUNIT_EXPECT_FALSE(test, gondola_lapic_waiting(bsp));
	KUNIT_EXPECT_TRUE(test, gondola_lapic_waiting(ap));
	KUNIT_EXPECT_EQ(test, gondola_lapic_get_msr(bsp, MSRX_APIC_BASE, &base), 0);
	KUNIT_EXPECT_EQ(test, base, 0xfee00900);
	KUNIT_EXPECT_EQ(test, gondola_lapic_get_msr(ap, MSRX_APIC_BASE, &base), 0);
	KUNIT_EXPECT_EQ(test, base, 0xfee00800);
}

static void nests_by_priority(struct kunit *test)
{
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];
	u32 self = TO_SELF << ICR_SHORTHAND_SHIFT;

	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), -1);
	lapic_out(vcpu, LAPIC_ICR, self | 0x41);
	lapic_out(vcpu, LAPIC_ICR, self | 0x4f);
	KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_IRR + 0x20), 0x8002);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x4f);
	KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_PPR), 0x40);
	KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_ISR + 0x20), 0x8000);
	/* The same class does not interrupt itself, a higher one does. */
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), -1);
	lapic_out(vcpu, LAPIC_ICR, self | 0xf0);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0xf0);
	KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_PPR), 0xf0);
	lapic_out(vcpu, LAPIC_EOI, 0);
	KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_PPR), 0x40);
	lapic_out(vcpu, LAPIC_EOI, 0);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x41);
	lapic_out(vcpu, LAPIC_EOI, 0);
	KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_PPR), 0);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), -1);
	KUNIT_EXPECT_FALSE_MSG(test, vcpu->lapic->attention, "it goes on looking for nothing");
	/* An EOI too many is nothing. */
	lapic_out(vcpu, LAPIC_EOI, 0);
	KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_PPR), 0);
}

static void tpr_holds_back(struct kunit *test)
{
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];

	lapic_out(vcpu, LAPIC_TPR, 0x58);
	KUNIT_EXPECT_EQ(test, gondola_lapic_cr8(vcpu), 5);
	KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_PPR), 0x58);
	lapic_accept(vcpu->lapic, 0x5f, false, false);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), -1);
	gondola_lapic_set_cr8(vcpu, 4);
	KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_TPR), 0x40);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x5f);
	/* Interrupts in service count by class, TPR in full. */
	KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_PPR), 0x50);
	gondola_lapic_set_cr8(vcpu, 5);
	KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_PPR), 0x50);
	lapic_out(vcpu, LAPIC_EOI, 0);
}

static void takes_every_legal_vector(struct kunit *test)
{
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];
	int v;

	for (v = 0; v < 256; v++)
		KUNIT_EXPECT_EQ(test, lapic_accept(vcpu->lapic, v, false, false), v >= 16);
	for (v = 255; v >= 16; v--) {
		KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), v);
		lapic_out(vcpu, LAPIC_EOI, 0);
	}
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), -1);
	/* The sixteen illegal ones left an error. */
	lapic_out(vcpu, LAPIC_ESR, 0);
	KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_ESR), LAPIC_ESR_RECV_VECTOR);
}

static void disabled_takes_nothing(struct kunit *test)
{
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];
	unsigned int i;

	lapic_out(vcpu, LAPIC_SVR, 0xff);
	for (i = 0; i < NR_LVTS; i++) {
		KUNIT_EXPECT_TRUE(test, lapic_in(vcpu, LAPIC_LVT + i * 16) & LVT_MASKED);
		lapic_out(vcpu, LAPIC_LVT + i * 16, 0x30);
		KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_LVT + i * 16), LVT_MASKED | 0x30);
	}
	KUNIT_EXPECT_FALSE(test, lapic_accept(vcpu->lapic, 0x30, false, false));
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), -1);

	/* Switched off by its MSR it is not even there. */
	KUNIT_EXPECT_EQ(test, gondola_lapic_set_msr(vcpu, MSRX_APIC_BASE, LAPIC_DEFAULT_BASE), 0);
	KUNIT_EXPECT_EQ(test, gondola_irq_mmio(vcpu, LAPIC_DEFAULT_BASE, 4, false, &i), -ENXIO);
	KUNIT_EXPECT_FALSE(test, lapic_accept(vcpu->lapic, 0x30, false, false));
}

static void errors_interrupt(struct kunit *test)
{
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];

	lapic_out(vcpu, LAPIC_LVT + LVT_ERROR * 16, 0x33);
	lapic_out(vcpu, LAPIC_ICR, TO_SELF << ICR_SHORTHAND_SHIFT | 5);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x33);
	lapic_out(vcpu, LAPIC_EOI, 0);
	KUNIT_EXPECT_EQ_MSG(test, lapic_in(vcpu, LAPIC_ESR), 0, "errors show only after a write");
	lapic_in(vcpu, 0x3d0);
	lapic_out(vcpu, LAPIC_ESR, 0);
	KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_ESR),
			LAPIC_ESR_SEND_VECTOR | LAPIC_ESR_REGISTER);
	lapic_out(vcpu, LAPIC_ESR, 0);
	KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_ESR), 0);
	/* An error entry with an illegal vector must not chase its own tail. */
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x33);
	lapic_out(vcpu, LAPIC_EOI, 0);
	lapic_out(vcpu, LAPIC_LVT + LVT_ERROR * 16, 0x03);
	lapic_in(vcpu, 0x3d0);
	lapic_out(vcpu, LAPIC_ESR, 0);
	KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_ESR),
			LAPIC_ESR_RECV_VECTOR | LAPIC_ESR_REGISTER);
}

static void ipis_reach_whom_they_name(struct kunit *test)
{
	static const struct {
		const char *what;
		bool cluster;
		u8 dest;
		u32 icr;
		u32 expect;
	} cases[] = {
		{ "physical", false, 2, 0, BIT(2) },
		{ "physical, to itself", false, 0, 0, BIT(0) },
		{ "physical, nobody there", false, 9, 0, 0 },
		{ "physical, out of range", false, 0x80, 0, 0 },
		{ "physical broadcast", false, 0xff, 0, 0xf },
		{ "flat", false, 0x0a, ICR_LOGICAL, BIT(1) | BIT(3) },
		{ "flat, nobody", false, 0xf0, ICR_LOGICAL, 0 },
		{ "flat broadcast", false, 0xff, ICR_LOGICAL, 0xf },
		{ "cluster 0", true, 0x03, ICR_LOGICAL, BIT(0) | BIT(1) },
		{ "cluster 1", true, 0x13, ICR_LOGICAL, BIT(2) | BIT(3) },
		{ "cluster 1, one of it", true, 0x12, ICR_LOGICAL, BIT(3) },
		{ "cluster 2", true, 0x2f, ICR_LOGICAL, 0 },
		{ "self", false, 3, TO_SELF << ICR_SHORTHAND_SHIFT, BIT(0) },
		{ "all", false, 3, TO_ALL << ICR_SHORTHAND_SHIFT, 0xf },
		{ "all but self", false, 3, (u32)TO_OTHERS << ICR_SHORTHAND_SHIFT, 0xe },
		{ "SMI does nothing", false, 2, DELIVER_SMI << DELIVERY_SHIFT, 0 },
		{ "reserved does nothing", false, 2, DELIVER_RESERVED << DELIVERY_SHIFT, 0 },
		{ "ExtINT does nothing", false, 2, DELIVER_EXTINT << DELIVERY_SHIFT, 0 },
	};
	struct gondola_vm *vm = irq_test_vm(test, 4);
	unsigned int i, v;

	enable_all(vm);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		for (v = 0; v < 4; v++) {
			u32 cluster_id = (v / 2) << 4 | BIT(v & 1);

			lapic_out(vm->vcpus[v], LAPIC_DFR, cases[i].cluster ? 0 : 0xf0000000);
			lapic_out(vm->vcpus[v], LAPIC_LDR,
				  (cases[i].cluster ? cluster_id : BIT(v)) << 24);
			vm->vcpus[v]->requests = 0;
		}
		irq_test_kicked = 0;
		send_ipi(vm->vcpus[0], cases[i].dest, cases[i].icr | 0x50);
		/* The sender looks for itself before it enters again. */
		KUNIT_EXPECT_EQ_MSG(test, irq_test_kicked, cases[i].expect & ~1u, "%s",
				    cases[i].what);
		for (v = 1; v < 4; v++)
			KUNIT_EXPECT_EQ_MSG(test, test_bit(GONDOLA_REQ_EVENT,
							   &vm->vcpus[v]->requests),
					    !!(cases[i].expect & BIT(v)), "%s: request of %u",
					    cases[i].what, v);
		KUNIT_EXPECT_EQ_MSG(test, who_got(vm), cases[i].expect, "%s", cases[i].what);
	}
}

static void lowest_priority_picks_one(struct kunit *test)
{
	struct gondola_vm *vm = irq_test_vm(test, 4);
	u32 icr = DELIVER_LOWEST << DELIVERY_SHIFT | ICR_LOGICAL | 0x50, seen = 0, who;
	unsigned int i;

	enable_all(vm);
	for (i = 0; i < 4; i++)
		lapic_out(vm->vcpus[i], LAPIC_LDR, BIT(i) << 24);
	lapic_out(vm->vcpus[3], LAPIC_SVR, 0xff);
	lapic_out(vm->vcpus[1], LAPIC_TPR, 0x20);
	for (i = 0; i < 4; i++) {
		send_ipi(vm->vcpus[0], 0xf, icr);
		who = who_got(vm);
		KUNIT_EXPECT_EQ_MSG(test, hweight32(who), 1, "%#x", who);
		seen |= who;
	}
	KUNIT_EXPECT_EQ_MSG(test, seen, BIT(0) | BIT(2), "equals take turns, others never");
	send_ipi(vm->vcpus[0], 0x0a, icr);
	KUNIT_EXPECT_EQ(test, who_got(vm), BIT(1));
	send_ipi(vm->vcpus[0], 0x08, icr);
	KUNIT_EXPECT_EQ(test, who_got(vm), 0);
}

static void starts_processors(struct kunit *test)
{
	struct gondola_vm *vm = irq_test_vm(test, 2);
	struct gondola_vcpu *bsp = vm->vcpus[0], *ap = vm->vcpus[1];
	u32 init = DELIVER_INIT << DELIVERY_SHIFT, sipi = DELIVER_SIPI << DELIVERY_SHIFT;
	u8 vector = 0;

	KUNIT_EXPECT_EQ(test, gondola_lapic_take_startup(ap, &vector), GONDOLA_STARTUP_NONE);
	send_ipi(bsp, 1, init | ICR_ASSERT | ICR_LEVEL);
	KUNIT_EXPECT_TRUE(test, gondola_take_request(ap, GONDOLA_REQ_EVENT));
	send_ipi(bsp, 1, init | ICR_LEVEL);
	send_ipi(bsp, 1, sipi | 0x9a);
	send_ipi(bsp, 1, sipi | 0x9a);
	KUNIT_EXPECT_EQ(test, gondola_lapic_take_startup(ap, &vector), GONDOLA_STARTUP_INIT);
	KUNIT_EXPECT_TRUE(test, gondola_lapic_waiting(ap));
	KUNIT_EXPECT_EQ(test, gondola_lapic_take_startup(ap, &vector), GONDOLA_STARTUP_SIPI);
	KUNIT_EXPECT_EQ(test, vector, 0x9a);
	KUNIT_EXPECT_FALSE(test, gondola_lapic_waiting(ap));
	KUNIT_EXPECT_EQ(test, gondola_lapic_take_startup(ap, &vector), GONDOLA_STARTUP_NONE);
	/* One that runs does not hear start-up IPIs. */
	send_ipi(bsp, 1, sipi | 0x12);
	KUNIT_EXPECT_EQ(test, gondola_lapic_take_startup(ap, &vector), GONDOLA_STARTUP_NONE);
	/* INIT resets all but mode and id. */
	lapic_out(ap, LAPIC_SVR, 0x1ff);
	lapic_out(ap, LAPIC_TPR, 0x30);
	send_ipi(bsp, 1, init | ICR_ASSERT);
	KUNIT_EXPECT_EQ(test, gondola_lapic_take_startup(ap, &vector), GONDOLA_STARTUP_INIT);
	KUNIT_EXPECT_EQ(test, lapic_in(ap, LAPIC_SVR), 0xff);
	KUNIT_EXPECT_EQ(test, lapic_in(ap, LAPIC_TPR), 0);
	KUNIT_EXPECT_EQ(test, lapic_in(ap, LAPIC_ID), 0x01000000);
	/* The boot processor does not wait. */
	send_ipi(ap, 0, init | ICR_ASSERT);
	KUNIT_EXPECT_EQ(test, gondola_lapic_take_startup(bsp, &vector), GONDOLA_STARTUP_INIT);
	KUNIT_EXPECT_FALSE(test, gondola_lapic_waiting(bsp));
	/* NMI goes to others, but not to oneself by shorthand. */
	bsp->requests = 0;
	ap->requests = 0;
	lapic_out(bsp, LAPIC_ICR, DELIVER_NMI << DELIVERY_SHIFT | TO_ALL << ICR_SHORTHAND_SHIFT);
	KUNIT_EXPECT_EQ(test, bsp->requests | ap->requests, 0);
	lapic_out(bsp, LAPIC_ICR, DELIVER_NMI << DELIVERY_SHIFT |
				  (u32)TO_OTHERS << ICR_SHORTHAND_SHIFT);
	KUNIT_EXPECT_EQ(test, bsp->requests, 0);
	KUNIT_EXPECT_TRUE(test, gondola_take_request(ap, GONDOLA_REQ_NMI));
}

static struct gondola_vcpu *starter;

static void send_start_up(void)
{
	send_ipi(starter, 1, DELIVER_SIPI << DELIVERY_SHIFT | 0x9a);
}

/* A start-up IPI that arrives while INIT is on its way through the registers is not lost. */
static void start_up_during_init(struct kunit *test)
{
	struct gondola_vm *vm = irq_test_vm(test, 2);
	struct gondola_vcpu *ap = vm->vcpus[1];
	u8 vector = 0;

	starter = vm->vcpus[0];
	send_start_up();
	KUNIT_ASSERT_EQ(test, gondola_lapic_take_startup(ap, &vector), GONDOLA_STARTUP_SIPI);
	vector = 0;
	send_ipi(starter, 1, DELIVER_INIT << DELIVERY_SHIFT | ICR_ASSERT);
	gondola_test_meanwhile = send_start_up;
	KUNIT_EXPECT_EQ(test, gondola_lapic_take_startup(ap, &vector), GONDOLA_STARTUP_INIT);
	KUNIT_EXPECT_EQ(test, gondola_lapic_take_startup(ap, &vector), GONDOLA_STARTUP_SIPI);
	KUNIT_EXPECT_EQ(test, vector, 0x9a);
}

static void modes_follow_the_manual(struct kunit *test)
{
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];
	u64 base = LAPIC_DEFAULT_BASE, on = base | APIC_BASE_ENABLE;
	u64 x2 = on | APIC_BASE_X2APIC, val;

#define BASE(v) gondola_lapic_set_msr(vcpu, MSRX_APIC_BASE, v)
	KUNIT_EXPECT_EQ(test, BASE(on | BIT(9)), -EINVAL);
	KUNIT_EXPECT_EQ(test, BASE(on | BIT_ULL(40)), -EINVAL);
	KUNIT_EXPECT_EQ(test, BASE(base | APIC_BASE_X2APIC), -EINVAL);
	KUNIT_EXPECT_EQ(test, gondola_lapic_get_msr(vcpu, MSRX_X2APIC + 2, &val), -EINVAL);
	KUNIT_EXPECT_EQ(test, BASE(x2), 0);
	KUNIT_EXPECT_EQ_MSG(test, BASE(on), -EINVAL, "x2APIC does not go back to xAPIC");
	KUNIT_EXPECT_EQ(test, BASE(base), 0);
	KUNIT_EXPECT_EQ_MSG(test, BASE(x2), -EINVAL, "disabled goes by way of xAPIC");
	KUNIT_EXPECT_EQ(test, BASE(0xfed00000ull | APIC_BASE_ENABLE), 0);
	KUNIT_EXPECT_EQ(test, irq_test_mmio_read(vcpu, 0xfed00000 + LAPIC_VERSION), 0x50014);
	KUNIT_EXPECT_EQ(test, gondola_irq_mmio(vcpu, base, 4, false, &val), -ENXIO);
	/* Saved state may set any of them. */
	KUNIT_EXPECT_EQ(test, gondola_lapic_restore_base(vcpu, x2), 0);
	KUNIT_EXPECT_EQ(test, gondola_lapic_restore_base(vcpu, on), 0);
	KUNIT_EXPECT_EQ(test, gondola_lapic_restore_base(vcpu, x2 | 1), -EINVAL);
	/* A feature that CPUID does not offer does not exist. */
	gondola_lapic_cpuid_changed(vcpu, false, false);
	KUNIT_EXPECT_EQ(test, BASE(x2), -EINVAL);
	KUNIT_EXPECT_EQ(test, gondola_lapic_set_msr(vcpu, MSRX_TSC_DEADLINE, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, gondola_lapic_get_msr(vcpu, MSRX_TSC, &val), -ENOENT);
#undef BASE
}

static void x2apic_refuses_what_is_reserved(struct kunit *test)
{
	static const struct {
		u32 reg;
		u64 val;
		int expect;
	} writes[] = {
		{ LAPIC_ID, 0, -EINVAL }, { LAPIC_VERSION, 0, -EINVAL },
		{ LAPIC_TPR, 0xff, 0 }, { LAPIC_TPR, 0x100, -EINVAL }, { LAPIC_TPR, 0, 0 },
		{ LAPIC_PPR, 0, -EINVAL }, { LAPIC_EOI, 0, 0 }, { LAPIC_EOI, 1, -EINVAL },
		{ LAPIC_LDR, 0, -EINVAL }, { LAPIC_DFR, 0, -EINVAL },
		{ LAPIC_SVR, 0x1ff, 0 }, { LAPIC_SVR, 0x1000, -EINVAL },
		{ LAPIC_ISR, 0, -EINVAL }, { LAPIC_IRR + 0x70, 0, -EINVAL },
		{ LAPIC_ESR, 0, 0 }, { LAPIC_ESR, 1, -EINVAL },
		{ 0x2f0, 0, -EINVAL }, { LAPIC_ICR2, 0, -EINVAL },
		{ LAPIC_ICR, BIT(12), -EINVAL }, { LAPIC_ICR, BIT(16), -EINVAL },
		{ LAPIC_LVT, 0x40030, 0 }, { LAPIC_LVT, 0x80030, -EINVAL },
		{ LAPIC_LVT, 0x110030, -EINVAL },
		{ LAPIC_LVT + LVT_LINT0 * 16, 0x1f7ff, 0 },
		{ LAPIC_LVT + LVT_ERROR * 16, 0x700, -EINVAL },
		{ LAPIC_TMICT, 0x100000000ull, -EINVAL }, { LAPIC_TMCCT, 0, -EINVAL },
		{ LAPIC_TDCR, 0x0b, 0 }, { LAPIC_TDCR, 0x04, -EINVAL },
		{ LAPIC_SELF_IPI, 0x50, 0 }, { LAPIC_SELF_IPI, 0x150, -EINVAL },
		{ 0x400, 0, -EINVAL }, { 0xff0, 0, -EINVAL },
	};
	static const u32 unreadable[] = {
		0x000, LAPIC_APR, LAPIC_EOI, LAPIC_DFR, 0x2f0, LAPIC_ICR2, LAPIC_SELF_IPI, 0xff0,
	};
	struct gondola_vcpu *vcpu = irq_test_vm(test, 3)->vcpus[2];
	unsigned int i;
	u64 val;

	KUNIT_ASSERT_EQ(test, x2apic_on(vcpu), 0);
	for (i = 0; i < ARRAY_SIZE(writes); i++)
		KUNIT_EXPECT_EQ_MSG(test, wr(vcpu, writes[i].reg, writes[i].val),
				    writes[i].expect, "%#x = %#llx", writes[i].reg, writes[i].val);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x50);
	for (i = 0; i < ARRAY_SIZE(unreadable); i++)
		KUNIT_EXPECT_EQ_MSG(test, gondola_lapic_get_msr(vcpu, MSRX_X2APIC +
								(unreadable[i] >> 4), &val),
				    -EINVAL, "%#x", unreadable[i]);
	KUNIT_EXPECT_EQ(test, gondola_lapic_get_msr(vcpu, MSRX_X2APIC + (LAPIC_ID >> 4), &val), 0);
	KUNIT_EXPECT_EQ(test, val, 2);
	KUNIT_EXPECT_EQ(test, gondola_lapic_get_msr(vcpu, MSRX_X2APIC + (LAPIC_LDR >> 4), &val), 0);
	KUNIT_EXPECT_EQ(test, val, BIT(2));
}

static void x2apic_ipis(struct kunit *test)
{
	struct gondola_vm *vm = irq_test_vm(test, GONDOLA_MAX_VCPUS);
	struct gondola_vcpu *vcpu;
	unsigned int i;

	gondola_for_each_vcpu(vcpu, vm, i) {
		KUNIT_ASSERT_EQ(test, x2apic_on(vcpu), 0);
		KUNIT_ASSERT_EQ(test, wr(vcpu, LAPIC_SVR, 0x1ff), 0);
	}
	vcpu = vm->vcpus[0];
	wr(vcpu, LAPIC_ICR, 15ull << 32 | 0x50);
	KUNIT_EXPECT_EQ(test, who_got(vm), BIT(15));
	wr(vcpu, LAPIC_ICR, 0xffull << 32 | 0x50);
	KUNIT_EXPECT_EQ_MSG(test, who_got(vm), 0, "0xff is an id like any other here");
	wr(vcpu, LAPIC_ICR, 0xffffffffull << 32 | 0x50);
	KUNIT_EXPECT_EQ(test, who_got(vm), 0xffff);
	wr(vcpu, LAPIC_ICR, 0x8003ull << 32 | ICR_LOGICAL | 0x50);
	KUNIT_EXPECT_EQ(test, who_got(vm), 0x8003);
	wr(vcpu, LAPIC_ICR, 0x18003ull << 32 | ICR_LOGICAL | 0x50);
	KUNIT_EXPECT_EQ_MSG(test, who_got(vm), 0, "cluster 1 is empty");
}

static void odd_accesses_do_nothing(struct kunit *test)
{
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];
	u64 wide = 0, zero = 0;
	u16 half = 0;
	u8 byte = 0;

	lapic_out(vcpu, LAPIC_TPR, 0x40);
	/* Parts of the word read as such; beyond it is nothing. */
	gondola_irq_mmio(vcpu, LAPIC_DEFAULT_BASE + LAPIC_VERSION + 2, 1, false, &byte);
	KUNIT_EXPECT_EQ(test, byte, 5);
	gondola_irq_mmio(vcpu, LAPIC_DEFAULT_BASE + LAPIC_VERSION, 2, false, &half);
	KUNIT_EXPECT_EQ(test, half, 0x14);
	gondola_irq_mmio(vcpu, LAPIC_DEFAULT_BASE + LAPIC_VERSION, 8, false, &wide);
	KUNIT_EXPECT_EQ(test, wide, 0x50014);
	gondola_irq_mmio(vcpu, LAPIC_DEFAULT_BASE + LAPIC_VERSION + 8, 8, false, &wide);
	KUNIT_EXPECT_EQ(test, wide, 0);
	/* Writes that are not whole words are dropped. */
	gondola_irq_mmio(vcpu, LAPIC_DEFAULT_BASE + LAPIC_TPR, 1, true, &zero);
	gondola_irq_mmio(vcpu, LAPIC_DEFAULT_BASE + LAPIC_TPR + 1, 4, true, &zero);
	gondola_irq_mmio(vcpu, LAPIC_DEFAULT_BASE + LAPIC_TPR + 4, 4, true, &zero);
	KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_TPR), 0x40);
	/* Read-only registers stay as they are. */
	lapic_out(vcpu, LAPIC_ID, 0x05000000);
	lapic_out(vcpu, LAPIC_VERSION, 0);
	lapic_out(vcpu, LAPIC_IRR + 0x20, 0xffff);
	KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_ID), 0);
	KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_VERSION), 0x50014);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), -1);
}

static void state_survives(struct kunit *test)
{
	struct gondola_vm *vm = irq_test_vm(test, 2);
	struct gondola_vcpu *a = vm->vcpus[0];
	struct gondola_rec_lapic *rec = kunit_kzalloc(test, 3 * sizeof(*rec), GFP_KERNEL);
	u32 bad = 0;

	KUNIT_ASSERT_NOT_NULL(test, rec);
	lapic_out(a, LAPIC_LVT, LVT_TIMER_PERIODIC | 0x61);
	lapic_out(a, LAPIC_TDCR, 3);
	lapic_out(a, LAPIC_TMICT, 100000);
	lapic_out(a, LAPIC_LDR, 0x01000000);
	lapic_out(a, LAPIC_TPR, 0x21);
	lapic_accept(a->lapic, 0x71, true, false);
	lapic_accept(a->lapic, 0x45, false, false);
	KUNIT_EXPECT_EQ(test, irq_test_take(a), 0x71);
	irq_test_advance(400000);
	KUNIT_ASSERT_EQ(test, lapic_get(a, rec), 0);
	KUNIT_EXPECT_EQ(test, rec->timer_remaining_ns, 1600000 - 400000);
	KUNIT_EXPECT_EQ(test, rec->regs[LAPIC_TMCCT / 16], 75000);

	/* Into the same vCPU after all has changed. */
	gondola_lapic_set_msr(a, MSRX_APIC_BASE, LAPIC_DEFAULT_BASE);
	gondola_lapic_restore_base(a, LAPIC_DEFAULT_BASE | APIC_BASE_ENABLE);
	KUNIT_EXPECT_EQ(test, lapic_in(a, LAPIC_SVR), 0xff);
	irq_test_advance(5000000);
	KUNIT_ASSERT_EQ(test, lapic_set(a, rec, &bad), 0);
	irq_test_run_requests(a);
	KUNIT_ASSERT_EQ(test, lapic_get(a, rec + 1), 0);
	KUNIT_EXPECT_EQ(test, memcmp(rec, rec + 1, sizeof(*rec)), 0);
	KUNIT_EXPECT_EQ(test, lapic_in(a, LAPIC_PPR), 0x70);
	irq_test_advance(1200000);
	irq_test_run_requests(a);
	lapic_out(a, LAPIC_EOI, 0);
	KUNIT_EXPECT_EQ(test, irq_test_take(a), 0x61);

	/* x2APIC shows other values for the same registers; both go back in. */
	KUNIT_ASSERT_EQ(test, x2apic_on(a), 0);
	KUNIT_ASSERT_EQ(test, lapic_get(a, rec + 2), 0);
	KUNIT_EXPECT_EQ(test, lapic_set(a, rec + 2, &bad), 0);

	/* A register that a processor lacks is refused, by name. */
	rec->regs[LAPIC_IRR / 16] = BIT(3);
	KUNIT_EXPECT_EQ(test, lapic_set(a, rec, &bad), -EINVAL);
	KUNIT_EXPECT_EQ(test, bad, LAPIC_IRR / 16 * 4);
	rec->regs[LAPIC_IRR / 16] = 0;
	rec->regs[LAPIC_ID / 16] = 7;
	KUNIT_EXPECT_EQ(test, lapic_set(a, rec, &bad), -EINVAL);
	KUNIT_EXPECT_EQ(test, bad, LAPIC_ID / 16 * 4);
	rec->regs[LAPIC_ID / 16] = 0;
	rec->timer_remaining_ns = ~0ull;
	KUNIT_EXPECT_EQ(test, lapic_set(a, rec, &bad), -EINVAL);
	KUNIT_EXPECT_EQ(test, bad, offsetof(struct gondola_rec_lapic, timer_remaining_ns));
	rec->timer_remaining_ns = 0;
	rec->startup = BIT(31);
	KUNIT_EXPECT_EQ(test, lapic_set(a, rec, &bad), -EINVAL);
	KUNIT_EXPECT_EQ(test, bad, offsetof(struct gondola_rec_lapic, startup));
}

/* The derived fields stay true under all writes of a guest. */
static void survives_nonsense(struct kunit *test)
{
	struct gondola_vm *vm = irq_test_vm(test, 4);
	struct rnd_state rnd;
	unsigned int i;
	u64 data;

	prandom_seed_state(&rnd, 0x90d01a);
	for (i = 0; i < 100000; i++) {
		u32 r = prandom_u32_state(&rnd), size = BIT(r >> 8 & 3);
		struct gondola_vcpu *vcpu = vm->vcpus[r & 3];
		u64 gpa = ((r & 0x10) ? IOAPIC_BASE : LAPIC_DEFAULT_BASE) + (r >> 16 & 0xff0);
		struct gondola_lapic *lapic = vcpu->lapic;

		data = (u64)prandom_u32_state(&rnd) << 32 | prandom_u32_state(&rnd);
		if (r & 0x20)
			gpa = IOAPIC_BASE + (r >> 16 & 0x10);
		gondola_irq_mmio(vcpu, gpa, r & 0x40 ? 4 : size, r & 0x80, &data);
		gondola_irq_set_line(vm, (r >> 11) % GONDOLA_NR_GSI, GONDOLA_IRQ_LAUNCHER, i & 1);
		if (!(r & 0x3000))
			irq_test_advance(prandom_u32_state(&rnd) & 0xfffff);
		irq_test_run_requests(vcpu);
		irq_test_take(vcpu);
		if (lapic->isr_top != lapic_top_vector(lapic->isr) ||
		    lapic_timer_count(lapic) > lapic->timer.initial ||
		    (lapic->ppr & 0xf0) < (lapic->tpr & 0xf0) ||
		    find_first_bit(lapic->irr, 16) < 16) {
			KUNIT_FAIL(test, "after %u writes", i);
			return;
		}
	}
}

/* An interrupt that was acknowledged and not taken is requested once more. */
static void interrupts_are_taken_back(struct kunit *test)
{
	struct gondola_vcpu *vcpu = irq_test_vm(test, 1)->vcpus[0];
	struct gondola_lapic *lapic = vcpu->lapic;
	struct gondola_rec_lapic rec;
	u32 bad;

	KUNIT_EXPECT_FALSE(test, gondola_irq_take_back(vcpu));
	lapic_accept(lapic, 0x31, false, false);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x31);
	lapic_accept(lapic, 0x61, true, false);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x61);
	KUNIT_EXPECT_TRUE(test, gondola_irq_take_back(vcpu));
	KUNIT_EXPECT_FALSE(test, gondola_irq_take_back(vcpu));
	KUNIT_EXPECT_EQ(test, lapic->isr_top, 0x31);
	/* A more urgent one that comes meanwhile is taken first. */
	lapic_accept(lapic, 0x71, false, false);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x71);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), -1);
	lapic_out(vcpu, LAPIC_EOI, 0);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x61);
	lapic_out(vcpu, LAPIC_EOI, 0);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), -1);
	lapic_out(vcpu, LAPIC_EOI, 0);
	KUNIT_EXPECT_EQ(test, lapic->isr_top, -1);
	/* An interrupt that saved state has in service cannot be taken back. */
	lapic_accept(lapic, 0x31, false, false);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), 0x31);
	KUNIT_ASSERT_EQ(test, lapic_get(vcpu, &rec), 0);
	KUNIT_ASSERT_EQ(test, lapic_set(vcpu, &rec, &bad), 0);
	KUNIT_EXPECT_FALSE(test, gondola_irq_take_back(vcpu));
	KUNIT_EXPECT_EQ(test, lapic->isr_top, 0x31);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(starts_as_firmware_leaves_it),
	KUNIT_CASE(nests_by_priority),
	KUNIT_CASE(interrupts_are_taken_back),
	KUNIT_CASE(tpr_holds_back),
	KUNIT_CASE(takes_every_legal_vector),
	KUNIT_CASE(disabled_takes_nothing),
	KUNIT_CASE(errors_interrupt),
	KUNIT_CASE(ipis_reach_whom_they_name),
	KUNIT_CASE(lowest_priority_picks_one),
	KUNIT_CASE(starts_processors),
	KUNIT_CASE(start_up_during_init),
	KUNIT_CASE(modes_follow_the_manual),
	KUNIT_CASE(x2apic_refuses_what_is_reserved),
	KUNIT_CASE(x2apic_ipis),
	KUNIT_CASE(odd_accesses_do_nothing),
	KUNIT_CASE(state_survives),
	KUNIT_CASE(survives_nonsense),
	{}
};

static struct kunit_suite suite = {
	.name = "gondola_lapic",
	.exit = irq_test_exit,
	.test_cases = cases,
};
kunit_test_suite(suite);
