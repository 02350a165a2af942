// SPDX-License-Identifier: GPL-2.0-only
#include <stdbool.h>
#include <linux/gondola_pv.h>

#include "cpuid.h"

#define LEAF1_HTT		(1u << 28)	/* EDX: the count of processors in EBX is valid */
#define EXTENDED1_CMP_LEGACY	(1u << 1)	/* ECX: they are cores, not threads */
#define LEVEL_CORE		0x201u		/* leaf 0xb: ECX of subleaf 1 */
#define CACHE_LEVEL(eax)	((eax) >> 5 & 7)

/* The number of bits for numbers below @count. */
static unsigned int width(unsigned int count)
{
	unsigned int bits = 0;

	while (1u << bits < count)
		bits++;
	return bits;
}

/* EAX: 31:26 cores of the package minus one, 25:14 processors that share the cache minus one. */
static uint32_t cache(uint32_t eax, unsigned int cpus)
{
	uint32_t ids = (1u << width(cpus)) - 1;

	eax = (eax & 0x3fff) | ids << 26;
	return CACHE_LEVEL(eax) >= 3 ? eax | ids << 14 : eax;
}

void cpuid_set_topology(struct gondola_cpuid_entry *entries, uint32_t count, unsigned int cpus)
{
	for (uint32_t i = 0; i < count; i++) {
		struct gondola_cpuid_entry *e = &entries[i];

		switch (e->function) {
		case 1:
			e->ebx = (e->ebx & ~0xff0000u) | cpus << 16;
			if (cpus > 1)
				e->edx |= LEAF1_HTT;
			break;
		case 4:
			e->eax = cache(e->eax, cpus);
			break;
		case 0xb:
			if (e->ecx == LEVEL_CORE) {
				e->eax = width(cpus);
				e->ebx = cpus;
			}
			break;
		case 0x80000001:
			if (cpus > 1)
				e->ecx |= EXTENDED1_CMP_LEGACY;
			break;
		case 0x80000008:
			/* 7:0 cores minus one, 15:12 bits of the APIC id for their number */
			e->ecx = (cpus - 1) | width(cpus) << 12;
			break;
		}
	}
}

uint32_t cpuid_without_pv(struct gondola_cpuid_entry *entries, uint32_t count)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < count; i++)
		if (entries[i].function != GONDOLA_KVM_SIGNATURE &&
		    entries[i].function != GONDOLA_KVM_FEATURES)
			entries[kept++] = entries[i];
	return kept;
}

/* What the guest's kernel cannot have in ring 3, or gets by other means. */
void cpuid_for_xen(struct gondola_cpuid_entry *entries, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct gondola_cpuid_entry *e = &entries[i];

		switch (e->function) {
		case 1:
			/* VME, PSE, MTRR, PGE, PSE36; MONITOR, PCID, x2APIC, deadline timer */
			e->edx &= ~(1u << 1 | 1u << 3 | 1u << 12 | 1u << 13 | 1u << 17);
			e->ecx &= ~(1u << 3 | 1u << 17 | 1u << 21 | 1u << 24);
			break;
		case 7:
			/* FSGSBASE, SMEP, INVPCID, SMAP; UMIP, PKU, LA57 */
			e->ebx &= ~(1u << 0 | 1u << 7 | 1u << 10 | 1u << 20);
			e->ecx &= ~(1u << 2 | 1u << 3 | 1u << 16);
			break;
		case 0xd:
			/* XSAVES */
			if (e->index == 1)
				e->eax &= ~(1u << 3);
			break;
		case 0x80000001:
			/* pages of 1 GiB, on AMD's PSE, MTRR, PGE and PSE36 once more */
			e->edx &= ~(1u << 26 | 1u << 1 | 1u << 3 | 1u << 12 | 1u << 13 | 1u << 17);
			break;
		}
	}
}
