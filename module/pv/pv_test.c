// SPDX-License-Identifier: GPL-2.0-only
/* Hypercalls: who may, to whom they go, and what is not offered. */
#include <kunit/test.h>
#include <uapi/linux/gondola_pv.h>
#include "exit.h"
#include "irq/test_host.h"
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
	gondola_test_kicked = 0;
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

	/* From id 1 on: vCPUs 1 and 3, and one that is not there. */
	KUNIT_EXPECT_EQ(test, hypercall(test, me, GONDOLA_HC_SEND_IPI, 0x25, 0, 1, VECTOR), 2ll);
	KUNIT_EXPECT_EQ(test, irq_test_take(vm->vcpus[0]), -1);
	KUNIT_EXPECT_EQ(test, irq_test_take(vm->vcpus[1]), VECTOR);
	KUNIT_EXPECT_EQ(test, irq_test_take(vm->vcpus[2]), -1);
	KUNIT_EXPECT_EQ(test, irq_test_take(vm->vcpus[3]), VECTOR);
	KUNIT_EXPECT_EQ(test, gondola_test_kicked, BIT(1) | BIT(3));
	/* NMIs. */
	KUNIT_EXPECT_EQ(test, hypercall(test, me, GONDOLA_HC_SEND_IPI, 4, 0, 0, 0x400), 1ll);
	KUNIT_EXPECT_TRUE(test, test_bit(GONDOLA_REQ_NMI, &vm->vcpus[2]->requests));
	/* Whom the second word of the bitmap names; ids that wrap; what may not be sent. */
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
	KUNIT_EXPECT_EQ(test, gondola_test_kicked, BIT(1));
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

	/* Not offered, unknown, not privileged, no interface at all. */
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

static struct kunit_case pv_cases[] = {
	KUNIT_CASE(ipis),
	KUNIT_CASE(kicks),
	KUNIT_CASE(refusals),
	KUNIT_CASE(narrow),
	{}
};

static struct kunit_suite pv_suite = {
	.name = "gondola_pv",
	.exit = irq_test_exit,
	.test_cases = pv_cases,
};
kunit_test_suite(pv_suite);
