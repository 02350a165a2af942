// SPDX-License-Identifier: GPL-2.0-only
/* Multiboot 1: a header in the file's first 8 KiB, 32-bit entry, information by EBX. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "multiboot.h"

#define SEARCH		8192u
#define HEADER_MAGIC	0x1badb002u
#define BOOTED_MAGIC	0x2badb002u

/* Of the header's flags: what this loader can do; the others of 0 … 15 are demands. */
#define WANT_PAGE_ALIGN	(1u << 0)
#define WANT_MEMORY	(1u << 1)
#define WANT_VIDEO	(1u << 2)	/* answered by a missing mode: there is no display */
#define WANT_KNOWN	(WANT_PAGE_ALIGN | WANT_MEMORY | WANT_VIDEO)
#define WANT_DEMANDS	0xffffu
#define HAS_ADDRESSES	(1u << 16)

#define INFO_MEMORY	(1u << 0)
#define INFO_CMDLINE	(1u << 2)
#define INFO_MODULES	(1u << 3)
#define INFO_MAP	(1u << 6)
#define INFO_LOADER	(1u << 9)

struct header {
	uint32_t magic;
	uint32_t flags;
	uint32_t checksum;
	/* With HAS_ADDRESSES: */
	struct multiboot_addresses addresses;
	uint32_t entry;
};
#define HEADER_SHORT	offsetof(struct header, addresses)

struct info {
	uint32_t flags;
	uint32_t mem_lower;		/* KiB below 1 MiB */
	uint32_t mem_upper;		/* KiB from there to the first hole */
	uint32_t boot_device;
	uint32_t cmdline;
	uint32_t nr_modules;
	uint32_t modules;
	uint32_t symbols[4];
	uint32_t map_bytes;
	uint32_t map;
	uint32_t drives_bytes;
	uint32_t drives;
	uint32_t config_table;
	uint32_t loader;
	uint32_t apm_table;
};

struct module {
	uint32_t start;
	uint32_t end;
	uint32_t string;
	uint32_t reserved;
};

struct map_entry {
	uint32_t bytes;			/* of what follows */
	uint64_t gpa;
	uint64_t length;
	uint32_t type;
} __attribute__((packed));

struct info_page {
	struct info info;
	struct module modules[BOOT_MAX_MODULES + 1];
	struct map_entry map[BOOT_MAP_MAX];
	char loader[16];
};

/* Copies the header out and says where it lies, or returns false. */
static bool find_header(const struct image *image, struct header *header, uint64_t *offset)
{
	for (uint64_t at = 0; at + HEADER_SHORT <= SEARCH; at += 4) {
		const void *from = image_at(image, at, HEADER_SHORT);

		if (!from)
			return false;
		memset(header, 0, sizeof(*header));
		memcpy(header, from, HEADER_SHORT);
		if (header->magic == HEADER_MAGIC &&
		    header->magic + header->flags + header->checksum == 0) {
			*offset = at;
			return true;
		}
	}
	return false;
}

bool multiboot_is(const struct image *image)
{
	struct header header;
	uint64_t offset;

	return find_header(image, &header, &offset);
}

int multiboot_load_flat(struct boot *boot, const struct image *image, uint64_t offset,
			const struct multiboot_addresses *want, uint64_t *end)
{
	uint64_t skipped = (uint64_t)want->header - want->load, from = offset - skipped;
	uint64_t bytes, room;
	void *to;

	if (want->load > want->header || skipped > offset)
		return boot_error(boot, "%s: the addresses in its multiboot header contradict each other",
				  image->path);
	bytes = want->load_end ? (uint64_t)want->load_end - want->load : image->bytes - from;
	room = want->bss_end ? (uint64_t)want->bss_end - want->load : bytes;
	if ((want->load_end && want->load_end < want->load) ||
	    (want->bss_end && want->bss_end < want->load) || room < bytes)
		return boot_error(boot, "%s: the addresses in its multiboot header contradict each other",
				  image->path);
	if (!image_at(image, from, bytes))
		return boot_error(boot, "%s: cut short: its multiboot header announces more",
				  image->path);
	to = boot_place(boot, want->load, room);
	if (!to)
		return boot_error(boot, "%s: wants 0x%llx bytes at 0x%x, where the guest has no memory for it",
				  image->path, (unsigned long long)room, want->load);
	memcpy(to, image_at(image, from, bytes), bytes);
	*end = want->load + room;
	return 0;
}

static int load_flat(struct boot *boot, const struct image *image, uint64_t offset,
		     uint32_t *entry, uint64_t *end)
{
	const void *from = image_at(image, offset, sizeof(struct header));
	struct header header;

	if (!from)
		return boot_error(boot, "%s: cut short inside the multiboot header", image->path);
	memcpy(&header, from, sizeof(header));
	*entry = header.entry;
	return multiboot_load_flat(boot, image, offset, &header.addresses, end);
}

static int load_elf(struct boot *boot, const struct image *image, uint32_t *entry, uint64_t *end)
{
	struct elf elf;

	if (!elf_is(image))
		return boot_error(boot, "%s: a multiboot header without addresses, in a file that is not ELF",
				  image->path);
	if (elf_open(boot, image, &elf) || elf_load(boot, &elf, end))
		return -1;
	if (elf_entry(&elf) >> 32)
		return boot_error(boot, "%s: its entry point 0x%llx lies above 4 GiB", image->path,
				  (unsigned long long)elf_entry(&elf));
	*entry = elf_entry(&elf);
	return 0;
}

char *multiboot_string(struct boot *boot, const char *path, const char *arguments)
{
	char *text;

	if (asprintf(&text, arguments && *arguments ? "%s %s" : "%s", path, arguments) >= 0)
		return text;
	boot_error(boot, "out of memory");
	return NULL;
}

int multiboot_load_modules(struct boot *boot, multiboot_module *note, void *information,
			   uint64_t end)
{
	for (int i = boot->initrd ? -1 : 0; i < (int)boot->nr_modules; i++) {
		const char *path = i < 0 ? boot->initrd : boot->modules[i].path;
		uint64_t gpa = end, bytes;
		char *string;
		int ret;

		if (image_load_at(boot, path, &gpa, &bytes))
			return -1;
		string = multiboot_string(boot, path, i < 0 ? NULL : boot->modules[i].arguments);
		if (!string)
			return -1;
		ret = note(boot, information, gpa, gpa + bytes, string);
		free(string);
		if (ret)
			return -1;
		end = gpa + bytes;
	}
	return 0;
}

static int note_module(struct boot *boot, void *information, uint32_t start, uint32_t end,
		       const char *string)
{
	struct info_page *page = information;
	struct module *module = &page->modules[page->info.nr_modules++];

	*module = (struct module){ .start = start, .end = end };
	return boot_put_string(boot, string, &module->string);
}

static void fill_map(struct boot *boot, struct info_page *page, uint32_t gpa)
{
	struct boot_map_entry map[BOOT_MAP_MAX];
	unsigned int count = boot_map(boot->memory, map);

	for (unsigned int i = 0; i < count; i++)
		page->map[i] = (struct map_entry){
			sizeof(page->map[i]) - sizeof(page->map[i].bytes),
			map[i].gpa, map[i].bytes, map[i].type,
		};
	page->info.map = gpa + offsetof(struct info_page, map);
	page->info.map_bytes = count * sizeof(page->map[0]);
	page->info.mem_lower = BOOT_EBDA >> 10;
	page->info.mem_upper = (boot->memory->low - BOOT_KERNEL) >> 10;
}

static int fill_info(struct boot *boot, const struct image *image, uint64_t end, uint32_t *gpa)
{
	struct info_page *page = boot_take_low(boot, sizeof(*page), gpa);
	char *string;
	int ret;

	if (!page)
		return -1;
	memset(page, 0, sizeof(*page));
	page->info.flags = INFO_MEMORY | INFO_CMDLINE | INFO_MODULES | INFO_MAP | INFO_LOADER;
	page->info.modules = *gpa + offsetof(struct info_page, modules);
	page->info.loader = *gpa + offsetof(struct info_page, loader);
	strcpy(page->loader, "gondola");
	fill_map(boot, page, *gpa);
	string = multiboot_string(boot, image->path, boot->append);
	if (!string)
		return -1;
	ret = boot_put_string(boot, string, &page->info.cmdline);
	free(string);
	return ret ?: multiboot_load_modules(boot, note_module, page, end);
}

int multiboot_load(struct boot *boot, const struct image *image)
{
	struct header header;
	uint64_t offset, end = 0;
	uint32_t entry = 0, info;
	int ret;

	if (!find_header(image, &header, &offset))
		return boot_error(boot, "%s: no multiboot header", image->path);
	if (header.flags & WANT_DEMANDS & ~WANT_KNOWN)
		return boot_error(boot, "%s: its multiboot header demands what this loader does not know (flags 0x%x)",
				  image->path, header.flags);
	if (header.flags & HAS_ADDRESSES)
		ret = load_flat(boot, image, offset, &entry, &end);
	else
		ret = load_elf(boot, image, &entry, &end);
	if (ret || fill_info(boot, image, end, &info) || boot_protected_mode(boot, entry))
		return -1;
	boot->regs.gpr[0] = BOOTED_MAGIC;	/* EAX */
	boot->regs.gpr[3] = info;		/* EBX */
	return 0;
}
