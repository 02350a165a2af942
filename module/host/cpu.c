// SPDX-License-Identifier: GPL-2.0-only
#include <asm/cpufeature.h>
#include <asm/fpu/xcr.h>
#include <asm/processor.h>
#include <asm/tsc.h>
#include "cpu.h"

void gondola_host_cpuid(u32 function, u32 index, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx)
{
	cpuid_count(function, index, eax, ebx, ecx, edx);
}

u64 gondola_host_xcr0(void)
{
	return boot_cpu_has(X86_FEATURE_OSXSAVE) ? xgetbv(XCR_XFEATURE_ENABLED_MASK) : 0;
}

bool gondola_host_tsc_steady(void)
{
	/* The kernel's own verdict also covers machines whose CPUID does not promise it. */
	return boot_cpu_has(X86_FEATURE_CONSTANT_TSC) && !check_tsc_unstable();
}
