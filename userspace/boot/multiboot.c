// SPDX-License-Identifier: GPL-2.0-only
/* Multiboot 1: a header in the file's first 8 KiB, 32-bit entry, information by EBX. */
#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "boot.h"

#define SEARCH		8192u
#define HEADER_MAGIC	0x1badb002u
#define BOOTED_MAGIC	0x2badb002u

/* Of the header's flags: what this loader can do; the others of 0 … 15 are demands. */
#define WANT_PAGE_ALIGN	(1u << 0)
#define WANT_MEMORY	(1u << 1)
#define WANT_VIDEO	(1u << 2)
#define WANT_KNOWN	(WANT_PAGE_ALIGN | WANT_MEMORY)
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
	uint32_t header_address;
	uint32_t load_address;
	uint32_t load_end;
	uint32_t bss_end;
	uint32_t entry;
};
#define HEADER_SHORT	offsetof(struct header, header_address)

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
_Static_assert(sizeof(struct info_page) <= BOOT_INFO_END - BOOT_INFO, "information fits");

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

/* By the addresses in the header, for files that are not ELF. */
static int load_flat(struct boot *boot, const struct image *image, uint64_t offset,
		     uint32_t *entry, uint64_t *end)
{
	const struct header *header = image_at(image, offset, sizeof(*header));
	uint64_t skipped, from, bytes, room;
	void *to;

	if (!header)
		return boot_error(boot, "%s: cut short inside the multiboot header", image->path);
	skipped = (uint64_t)header->header_address - header->load_address;
	if (header->load_address > header->header_address || skipped > offset)
		return boot_error(boot, "%s: the addresses in its multiboot header contradict each other",
				  image->path);
	from = offset - skipped;
	bytes = header->load_end ? (uint64_t)header->load_end - header->load_address :
		image->bytes - from;
	room = header->bss_end ? (uint64_t)header->bss_end - header->load_address : bytes;
	if ((header->load_end && header->load_end < header->load_address) ||
	    (header->bss_end && header->bss_end < header->load_address) || room < bytes)
		return boot_error(boot, "%s: the addresses in its multiboot header contradict each other",
				  image->path);
	if (!image_at(image, from, bytes))
		return boot_error(boot, "%s: cut short: its multiboot header announces more",
				  image->path);
	to = header->load_address >= BOOT_KERNEL ?
		memory_at(boot->memory, header->load_address, room) : NULL;
	if (!to)
		return boot_error(boot, "%s: wants 0x%llx bytes at 0x%x, where the guest has no memory for it",
				  image->path, (unsigned long long)room, header->load_address);
	memcpy(to, image_at(image, from, bytes), bytes);
	*entry = header->entry;
	*end = header->load_address + room;
	return 0;
}

static int load_elf(struct boot *boot, const struct image *image, uint32_t *entry, uint64_t *end)
{
	struct elf elf;

	if (!elf_is(image))
		return boot_error(boot, "%s: a multiboot header without addresses, in a file that is not ELF",
				  image->path);
	if (elf_open(boot, image, &elf) || elf_load(boot, &elf, end))
		return -1;
	if (elf.is64)
		return boot_error(boot, "%s: multiboot images are 32-bit ELF files, this has 64 bits (objcopy -O elf32-i386 converts it)",
				  image->path);
	*entry = elf.entry;
	/* The entry point is a virtual address, but paging is off when it is reached. */
	for (uint32_t i = 0; i < elf.count; i++) {
		struct elf_segment segment;

		if (elf_segment(boot, &elf, i, &segment))
			return -1;
		if (segment.type == PT_LOAD && elf.entry - segment.vaddr < segment.memory_bytes && elf.entry >= segment.vaddr)
			*entry = elf.entry - segment.vaddr + segment.paddr;
	}
	return 0;
}

/* Puts "PATH ARGUMENTS" among the command lines; @used moves on. */
static int put_string(struct boot *boot, const char *path, const char *arguments,
		      uint32_t *used, uint32_t *gpa)
{
	uint32_t room = BOOT_CMDLINE_MAX - *used;
	char *to = memory_at(boot->memory, BOOT_CMDLINE + *used, room);
	int length = snprintf(to, room, arguments && *arguments ? "%s %s" : "%s", path, arguments);

	if (length < 0 || (uint32_t)length >= room)
		return boot_error(boot, "the command lines of kernel and modules have more than %u characters together",
				  BOOT_CMDLINE_MAX - 1);
	*gpa = BOOT_CMDLINE + *used;
	*used += (uint32_t)length + 1;
	return 0;
}

static int load_module(struct boot *boot, const char *path, const char *arguments,
		       struct info_page *page, uint32_t *used, uint64_t *end)
{
	struct module *module = &page->modules[page->info.nr_modules];
	uint64_t gpa = *end, bytes;

	if (image_load_at(boot, path, &gpa, &bytes))
		return -1;
	*end = gpa + bytes;
	*module = (struct module){ .start = gpa, .end = gpa + bytes };
	page->info.nr_modules++;
	return put_string(boot, path, arguments, used, &module->string);
}

static void fill_map(struct boot *boot, struct info_page *page)
{
	struct boot_map_entry map[BOOT_MAP_MAX];
	unsigned int count = boot_map(boot->memory, map);

	for (unsigned int i = 0; i < count; i++)
		page->map[i] = (struct map_entry){
			sizeof(page->map[i]) - sizeof(page->map[i].bytes),
			map[i].gpa, map[i].bytes, map[i].type,
		};
	page->info.map = BOOT_INFO + offsetof(struct info_page, map);
	page->info.map_bytes = count * sizeof(page->map[0]);
	page->info.mem_lower = BOOT_EBDA >> 10;
	page->info.mem_upper = (boot->memory->low - BOOT_KERNEL) >> 10;
}

static int fill_info(struct boot *boot, const struct image *image, uint64_t end)
{
	struct info_page *page = memory_at(boot->memory, BOOT_INFO, sizeof(*page));
	uint32_t used = 0;

	memset(page, 0, sizeof(*page));
	page->info.flags = INFO_MEMORY | INFO_CMDLINE | INFO_MODULES | INFO_MAP | INFO_LOADER;
	page->info.modules = BOOT_INFO + offsetof(struct info_page, modules);
	page->info.loader = BOOT_INFO + offsetof(struct info_page, loader);
	strcpy(page->loader, "gondola");
	fill_map(boot, page);
	if (put_string(boot, image->path, boot->append, &used, &page->info.cmdline))
		return -1;
	if (boot->initrd && load_module(boot, boot->initrd, NULL, page, &used, &end))
		return -1;
	for (unsigned int i = 0; i < boot->nr_modules; i++)
		if (load_module(boot, boot->modules[i].path, boot->modules[i].arguments, page,
				&used, &end))
			return -1;
	return 0;
}

int multiboot_load(struct boot *boot, const struct image *image)
{
	struct header header;
	uint64_t offset, end = 0;
	uint32_t entry = 0;
	int ret;

	if (!find_header(image, &header, &offset))
		return boot_error(boot, "%s: no multiboot header", image->path);
	if (header.flags & WANT_DEMANDS & ~(WANT_KNOWN | WANT_VIDEO))
		return boot_error(boot, "%s: its multiboot header demands what this loader does not know (flags 0x%x)",
				  image->path, header.flags);
	if (header.flags & WANT_VIDEO)
		return boot_error(boot, "%s: its multiboot header demands a graphics mode; there is no display",
				  image->path);
	if (header.flags & HAS_ADDRESSES)
		ret = load_flat(boot, image, offset, &entry, &end);
	else
		ret = load_elf(boot, image, &entry, &end);
	if (ret || fill_info(boot, image, end))
		return -1;
	boot_protected_mode(boot, entry);
	boot->regs.gpr[0] = BOOTED_MAGIC;	/* EAX */
	boot->regs.gpr[3] = BOOT_INFO;		/* EBX */
	return 0;
}
