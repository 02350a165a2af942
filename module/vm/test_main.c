// SPDX-License-Identifier: GPL-2.0-only
/* gondola_test.ko: the pure core with its KUnit suites, and a replacement that all suites share. */
#include <linux/module.h>
#include <kunit/test.h>
#include "mmu/mmu.h"
#include "vcpu.h"

bool gondola_vcpu_yield_to(struct gondola_vcpu *vcpu)
{
	return false;
}

MODULE_DESCRIPTION("gondola's core under test");
MODULE_LICENSE("GPL");

void gondola_vcpu_spins(struct gondola_vcpu *vcpu)
{
}
