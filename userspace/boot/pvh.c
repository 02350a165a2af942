// SPDX-License-Identifier: GPL-2.0-only
/*
 * The PVH boot protocol: a note in the ELF file names a 32-bit entry point,
 * which finds its start information by EBX.
 */
#include <string.h>

#include "boot.h"

#define NOTE_OWNER		"Xen"
#define NOTE_PHYS32_ENTRY	18
#define START_MAGIC		0x336ec578u

/* Layout of the start information, version 1. */
struct start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t nr_modules;
	uint64_t modules;
	uint64_t cmdline;
	uint64_t rsdp;
	uint64_t map;
	uint32_t map_entries;
	uint32_t reserved;
};

struct start_module {
	uint64_t gpa;
	uint64_t bytes;
	uint64_t cmdline;
	uint64_t reserved;
};

struct start_map_entry {
	uint64_t gpa;
	uint64_t bytes;
	uint32_t type;
	uint32_t reserved;
};

struct start_page {
	struct start_info info;
	struct start_module module;
	struct start_map_entry map[BOOT_MAP_MAX];
};
_Static_assert(sizeof(struct start_info) == 56, "start information is ABI");

/* 1 if there is one, 0 if there is none, -1 with @error. */
static int find_entry(struct boot *boot, const struct elf *elf, uint64_t *entry)
{
	struct elf_note note = { 0 };
	int found;

	while ((found = elf_next_note(boot, elf, NOTE_OWNER, &note)) > 0) {
		if (note.type != NOTE_PHYS32_ENTRY || (note.bytes != 4 && note.bytes != 8))
			continue;
		*entry = note.number;
		return 1;
	}
	return found;
}

bool pvh_is(const struct image *image)
{
	struct boot ignored = { 0 };
	uint64_t entry;
	struct elf elf;

	/* One that cannot be searched is refused by pvh_load(), in words. */
	return !elf_open(&ignored, image, &elf) && find_entry(&ignored, &elf, &entry);
}

static int fill_start_page(struct boot *boot, uint64_t initrd, uint64_t initrd_bytes, uint32_t *gpa)
{
	struct start_page *page = boot_take_low(boot, sizeof(*page), gpa);
	struct boot_map_entry map[BOOT_MAP_MAX];
	uint32_t cmdline;

	if (!page || boot_put_string(boot, boot->append, &cmdline))
		return -1;
	memset(page, 0, sizeof(*page));
	page->info = (struct start_info){
		.magic = START_MAGIC,
		.version = 1,
		.nr_modules = boot->initrd ? 1 : 0,
		.modules = boot->initrd ? *gpa + offsetof(struct start_page, module) : 0,
		.cmdline = cmdline,
		.rsdp = boot->rsdp,
		.map = *gpa + offsetof(struct start_page, map),
		.map_entries = boot_map(boot->memory, map),
	};
	page->module = (struct start_module){ .gpa = initrd, .bytes = initrd_bytes };
	for (unsigned int i = 0; i < page->info.map_entries; i++)
		page->map[i] = (struct start_map_entry){ map[i].gpa, map[i].bytes, map[i].type, 0 };
	return 0;
}

int pvh_load(struct boot *boot, const struct image *image)
{
	uint64_t entry = 0, end = 0, initrd = 0, initrd_bytes = 0;
	struct elf elf;
	uint32_t info;

	if (elf_open(boot, image, &elf) || find_entry(boot, &elf, &entry) < 0)
		return -1;
	if (entry >> 32)
		return boot_error(boot, "%s: its PVH entry point 0x%llx lies above 4 GiB",
				  image->path, (unsigned long long)entry);
	if (elf_load(boot, &elf, &end))
		return -1;
	if (boot->initrd && image_load_high(boot, boot->initrd, end, MEMORY_LOW_MAX, &initrd,
					    &initrd_bytes))
		return -1;
	if (boot_protected_mode(boot, (uint32_t)entry) ||
	    fill_start_page(boot, initrd, initrd_bytes, &info))
		return -1;
	boot->regs.gpr[3] = info;		/* EBX */
	return 0;
}
