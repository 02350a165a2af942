// SPDX-License-Identifier: GPL-2.0-only
/* The processor in tests: an early Core 2, which shows what gondola adds in software. */
#include "host/cpu.h"
#include "x86.h"

void gondola_host_cpuid(u32 function, u32 index, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx)
{
	*eax = 0;
	*ebx = 0;
	*ecx = 0;
	*edx = 0;
	switch (function) {
	case 0:				/* "GenuineIntel" */
		*eax = 0xa;
		*ebx = 0x756e6547;
		*ecx = 0x6c65746e;
		*edx = 0x49656e69;
		break;
	case 1:
		*eax = 0x10676;
		*ebx = 0x00020800;
		*ecx = 0x0008e3fd;
		*edx = 0xbfebfbff;
		break;
	case 0x80000000:
		*eax = 0x80000008;
		break;
	case 0x80000001:
		*ecx = BIT(0);
		*edx = BIT(11) | BIT(20) | BIT(29);
		break;
	case 0x80000008:
		*eax = 0x3028;
		break;
	}
}

u64 gondola_host_xcr0(void)
{
	return 0;
}

bool gondola_host_tsc_steady(void)
{
	return true;
}

bool gondola_host_tsc_invariant(void)
{
	return true;
}
