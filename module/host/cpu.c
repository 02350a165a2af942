// SPDX-License-Identifier: GPL-2.0-only
#include <asm/cpufeature.h>
#include <asm/fpu/xcr.h>
#include <asm/tsc.h>
#include "compat.h"
#include "cpu.h"

void gondola_host_cpuid(u32 function, u32 index, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx)
{
	cpuid_count(function, index, eax, ebx, ecx, edx);
}

bool gondola_host_tcg(void)
{
	return boot_cpu_has(X86_FEATURE_HYPERVISOR) && cpuid_base_hypervisor("TCGTCGTCGTCG", 0);
}

u64 gondola_host_xcr0(void)
{
	/* TCG (7.2) ignores SVM's intercept of XSETBV, and a guest would set the host's XCR0. */
	if (gondola_host_tcg())
		return 0;
	return boot_cpu_has(X86_FEATURE_OSXSAVE) ? xgetbv(XCR_XFEATURE_ENABLED_MASK) : 0;
}

bool gondola_host_tsc_steady(void)
{
	return boot_cpu_has(X86_FEATURE_TSC) && !check_tsc_unstable();
}

bool gondola_host_tsc_invariant(void)
{
	/* The kernel also knows processors whose CPUID does not report it. */
	return boot_cpu_has(X86_FEATURE_CONSTANT_TSC) && gondola_host_tsc_steady();
}
