// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VMX engine where the kernel keeps VMX for its own hypervisor.
 *
 * Root operation needs CR4.VMXE.  The kernel writes CR4 from a copy of its own, which no other
 * module may change there: it would clear the bit, and that faults in root operation.
 */
#include <linux/bits.h>
#include <linux/string.h>
#include <asm/processor.h>
#include "engine.h"
#include "host/compat.h"

#define CPUID_1_ECX_VMX		BIT(5)

static u32 reserved_probe(char *detail)
{
	if (!(cpuid_ecx(1) & CPUID_1_ECX_VMX)) {
		strscpy(detail, "no VMX in this processor", 64);
		return GONDOLA_PF_ABSENT;
	}
	return GONDOLA_PF_OK;
}

/* The kernel's verdict (host/kernel_verdict.c) refuses it first. */
static int reserved_cpu_on(void)
{
	return -EOPNOTSUPP;
}

static void reserved_cpu_off(void)
{
}

const struct gondola_engine_ops gondola_vmx_ops = {
	.id = GONDOLA_ENGINE_VMX,
	.name = "vmx",
	.probe = reserved_probe,
	.cpu_on = reserved_cpu_on,
	.cpu_off = reserved_cpu_off,
};
