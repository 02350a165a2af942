// SPDX-License-Identifier: GPL-2.0-only
/*
 * The PVH boot protocol: a note in the ELF file names a 32-bit entry point,
 * which finds its start information by EBX.
 */
#include <elf.h>
#include <string.h>

#include "boot.h"

#define NOTE_OWNER		"Xen"
#define NOTE_PHYS32_ENTRY	18
#define START_MAGIC		0x336ec578u
#define ALIGN(x, to)		(((x) + (to) - 1) & ~((uint64_t)(to) - 1))

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

/* Looks through one segment of notes. 1 if found. */
static int search_notes(const struct image *image, const struct elf_segment *segment,
			uint64_t *entry)
{
	/* Notes are aligned to 4 bytes unless the segment says 8. */
	const uint64_t align = segment->align == 8 ? 8 : 4;
	uint64_t at = 0;

	while (segment->file_bytes - at >= sizeof(Elf64_Nhdr)) {
		const uint8_t *notes = image_at(image, segment->offset, segment->file_bytes);
		uint64_t name, payload;
		Elf64_Nhdr note;

		memcpy(&note, notes + at, sizeof(note));
		name = at + sizeof(note);
		payload = ALIGN(name + note.n_namesz, align);
		at = ALIGN(payload + note.n_descsz, align);
		if (payload + note.n_descsz > segment->file_bytes)
			return 0;
		if (note.n_type == NOTE_PHYS32_ENTRY && note.n_namesz == sizeof(NOTE_OWNER) &&
		    !memcmp(notes + name, NOTE_OWNER, sizeof(NOTE_OWNER)) &&
		    (note.n_descsz == 4 || note.n_descsz == 8)) {
			*entry = 0;
			memcpy(entry, notes + payload, note.n_descsz);
			return 1;
		}
		if (at > segment->file_bytes)
			return 0;
	}
	return 0;
}

/* 1 if there is one, 0 if there is none, -1 with @error. */
static int find_entry(struct boot *boot, const struct elf *elf, uint64_t *entry)
{
	uint64_t searched = 0;

	for (uint32_t i = 0; i < elf->count; i++) {
		struct elf_segment segment;

		if (elf_segment(boot, elf, i, &segment))
			return -1;
		if (segment.type == PT_NOTE)
			searched += segment.file_bytes;
		/* Else all of the file could be searched 65,535 times. */
		if (searched > elf->image->bytes)
			return boot_error(boot, "%s: its notes lie over each other: they are more than the file",
					  elf->image->path);
		if (segment.type == PT_NOTE && search_notes(elf->image, &segment, entry))
			return 1;
	}
	return 0;
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
