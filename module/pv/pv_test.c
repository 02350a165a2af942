// SPDX-License-Identifier: GPL-2.0-only
/* Hypercalls: privilege, targets and refusals.  Steal time. */
#include <kunit/test.h>
#include <uapi/linux/gondola_pv.h>
#include "irq/test_host.h"
#include "mmu/test_world.h"
#include "internal.h"
#include "vcpu.h"

#define ALL_FEATURES	(GONDOLA_KVM_PV_UNHALT | GONDOLA_KVM_PV_SEND_IPI | \
			 GONDOLA_KVM_PV_SCHED_YIELD)
#define VECTOR		0x41

static int level;
static struct gondola_cpuid_entry leaf;

static int cpl(struct gondola_vcpu *vcpu)
{
	return level;
}

static const struct gondola_engine_ops engine = { .cpl = cpl };

static struct gondola_vm *vm_with(struct kunit *test, unsigned int nr, u32 features)
{
	struct gondola_vm *vm = irq_test_vm(test, nr);
	unsigned int i;

	leaf = (struct gondola_cpuid_entry){ .function = GONDOLA_KVM_FEATURES, .eax = features };
	level = 0;
	for (i = 0; i < nr; i++) {
		vm->vcpus[i]->engine = &engine;
		vm->vcpus[i]->efer = EFER_F_LMA;
		vm->vcpus[i]->cpuid = &leaf;
		vm->vcpus[i]->nr_cpuid = 1;
		lapic_out(vm->vcpus[i], LAPIC_SVR, LAPIC_SVR_ENABLE | 0xff);
	}
	irq_test_kicked = 0;
	return vm;
}

static s64 hypercall(struct kunit *test, struct gondola_vcpu *vcpu, u64 number, u64 a, u64 b,
		     u64 c, u64 d)
{
	vcpu->regs.gpr[R_RAX] = number;
	vcpu->regs.gpr[R_RBX] = a;
	vcpu->regs.gpr[R_RCX] = b;
	vcpu->regs.gpr[R_RDX] = c;
	vcpu->regs.gpr[R_RSI] = d;
	KUNIT_EXPECT_EQ(test, gondola_hypercall(vcpu), 0);
	return vcpu->regs.gpr[R_RAX];
}

static void ipis(struct kunit *test)
{
	struct gondola_vm *vm = vm_with(test, 4, ALL_FEATURES);
	struct gondola_vcpu *me = vm->vcpus[0];

	/* From id 1 on: vCPUs 1 and 3, and one that does not exist. */
	KUNIT_EXPECT_EQ(test, hypercall(test, me, GONDOLA_HC_SEND_IPI, 0x25, 0, 1, VECTOR), 2ll);
	KUNIT_EXPECT_EQ(test, irq_test_take(vm->vcpus[0]), -1);
	KUNIT_EXPECT_EQ(test, irq_test_take(vm->vcpus[1]), VECTOR);
	KUNIT_EXPECT_EQ(test, irq_test_take(vm->vcpus[2]), -1);
	KUNIT_EXPECT_EQ(test, irq_test_take(vm->vcpus[3]), VECTOR);
	KUNIT_EXPECT_EQ(test, irq_test_kicked, BIT(1) | BIT(3));
	/* NMIs. */
	KUNIT_EXPECT_EQ(test, hypercall(test, me, GONDOLA_HC_SEND_IPI, 4, 0, 0, 0x400), 1ll);
	KUNIT_EXPECT_TRUE(test, test_bit(GONDOLA_REQ_NMI, &vm->vcpus[2]->requests));
	/* Targets of the bitmap's second word; ids that wrap; IPIs that may not be sent. */
	KUNIT_EXPECT_EQ(test, hypercall(test, me, GONDOLA_HC_SEND_IPI, 0, ~0ull, 0, VECTOR), 0ll);
	KUNIT_EXPECT_EQ(test, hypercall(test, me, GONDOLA_HC_SEND_IPI, ~0ull, ~0ull, ~0ull, VECTOR),
			0ll);
	KUNIT_EXPECT_EQ(test, hypercall(test, me, GONDOLA_HC_SEND_IPI, 2, 0, 0, 15),
			(s64)GONDOLA_HC_EINVAL);
	KUNIT_EXPECT_EQ(test, hypercall(test, me, GONDOLA_HC_SEND_IPI, 2, 0, 0, 0x500),
			(s64)GONDOLA_HC_EINVAL);
	KUNIT_EXPECT_EQ(test, irq_test_take(vm->vcpus[1]), -1);
}

static void kicks(struct kunit *test)
{
	struct gondola_vm *vm = vm_with(test, 2, ALL_FEATURES);
	struct gondola_vcpu *me = vm->vcpus[0];

	KUNIT_EXPECT_EQ(test, hypercall(test, me, GONDOLA_HC_KICK_CPU, 0, 1, 0, 0), 0ll);
	KUNIT_EXPECT_TRUE(test, vm->vcpus[1]->unhalted);
	KUNIT_EXPECT_FALSE(test, me->unhalted);
	KUNIT_EXPECT_EQ(test, irq_test_kicked, BIT(1));
	KUNIT_EXPECT_EQ(test, hypercall(test, me, GONDOLA_HC_KICK_CPU, 0, 2, 0, 0),
			(s64)GONDOLA_HC_EINVAL);
	KUNIT_EXPECT_EQ(test, hypercall(test, me, GONDOLA_HC_KICK_CPU, 0, 1ull << 32, 0, 0),
			(s64)GONDOLA_HC_EINVAL);
	KUNIT_EXPECT_EQ(test, hypercall(test, me, GONDOLA_HC_SCHED_YIELD, 1, 0, 0, 0), 0ll);
}

static void refusals(struct kunit *test)
{
	struct gondola_vm *vm = vm_with(test, 2, GONDOLA_KVM_PV_SEND_IPI);
	struct gondola_vcpu *me = vm->vcpus[0];

	/* A hypercall that is not offered, an unknown one, an unprivileged caller, no interface at all. */
	KUNIT_EXPECT_EQ(test, hypercall(test, me, GONDOLA_HC_KICK_CPU, 0, 1, 0, 0),
			(s64)GONDOLA_HC_ENOSYS);
	KUNIT_EXPECT_FALSE(test, vm->vcpus[1]->unhalted);
	KUNIT_EXPECT_EQ(test, hypercall(test, me, 12345, 0, 0, 0, 0), (s64)GONDOLA_HC_ENOSYS);
	level = 3;
	KUNIT_EXPECT_EQ(test, hypercall(test, me, GONDOLA_HC_SEND_IPI, 2, 0, 0, VECTOR),
			(s64)GONDOLA_HC_EPERM);
	KUNIT_EXPECT_EQ(test, irq_test_take(vm->vcpus[1]), -1);
	me->nr_cpuid = 0;
	KUNIT_EXPECT_EQ(test, gondola_hypercall(me), -EINVAL);
}

/* Outside long mode registers have 32 bits, and so has each word of the bitmap. */
static void narrow(struct kunit *test)
{
	struct gondola_vm *vm = vm_with(test, 2, ALL_FEATURES);
	struct gondola_vcpu *me = vm->vcpus[0];

	me->efer = 0;
	KUNIT_EXPECT_EQ(test, hypercall(test, me, ~0ull << 32 | GONDOLA_HC_SEND_IPI,
					~0ull << 32 | 2, ~0ull << 32, ~0ull << 32,
					~0ull << 32 | VECTOR), 1ll);
	KUNIT_EXPECT_EQ(test, irq_test_take(vm->vcpus[1]), VECTOR);
	KUNIT_EXPECT_EQ(test, hypercall(test, me, 12345, 0, 0, 0, 0),
			(s64)(u32)GONDOLA_HC_ENOSYS);
}

/* ---- steal time: the byte that says whether a vCPU runs, and flushes left there --------- */

#define RECORD		0x3040ull
#define PREEMPTED_BYTE	(RECORD + 16)

static void steal_time(struct kunit *test)
{
	struct world *w = world_create(64);
	struct gondola_vcpu *vcpu;

	KUNIT_ASSERT_NOT_NULL(test, w);
	vcpu = &w->vcpu;
	KUNIT_ASSERT_EQ(test, world_map(w, 0, 0, 0, 16, 0), 0);
	world_set_mode(w, WORLD_LONG);
	KUNIT_EXPECT_EQ(test, pv_set_steal_time(vcpu, RECORD | 3), -EINVAL);
	KUNIT_EXPECT_EQ(test, pv_set_steal_time(vcpu, RECORD | 0x21), -EINVAL);
	KUNIT_EXPECT_FALSE(test, gondola_pv_wants_steal(vcpu));
	KUNIT_EXPECT_EQ(test, pv_set_steal_time(vcpu, RECORD | 1), 0);
	KUNIT_EXPECT_TRUE(test, gondola_take_request(vcpu, GONDOLA_REQ_STEAL));
	KUNIT_EXPECT_EQ(test, gondola_pv_scheduled(vcpu), 0);

	gondola_pv_descheduled(vcpu);
	KUNIT_EXPECT_EQ(test, w->memory[PREEMPTED_BYTE], 1);
	KUNIT_EXPECT_TRUE(test, gondola_take_request(vcpu, GONDOLA_REQ_STEAL));
	/* Another vCPU requests a flush; a second absence must not lose it. */
	w->memory[PREEMPTED_BYTE] |= 2;
	gondola_pv_descheduled(vcpu);
	KUNIT_EXPECT_EQ(test, w->memory[PREEMPTED_BYTE], 3);
	vcpu->mmu.roots[1].stale = false;
	KUNIT_EXPECT_EQ(test, gondola_pv_scheduled(vcpu), 0);
	KUNIT_EXPECT_EQ(test, w->memory[PREEMPTED_BYTE], 0);
	KUNIT_EXPECT_TRUE(test, vcpu->mmu.roots[1].stale && vcpu->mmu.reload);
	/* Without a request nothing is flushed. */
	vcpu->mmu.roots[1].stale = false;
	gondola_pv_descheduled(vcpu);
	KUNIT_EXPECT_EQ(test, gondola_pv_scheduled(vcpu), 0);
	KUNIT_EXPECT_FALSE(test, vcpu->mmu.roots[1].stale);

	/* The page is missing: the record is written later. */
	world_host_takes(w, RECORD >> 12);
	w->host_absent[RECORD >> 12] = true;
	gondola_pv_descheduled(vcpu);
	gondola_take_request(vcpu, GONDOLA_REQ_STEAL);
	KUNIT_EXPECT_EQ(test, gondola_pv_scheduled(vcpu), -EAGAIN);
	KUNIT_EXPECT_EQ(test, vcpu->missing, PREEMPTED_BYTE & GONDOLA_PAGE_MASK);
	KUNIT_EXPECT_TRUE(test, test_bit(GONDOLA_REQ_STEAL, &vcpu->requests));
	/* The address is no memory: this is the guest's mistake, and harmless. */
	KUNIT_EXPECT_EQ(test, pv_set_steal_time(vcpu, 1ull << 40 | 1), 0);
	gondola_pv_descheduled(vcpu);
	KUNIT_EXPECT_EQ(test, gondola_pv_scheduled(vcpu), 0);
	world_destroy(w);
}

/* ---- EOI in memory ------------------------------------------------------------------- */

#define EOI_BIT		0x5004ull
#define LOWER		0x31

static struct gondola_vcpu *eoi_vcpu(struct kunit *test, struct world *w)
{
	struct gondola_vcpu *vcpu = &w->vcpu;

	KUNIT_ASSERT_EQ(test, world_map(w, 0, 0, 0, 16, 0), 0);
	world_set_mode(w, WORLD_LONG);
	KUNIT_ASSERT_EQ(test, gondola_irqchip_create(vcpu->vm), 0);
	KUNIT_ASSERT_EQ(test, gondola_lapic_create(vcpu), 0);
	lapic_out(vcpu, LAPIC_SVR, LAPIC_SVR_ENABLE | 0xff);
	KUNIT_EXPECT_EQ(test, gondola_lapic_set_pv_eoi(vcpu, EOI_BIT | 3), -EINVAL);
	KUNIT_EXPECT_EQ(test, gondola_lapic_set_pv_eoi(vcpu, 1ull << 40 | 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, gondola_lapic_set_pv_eoi(vcpu, EOI_BIT | 1), 0);
	return vcpu;
}

static bool in_service(struct gondola_vcpu *vcpu, u8 vector)
{
	return test_bit(vector, vcpu->lapic->isr);
}

/* Take the interrupt and make the offer, as the run loop does. */
static void take_and_offer(struct kunit *test, struct gondola_vcpu *vcpu, u8 vector)
{
	lapic_accept(vcpu->lapic, vector, false, false);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), vector);
	gondola_lapic_offer_eoi(vcpu);
}

static void eoi(struct kunit *test)
{
	struct world *w = world_create(64);
	struct gondola_vcpu *vcpu;

	KUNIT_ASSERT_NOT_NULL(test, w);
	vcpu = eoi_vcpu(test, w);

	/* The offer is open, not used yet, then used: no register is written. */
	take_and_offer(test, vcpu, VECTOR);
	KUNIT_EXPECT_TRUE(test, vcpu->eoi_offered);
	KUNIT_EXPECT_EQ(test, w->memory[EOI_BIT], 1);
	KUNIT_EXPECT_EQ(test, gondola_lapic_collect_eoi(vcpu), 0);
	KUNIT_EXPECT_TRUE(test, in_service(vcpu, VECTOR) && vcpu->eoi_offered);
	w->memory[EOI_BIT] = 0;
	KUNIT_EXPECT_EQ(test, gondola_lapic_collect_eoi(vcpu), 0);
	KUNIT_EXPECT_FALSE(test, in_service(vcpu, VECTOR) || vcpu->eoi_offered);

	/* The offer is withdrawn if another interrupt waits; then the guest writes the register. */
	take_and_offer(test, vcpu, VECTOR);
	lapic_accept(vcpu->lapic, LOWER, false, false);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), -1);
	KUNIT_EXPECT_EQ(test, gondola_lapic_collect_eoi(vcpu), 0);
	KUNIT_EXPECT_EQ(test, w->memory[EOI_BIT], 0);
	KUNIT_EXPECT_TRUE(test, in_service(vcpu, VECTOR) && !vcpu->eoi_offered);
	lapic_out(vcpu, LAPIC_EOI, 0);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), LOWER);
	/* No offer for nested interrupts. */
	lapic_accept(vcpu->lapic, VECTOR, false, false);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), VECTOR);
	gondola_lapic_offer_eoi(vcpu);
	KUNIT_EXPECT_FALSE(test, vcpu->eoi_offered);
	lapic_out(vcpu, LAPIC_EOI, 0);
	lapic_out(vcpu, LAPIC_EOI, 0);
	KUNIT_EXPECT_EQ(test, vcpu->lapic->isr_top, -1);

	/* No offer if the I/O APIC waits for a level's EOI. */
	lapic_accept(vcpu->lapic, VECTOR, true, false);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), VECTOR);
	gondola_lapic_offer_eoi(vcpu);
	KUNIT_EXPECT_FALSE(test, vcpu->eoi_offered);
	lapic_out(vcpu, LAPIC_EOI, 0);

	gondola_irqchip_destroy(vcpu->vm);
	gondola_lapic_destroy(vcpu);
	world_destroy(w);
}

static void eoi_that_is_collected(struct kunit *test)
{
	struct world *w = world_create(64);
	struct gondola_rec_lapic rec;
	struct gondola_vcpu *vcpu;

	KUNIT_ASSERT_NOT_NULL(test, w);
	vcpu = eoi_vcpu(test, w);

	/* An interrupt that arrives later waits until the offer is withdrawn, and has its own EOI. */
	take_and_offer(test, vcpu, LOWER);
	KUNIT_EXPECT_TRUE(test, vcpu->eoi_offered);
	lapic_accept(vcpu->lapic, VECTOR, true, false);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), -1);
	KUNIT_EXPECT_EQ(test, gondola_lapic_collect_eoi(vcpu), 0);
	KUNIT_EXPECT_FALSE(test, vcpu->eoi_offered || w->memory[EOI_BIT]);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), VECTOR);
	KUNIT_EXPECT_TRUE(test, in_service(vcpu, VECTOR) && in_service(vcpu, LOWER));
	lapic_out(vcpu, LAPIC_EOI, 0);
	lapic_out(vcpu, LAPIC_EOI, 0);
	KUNIT_EXPECT_EQ(test, vcpu->lapic->isr_top, -1);

	/* If an interrupt is taken back, its offer is withdrawn. */
	take_and_offer(test, vcpu, VECTOR);
	KUNIT_EXPECT_TRUE(test, vcpu->eoi_offered);
	KUNIT_EXPECT_TRUE(test, gondola_irq_take_back(vcpu));
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), -1);
	KUNIT_EXPECT_EQ(test, gondola_lapic_collect_eoi(vcpu), 0);
	KUNIT_EXPECT_FALSE(test, vcpu->eoi_offered || w->memory[EOI_BIT]);
	KUNIT_EXPECT_EQ(test, irq_test_take(vcpu), VECTOR);
	lapic_out(vcpu, LAPIC_EOI, 0);
	KUNIT_EXPECT_EQ(test, vcpu->lapic->isr_top, -1);

	/* Saved state and registers are right, whether the offer was used or not. */
	take_and_offer(test, vcpu, VECTOR);
	KUNIT_EXPECT_EQ(test, lapic_get(vcpu, &rec), 0);
	KUNIT_EXPECT_EQ(test, rec.regs[(LAPIC_ISR >> 4) + VECTOR / 32], BIT(VECTOR % 32));
	KUNIT_EXPECT_EQ(test, w->memory[EOI_BIT], 0);
	lapic_out(vcpu, LAPIC_EOI, 0);
	take_and_offer(test, vcpu, VECTOR);
	w->memory[EOI_BIT] = 0;
	KUNIT_EXPECT_EQ(test, lapic_in(vcpu, LAPIC_ISR + VECTOR / 32 * 16), 0u);

	gondola_irqchip_destroy(vcpu->vm);
	gondola_lapic_destroy(vcpu);
	world_destroy(w);
}

/* The page is missing: the launcher is asked, and no EOI is lost. */
static void eoi_in_a_page_that_is_missing(struct kunit *test)
{
	const u64 isr = LAPIC_ISR + VECTOR / 32 * 16, x2apic_isr = MSRX_X2APIC + (isr >> 4);
	struct world *w = world_create(64);
	struct gondola_rec_lapic rec;
	struct gondola_vcpu *vcpu;
	u32 word = 0;
	u64 value;

	KUNIT_ASSERT_NOT_NULL(test, w);
	vcpu = eoi_vcpu(test, w);
	KUNIT_ASSERT_EQ(test, lapic_get(vcpu, &rec), 0);
	take_and_offer(test, vcpu, VECTOR);
	world_host_takes(w, EOI_BIT >> 12);
	w->host_absent[EOI_BIT >> 12] = true;
	KUNIT_EXPECT_EQ(test, gondola_lapic_collect_eoi(vcpu), -EAGAIN);
	KUNIT_EXPECT_EQ(test, vcpu->missing, EOI_BIT & GONDOLA_PAGE_MASK);
	KUNIT_EXPECT_TRUE(test, in_service(vcpu, VECTOR) && vcpu->eoi_offered);

	/* Until the page is there registers can be neither read nor written, in either mode. */
	KUNIT_EXPECT_EQ(test, gondola_irq_mmio(vcpu, LAPIC_DEFAULT_BASE + isr, 4, false, &word),
			-EAGAIN);
	KUNIT_EXPECT_EQ(test, gondola_irq_mmio(vcpu, LAPIC_DEFAULT_BASE + LAPIC_EOI, 4, true, &word),
			-EAGAIN);
	gondola_lapic_cpuid_changed(vcpu, true, true);
	KUNIT_ASSERT_EQ(test, gondola_set_msr(vcpu, MSRX_APIC_BASE, LAPIC_DEFAULT_BASE |
					      APIC_BASE_ENABLE | APIC_BASE_X2APIC |
					      APIC_BASE_BSP), 0);
	KUNIT_EXPECT_EQ(test, gondola_get_msr(vcpu, x2apic_isr, &value), -EAGAIN);
	KUNIT_EXPECT_EQ(test, gondola_set_msr(vcpu, MSRX_X2APIC + (LAPIC_EOI >> 4), 0), -EAGAIN);
	KUNIT_EXPECT_EQ(test, gondola_lapic_set_pv_eoi(vcpu, 0), -EAGAIN);
	/* Nor can state be set: the bit would stay, and hide the EOI of a later interrupt. */
	KUNIT_EXPECT_EQ(test, gondola_lapic_restore_pv_eoi(vcpu, 0), -EAGAIN);
	KUNIT_EXPECT_EQ(test, lapic_set(vcpu, &rec, &word), -EAGAIN);
	KUNIT_EXPECT_TRUE(test, in_service(vcpu, VECTOR) && vcpu->eoi_offered);

	KUNIT_EXPECT_EQ(test, gondola_mmu_wait(vcpu), 0);
	w->memory[EOI_BIT] = 0;
	KUNIT_EXPECT_EQ(test, gondola_lapic_collect_eoi(vcpu), 0);
	KUNIT_EXPECT_FALSE(test, in_service(vcpu, VECTOR));

	gondola_irqchip_destroy(vcpu->vm);
	gondola_lapic_destroy(vcpu);
	world_destroy(w);
}

/* The state can be restored, whatever the guest did with the page since. */
static void eoi_in_a_page_that_became_a_table(struct kunit *test)
{
	struct world *w = world_create(64);
	struct gondola_vcpu *vcpu;
	u64 value;
	u32 error;

	KUNIT_ASSERT_NOT_NULL(test, w);
	vcpu = eoi_vcpu(test, w);
	leaf = (struct gondola_cpuid_entry){ .function = GONDOLA_KVM_FEATURES,
					     .eax = GONDOLA_KVM_PV_EOI };
	vcpu->cpuid = &leaf;
	vcpu->nr_cpuid = 1;
	world_set_cr3(w, EOI_BIT & GONDOLA_PAGE_MASK);
	KUNIT_EXPECT_EQ(test, world_access(w, 0, 0, &value, &error), WORLD_FAULT);
	KUNIT_EXPECT_EQ(test, gondola_set_msr(vcpu, GONDOLA_KVM_EOI, EOI_BIT | 1), -EINVAL);
	KUNIT_ASSERT_EQ(test, gondola_get_msr(vcpu, GONDOLA_KVM_EOI, &value), 0);
	KUNIT_EXPECT_EQ(test, value, EOI_BIT | 1);
	vcpu->msrs.eoi = 0;
	KUNIT_EXPECT_EQ(test, gondola_restore_msr(vcpu, GONDOLA_KVM_EOI, value), 0);
	KUNIT_EXPECT_EQ(test, vcpu->msrs.eoi, EOI_BIT | 1);
	KUNIT_EXPECT_EQ(test, gondola_restore_msr(vcpu, GONDOLA_KVM_EOI, EOI_BIT | 3), -EINVAL);
	/* No offer is written into a page table. */
	take_and_offer(test, vcpu, VECTOR);
	KUNIT_EXPECT_FALSE(test, vcpu->eoi_offered || w->memory[EOI_BIT]);

	vcpu->cpuid = NULL;
	gondola_irqchip_destroy(vcpu->vm);
	gondola_lapic_destroy(vcpu);
	world_destroy(w);
}

static struct kunit_case pv_cases[] = {
	KUNIT_CASE(ipis),
	KUNIT_CASE(kicks),
	KUNIT_CASE(refusals),
	KUNIT_CASE(narrow),
	KUNIT_CASE(steal_time),
	KUNIT_CASE(eoi),
	KUNIT_CASE(eoi_that_is_collected),
	KUNIT_CASE(eoi_in_a_page_that_is_missing),
	KUNIT_CASE(eoi_in_a_page_that_became_a_table),
	{}
};

static int pv_suite_init(struct kunit_suite *suite)
{
	return gondola_mmu_module_init();
}

static void pv_suite_exit(struct kunit_suite *suite)
{
	gondola_mmu_module_exit();
}

static struct kunit_suite pv_suite = {
	.name = "gondola_pv",
	.suite_init = pv_suite_init,
	.suite_exit = pv_suite_exit,
	.exit = irq_test_exit,
	.test_cases = pv_cases,
};
kunit_test_suite(pv_suite);
