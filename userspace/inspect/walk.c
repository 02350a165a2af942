// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "walk.h"
#include "vm/memory.h"

#define CR0_PG		(1ull << 31)
#define CR4_PSE		(1ull << 4)
#define CR4_PAE		(1ull << 5)
#define EFER_LMA	(1ull << 10)
#define EFER_NXE	(1ull << 11)

#define PTE_P		(1ull << 0)
#define PTE_W		(1ull << 1)
#define PTE_U		(1ull << 2)
#define PTE_A		(1ull << 5)
#define PTE_PS		(1ull << 7)
#define PTE_NX		(1ull << 63)

#define PAGE_BITS	12
#define PAGE		(1ull << PAGE_BITS)
#define LOWER_HALF	256	/* entries of a root */
#define PTE_ADDRESS	0x000ffffffffff000ull
#define PDPTE_RESERVED	0x1e6ull	/* of a PAE directory pointer, beside high bits */

/* A format of page tables (Intel SDM, "Paging"). */
struct format {
	const char *name;
	unsigned int levels;
	unsigned int entry_bytes;
	unsigned int index_bits;
};

static const struct format two_level = { "32-bit", 2, 4, 10 };
static const struct format pae = { "PAE", 3, 8, 9 };
static const struct format four_level = { "4-level", 4, 8, 9 };

static const struct format *format_of(const struct gondola_rec_sregs *sregs)
{
	if (!(sregs->cr0 & CR0_PG))
		return NULL;
	if (sregs->efer & EFER_LMA)
		return &four_level;
	return sregs->cr4 & CR4_PAE ? &pae : &two_level;
}

static unsigned int shift_of(const struct format *format, unsigned int level)
{
	return PAGE_BITS + (level - 1) * format->index_bits;
}

static bool is_leaf(const struct format *format, const struct gondola_rec_sregs *sregs,
		    unsigned int level, uint64_t entry)
{
	if (level == 1)
		return true;
	if (!(entry & PTE_PS))
		return false;
	if (format == &two_level)
		return sregs->cr4 & CR4_PSE;
	return level == 2 || (level == 3 && format == &four_level);
}

static uint64_t reserved_bits(const struct format *format, const struct gondola_rec_sregs *sregs,
			      const struct walk_cpu *cpu, unsigned int level, bool leaf)
{
	uint64_t bits;

	/* Bits 13 to 20 of a 4 MiB page extend its address; bit 21 is reserved. */
	if (format == &two_level)
		return leaf && level == 2 ? 1ull << 21 : 0;
	bits = PTE_ADDRESS & ~((1ull << cpu->physical_bits) - 1);
	if (format == &pae)
		bits |= 0x7ffull << 52;
	if (!(sregs->efer & EFER_NXE))
		bits |= PTE_NX;
	if (format == &pae && level == 3)
		return bits | PTE_NX | PDPTE_RESERVED;
	if (level == 4)
		return bits | PTE_PS;
	if (leaf && level == 3 && !cpu->gib_pages)
		return bits | PTE_PS;
	if (leaf && level > 1)
		bits |= ((1ull << shift_of(format, level)) - 1) & ~0x1fffull;
	return bits;
}

/* The page's address: a 4 MiB page of the 32-bit format keeps bits 32 and up in bits 13 to 20. */
static uint64_t leaf_address(const struct format *format, unsigned int level, uint64_t entry)
{
	uint64_t offset = (1ull << shift_of(format, level)) - 1;

	if (format == &two_level && level == 2)
		return (entry & 0xffc00000) | (entry >> 13 & 0xff) << 32;
	return entry & PTE_ADDRESS & ~offset;
}

static bool read_entry(const struct guest_memory *memory, uint64_t at, unsigned int bytes,
		       uint64_t *entry)
{
	const void *from = memory_at(memory, at, bytes);

	*entry = 0;
	if (from)
		memcpy(entry, from, bytes);
	return from;
}

/* A directory pointer has no rights. */
static void combine_rights(struct walk *walk, const struct format *format, unsigned int level,
			   uint64_t entry)
{
	if (format == &pae && level == 3)
		return;
	walk->writable &= !!(entry & PTE_W);
	walk->user &= !!(entry & PTE_U);
	if (format != &two_level)
		walk->executable &= !(entry & PTE_NX);
}

static enum walk_result walk_levels(const struct guest_memory *memory,
				    const struct gondola_rec_sregs *sregs,
				    const struct format *format,
				    const struct walk_cpu *cpu, uint64_t address,
				    struct walk *walk)
{
	uint64_t table = format == &pae ? sregs->cr3 & 0xffffffe0 : sregs->cr3 & PTE_ADDRESS;

	for (unsigned int level = format->levels; ; level--) {
		unsigned int shift = shift_of(format, level);
		uint64_t index = address >> shift & ((1u << format->index_bits) - 1);
		uint64_t at = table + index * format->entry_bytes, entry;
		bool leaf;

		walk->covers = 1ull << shift;
		if (!read_entry(memory, at, format->entry_bytes, &entry))
			return WALK_NO_MEMORY;
		walk->level[walk->nr_levels].level = level;
		walk->level[walk->nr_levels].at = at;
		walk->level[walk->nr_levels++].entry = entry;
		if (!(entry & PTE_P))
			return WALK_NOT_PRESENT;
		leaf = is_leaf(format, sregs, level, entry);
		if (entry & reserved_bits(format, sregs, cpu, level, leaf))
			return WALK_RESERVED;
		combine_rights(walk, format, level, entry);
		if (leaf) {
			walk->page_bytes = 1ull << shift;
			walk->gpa = leaf_address(format, level, entry) |
				    (address & (walk->page_bytes - 1));
			return WALK_MAPPED;
		}
		table = entry & PTE_ADDRESS;
	}
}

void walk_tables(const struct guest_memory *memory, const struct gondola_rec_sregs *sregs,
		 const struct walk_cpu *cpu, uint64_t address, struct walk *walk)
{
	const struct format *format = format_of(sregs);

	*walk = (struct walk){ .writable = true, .user = true, .executable = true };
	if (!format) {
		walk->mode = "off";
		walk->gpa = address;
		walk->page_bytes = walk->covers = 1u << PAGE_BITS;
		walk->result = address >> 32 ? WALK_NOT_CANONICAL : WALK_MAPPED;
		return;
	}
	walk->mode = format->name;
	if (format == &four_level ? (uint64_t)((int64_t)(address << 16) >> 16) != address :
				    address >> 32 != 0)
		walk->result = WALK_NOT_CANONICAL;
	else
		walk->result = walk_levels(memory, sregs, format, cpu, address, walk);
}

void walk_find_cpu(const struct gondola_cpuid_entry *cpuid, uint32_t count, struct walk_cpu *cpu)
{
	*cpu = (struct walk_cpu){ .physical_bits = 36 };
	for (uint32_t i = 0; i < count; i++) {
		if (cpuid[i].function == 0x80000008)
			cpu->physical_bits = cpuid[i].eax & 0xff;
		if (cpuid[i].function == 0x80000001)
			cpu->gib_pages = cpuid[i].edx >> 26 & 1;
	}
	if (cpu->physical_bits < 32 || cpu->physical_bits > 52)
		cpu->physical_bits = 52;
}

const char *walk_result_name(enum walk_result result)
{
	static const char *const names[] = {
		[WALK_MAPPED] = "mapped",
		[WALK_NOT_CANONICAL] = "not an address in this mode",
		[WALK_NOT_PRESENT] = "not present",
		[WALK_RESERVED] = "reserved bit set",
		[WALK_NO_MEMORY] = "the table is not in memory",
	};

	return names[result];
}

bool walk_kernel_tables(const struct guest_memory *memory, struct gondola_rec_sregs *sregs)
{
	uint64_t root = sregs->cr3 & PTE_ADDRESS, user, kernel;
	const uint8_t *pair = memory_at(memory, root & ~PAGE, 2 * PAGE);
	bool present = false;

	if (format_of(sregs) != &four_level || !(root & PAGE) || !pair)
		return false;
	for (unsigned int i = 0; i < LOWER_HALF; i++) {
		memcpy(&kernel, pair + i * sizeof(kernel), sizeof(kernel));
		memcpy(&user, pair + PAGE + i * sizeof(user), sizeof(user));
		/* The kernel does not execute what its programs have. */
		if ((user ^ kernel) & ~(PTE_NX | PTE_A))
			return false;
		present |= user & PTE_P;
	}
	if (present)
		sregs->cr3 &= ~PAGE;
	return present;
}
