// SPDX-License-Identifier: GPL-2.0-only
/* The state in which boot loaders hand a processor over. */
#include <string.h>

#include "boot.h"

#define CR0_PE		(1u << 0)
#define CR0_ET		(1u << 4)
#define CR0_PG		(1u << 31)
#define CR4_PAE		(1u << 5)
#define EFER_LME	(1u << 8)
#define EFER_LMA	(1u << 10)
#define RFLAGS_FIXED	2

#define PTE_PRESENT	1ull
#define PTE_WRITE	2ull
#define PTE_LARGE	0x80ull
#define PAGE		4096u

/* Linux's boot protocol asks for these selectors; the others do not care. */
#define SELECTOR_CODE	0x10
#define SELECTOR_DATA	0x18
#define SELECTOR_TSS	0x20

#define TYPE_DATA	0x3		/* writable, accessed */
#define TYPE_CODE	0xb		/* readable, accessed */
#define TYPE_TSS_BUSY	0xb

#define AR_FLAT		(GONDOLA_AR_S | GONDOLA_AR_P | GONDOLA_AR_G)
#define AR_DATA		(AR_FLAT | GONDOLA_AR_DB | TYPE_DATA)
#define AR_CODE32	(AR_FLAT | GONDOLA_AR_DB | TYPE_CODE)
#define AR_CODE64	(AR_FLAT | GONDOLA_AR_L | TYPE_CODE)
#define AR_TSS		(GONDOLA_AR_P | TYPE_TSS_BUSY)
#define TSS_LIMIT	0x67

/* A segment descriptor with base 0 as it lies in a descriptor table. */
static uint64_t descriptor(uint32_t ar, uint32_t limit)
{
	if (ar & GONDOLA_AR_G)
		limit >>= 12;
	return (limit & 0xffffull) | (uint64_t)(ar & 0xff) << 40 |
	       (uint64_t)(limit >> 16 & 0xf) << 48 | (uint64_t)(ar >> 12 & 0xf) << 52;
}

static int set_segments(struct boot *boot, uint32_t code)
{
	const uint64_t gdt[] = {
		0, 0, descriptor(code, ~0u), descriptor(AR_DATA, ~0u),
		descriptor(AR_TSS, TSS_LIMIT), 0,
	};
	struct gondola_rec_sregs *sregs = &boot->sregs;
	uint32_t gpa;
	void *to = boot_take_low(boot, sizeof(gdt), &gpa);

	if (!to)
		return -1;
	memcpy(to, gdt, sizeof(gdt));
	sregs->gdt.base = gpa;
	sregs->gdt.limit = sizeof(gdt) - 1;
	for (int i = GONDOLA_ES; i <= GONDOLA_GS; i++)
		sregs->seg[i] = (struct gondola_segment){
			.selector = SELECTOR_DATA, .limit = ~0u, .ar = AR_DATA,
		};
	sregs->seg[GONDOLA_CS].selector = SELECTOR_CODE;
	sregs->seg[GONDOLA_CS].ar = code;
	sregs->seg[GONDOLA_TR] = (struct gondola_segment){
		.selector = SELECTOR_TSS, .limit = TSS_LIMIT, .ar = AR_TSS,
	};
	sregs->seg[GONDOLA_LDTR] = (struct gondola_segment){ .ar = GONDOLA_AR_UNUSABLE };
	return 0;
}

static int enter_at(struct boot *boot, uint32_t code, uint64_t entry)
{
	memset(&boot->sregs, 0, sizeof(boot->sregs));
	memset(&boot->regs, 0, sizeof(boot->regs));
	boot->sregs.cr0 = CR0_PE | CR0_ET;
	boot->regs.rip = entry;
	boot->regs.rflags = RFLAGS_FIXED;
	return set_segments(boot, code);
}

int boot_protected_mode(struct boot *boot, uint32_t entry)
{
	return enter_at(boot, AR_CODE32, entry);
}

/* PML4, PDPT and four page directories of 2 MiB pages. */
static int identity_map(struct boot *boot, uint32_t *root)
{
	uint64_t *tables = boot_take_low(boot, 6 * PAGE, root);

	if (!tables)
		return -1;
	memset(tables, 0, 6 * PAGE);
	tables[0] = (*root + PAGE) | PTE_PRESENT | PTE_WRITE;
	for (uint64_t i = 0; i < 4; i++)
		tables[512 + i] = (*root + (2 + i) * PAGE) | PTE_PRESENT | PTE_WRITE;
	for (uint64_t i = 0; i < 4 * 512; i++)
		tables[1024 + i] = i << 21 | PTE_PRESENT | PTE_WRITE | PTE_LARGE;
	return 0;
}

int boot_long_mode(struct boot *boot, uint64_t entry)
{
	uint32_t root;

	if (enter_at(boot, AR_CODE64, entry) || identity_map(boot, &root))
		return -1;
	boot->sregs.cr0 |= CR0_PG;
	boot->sregs.cr3 = root;
	boot->sregs.cr4 = CR4_PAE;
	boot->sregs.efer = EFER_LME | EFER_LMA;
	return 0;
}
