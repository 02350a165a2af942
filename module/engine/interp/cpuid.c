// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPUID of the interpreter's processor, which is the same on every host.  It offers what the decode
 * tables have.  Otherwise it is an early 64-bit Core, of which Linux knows no errata that matter
 * here.
 */
#include <linux/string.h>
#include <linux/types.h>
#include "interp.h"

#define BRAND	"gondola interpreter"

/* FPU, DE, PSE, TSC, MSR, PAE, CX8, SEP, PGE, CMOV, PAT, PSE36, CLFLUSH, FXSR, SSE, SSE2 */
#define LEAF1_EDX	(BIT(0) | BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(8) | \
			 BIT(11) | BIT(13) | BIT(15) | BIT(16) | BIT(17) | BIT(19) | BIT(24) | \
			 BIT(25) | BIT(26))
/* CX16, MOVBE, POPCNT */
#define LEAF1_ECX	(BIT(13) | BIT(22) | BIT(23))
/* FSGSBASE, SMEP, ERMS, SMAP */
#define LEAF7_EBX	(BIT(0) | BIT(7) | BIT(9) | BIT(20))
/* LAHF in 64-bit mode */
#define EXTENDED_ECX	BIT(0)
/* SYSCALL, NX, 1 GiB pages, RDTSCP, long mode */
#define EXTENDED_EDX	(BIT(11) | BIT(20) | BIT(26) | BIT(27) | BIT(29))

void interp_processor_cpuid(u32 function, u32 index, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx)
{
	char brand[48] = BRAND;

	*eax = 0;
	*ebx = 0;
	*ecx = 0;
	*edx = 0;
	switch (function) {
	case 0:					/* "GenuineIntel" */
		*eax = 0x16;
		*ebx = 0x756e6547;
		*ecx = 0x6c65746e;
		*edx = 0x49656e69;
		break;
	case 1:
		*eax = 0x6fb;			/* family 6, model 15 */
		*ebx = 8 << 8;			/* CLFLUSH: 64 bytes */
		*ecx = LEAF1_ECX;
		*edx = LEAF1_EDX;
		break;
	case 7:
		if (!index)
			*ebx = LEAF7_EBX;
		break;
	case 0x80000000:
		*eax = 0x80000008;
		break;
	case 0x80000001:
		*ecx = EXTENDED_ECX;
		*edx = EXTENDED_EDX;
		break;
	case 0x80000002 ... 0x80000004:
		memcpy(eax, brand + 16 * (function - 0x80000002), 4);
		memcpy(ebx, brand + 16 * (function - 0x80000002) + 4, 4);
		memcpy(ecx, brand + 16 * (function - 0x80000002) + 8, 4);
		memcpy(edx, brand + 16 * (function - 0x80000002) + 12, 4);
		break;
	case 0x80000008:
		*eax = 48 << 8 | 40;
		break;
	}
}
