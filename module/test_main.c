// SPDX-License-Identifier: GPL-2.0-only
/* gondola_test.ko: the pure core with its KUnit suites, and the seams that all suites share. */
#include <linux/module.h>
#include <kunit/test.h>
#include "mmu/mmu.h"
#include "vcpu.h"

/* Nothing runs at the same time here: a kicked vCPU finds its request before its next access. */
void gondola_kick_all_and_wait(struct gondola_vm *vm, enum gondola_request req)
{
	struct gondola_vcpu *vcpu;
	unsigned int i;

	gondola_for_each_vcpu(vcpu, vm, i)
		gondola_request(vcpu, req);
}

bool gondola_vcpu_yield_to(struct gondola_vcpu *vcpu)
{
	return false;
}

MODULE_DESCRIPTION("gondola's core under test");
MODULE_LICENSE("GPL");
