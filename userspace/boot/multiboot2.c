// SPDX-License-Identifier: GPL-2.0-only
/*
 * Multiboot 2: a header with tags in the file's first 32 KiB, 32-bit entry, and tags of
 * information by EBX ("Multiboot2 Specification", sections 3.1 and 3.6).
 */
#include <stdlib.h>
#include <string.h>

#include "multiboot.h"

#define SEARCH		32768u
#define HEADER_MAGIC	0xe85250d6u
#define BOOTED_MAGIC	0x36d76289u
#define I386		0u
#define OPTIONAL	1u
#define TAG_ALIGN	8u
#define INFO_BASE	1024u		/* everything but strings */
#define MODULE_BASE	64u
#define INFO_MAX	BOOT_CMDLINE_MAX
#define RSDP_BYTES	36u

struct header {
	uint32_t magic;
	uint32_t architecture;
	uint32_t bytes;
	uint32_t checksum;
};

enum wanted {
	WANT_END, WANT_INFORMATION, WANT_ADDRESSES, WANT_ENTRY, WANT_CONSOLE, WANT_FRAMEBUFFER,
	WANT_ALIGNED, WANT_EFI_SERVICES, WANT_EFI32_ENTRY, WANT_EFI64_ENTRY, WANT_RELOCATION,
};

struct want {
	uint16_t type;
	uint16_t flags;
	uint32_t bytes;
};

enum told {
	TELL_END, TELL_CMDLINE, TELL_LOADER, TELL_MODULE, TELL_MEMORY, TELL_MAP = 6,
	TELL_RSDP = 15,
};

struct tag {
	uint32_t type;
	uint32_t bytes;
};

struct map_entry {
	uint64_t gpa;
	uint64_t bytes;
	uint32_t type;
	uint32_t reserved;
};

/* The demands of a header. */
struct wishes {
	uint64_t offset;		/* of the header in the file */
	bool has_addresses;
	bool has_entry;
	struct multiboot_addresses addresses;
	uint32_t entry;
};

/* The information while it grows. */
struct info {
	uint8_t *data;
	uint32_t room;
	uint32_t used;
	bool full;
};

static bool find_header(const struct image *image, struct header *header, uint64_t *offset)
{
	for (uint64_t at = 0; at + sizeof(*header) <= SEARCH; at += TAG_ALIGN) {
		const void *from = image_at(image, at, sizeof(*header));

		if (!from)
			return false;
		memcpy(header, from, sizeof(*header));
		if (header->magic == HEADER_MAGIC &&
		    header->magic + header->architecture + header->bytes + header->checksum == 0) {
			*offset = at;
			return true;
		}
	}
	return false;
}

bool multiboot2_is(const struct image *image)
{
	struct header header;
	uint64_t offset;

	return find_header(image, &header, &offset);
}

static int take_wish(struct boot *boot, const struct image *image, const struct want *want,
		     const uint8_t *payload, struct wishes *wishes)
{
	uint32_t bytes = want->bytes - sizeof(*want);

	switch (want->type) {
	case WANT_ADDRESSES:
		if (bytes < sizeof(wishes->addresses))
			break;
		memcpy(&wishes->addresses, payload, sizeof(wishes->addresses));
		wishes->has_addresses = true;
		return 0;
	case WANT_ENTRY:
		if (bytes < sizeof(wishes->entry))
			break;
		memcpy(&wishes->entry, payload, sizeof(wishes->entry));
		wishes->has_entry = true;
		return 0;
	/* Information that is not there is missed by the kernel; there is no EFI to enter by. */
	case WANT_INFORMATION:
	case WANT_CONSOLE:
	case WANT_FRAMEBUFFER:
	case WANT_ALIGNED:
	case WANT_EFI_SERVICES:
	case WANT_EFI32_ENTRY:
	case WANT_EFI64_ENTRY:
	case WANT_RELOCATION:
		return 0;
	default:
		if (want->flags & OPTIONAL)
			return 0;
		return boot_error(boot, "%s: its multiboot 2 header demands what this loader does not know (tag %u)",
				  image->path, want->type);
	}
	return boot_error(boot, "%s: a tag of its multiboot 2 header is too short", image->path);
}

static int take_wishes(struct boot *boot, const struct image *image, const struct header *header,
		       struct wishes *wishes)
{
	uint32_t at = sizeof(*header);

	if (header->architecture != I386)
		return boot_error(boot, "%s: its multiboot 2 header is for another kind of processor",
				  image->path);
	if (!image_at(image, wishes->offset, header->bytes))
		return boot_error(boot, "%s: cut short inside the multiboot 2 header", image->path);
	while (at < header->bytes && header->bytes - at >= sizeof(struct want)) {
		const uint8_t *from = image_at(image, wishes->offset + at, sizeof(struct want));
		struct want want;

		memcpy(&want, from, sizeof(want));
		if (want.type == WANT_END)
			return 0;
		if (want.bytes < sizeof(want) || want.bytes > header->bytes - at)
			break;
		if (take_wish(boot, image, &want, from + sizeof(want), wishes))
			return -1;
		/* The last tag need not fill its alignment. */
		if (want.bytes > header->bytes - at - (TAG_ALIGN - 1))
			break;
		at += (want.bytes + TAG_ALIGN - 1) & ~(TAG_ALIGN - 1);
	}
	return boot_error(boot, "%s: the tags of its multiboot 2 header have no end", image->path);
}

static int load_image(struct boot *boot, const struct image *image, const struct wishes *wishes,
		      uint64_t *entry, uint64_t *end)
{
	struct elf elf;

	if (wishes->has_addresses) {
		if (!wishes->has_entry)
			return boot_error(boot, "%s: a multiboot 2 header with addresses and without an entry point",
					  image->path);
		*entry = wishes->entry;
		return multiboot_load_flat(boot, image, wishes->offset, &wishes->addresses, end);
	}
	if (!elf_is(image))
		return boot_error(boot, "%s: a multiboot 2 header without addresses, in a file that is not ELF",
				  image->path);
	if (elf_open(boot, image, &elf) || elf_load(boot, &elf, end))
		return -1;
	*entry = wishes->has_entry ? wishes->entry : elf_entry(&elf);
	if (*entry >> 32)
		return boot_error(boot, "%s: its entry point 0x%llx lies above 4 GiB", image->path,
				  (unsigned long long)*entry);
	return 0;
}

/* Room for a tag with @bytes behind its head; NULL once the information is full. */
static void *add_tag(struct info *info, enum told type, uint32_t bytes)
{
	uint32_t at = info->used;
	uint32_t all = (sizeof(struct tag) + bytes + TAG_ALIGN - 1) & ~(TAG_ALIGN - 1);

	if (info->full || all > info->room - at) {
		info->full = true;
		return NULL;
	}
	memcpy(info->data + at, &(struct tag){ type, sizeof(struct tag) + bytes },
	       sizeof(struct tag));
	info->used += all;
	return info->data + at + sizeof(struct tag);
}

static void add_string(struct info *info, enum told type, const char *string)
{
	void *to = add_tag(info, type, strlen(string) + 1);

	if (to)
		strcpy(to, string);
}

static void add_memory(struct boot *boot, struct info *info)
{
	const uint32_t kib[2] = { BOOT_EBDA >> 10, (boot->memory->low - BOOT_KERNEL) >> 10 };
	void *to = add_tag(info, TELL_MEMORY, sizeof(kib));

	if (to)
		memcpy(to, kib, sizeof(kib));
}

static int note_module(struct boot *boot, void *information, uint32_t start, uint32_t end,
		       const char *string)
{
	const uint32_t where[2] = { start, end };
	uint8_t *to = add_tag(information, TELL_MODULE, sizeof(where) + strlen(string) + 1);

	(void)boot;
	if (to) {
		memcpy(to, where, sizeof(where));
		strcpy((char *)to + sizeof(where), string);
	}
	return 0;
}

static void add_map(struct boot *boot, struct info *info)
{
	const uint32_t head[2] = { sizeof(struct map_entry), 0 };
	struct boot_map_entry map[BOOT_MAP_MAX];
	unsigned int count = boot_map(boot->memory, map);
	uint8_t *to = add_tag(info, TELL_MAP, sizeof(head) + count * sizeof(struct map_entry));

	if (!to)
		return;
	memcpy(to, head, sizeof(head));
	for (unsigned int i = 0; i < count; i++)
		memcpy(to + sizeof(head) + i * sizeof(struct map_entry),
		       &(struct map_entry){ map[i].gpa, map[i].bytes, map[i].type, 0 },
		       sizeof(struct map_entry));
}

/* The tables' root pointer, of ACPI 2.0 or later. */
static void add_rsdp(struct boot *boot, struct info *info)
{
	void *to = add_tag(info, TELL_RSDP, RSDP_BYTES);

	if (to)
		memcpy(to, memory_at(boot->memory, boot->rsdp, RSDP_BYTES), RSDP_BYTES);
}

/* Room for every string and what else there is to tell. */
static uint32_t info_room(const struct boot *boot)
{
	size_t room = INFO_BASE + strlen(boot->kernel) + strlen(boot->append) +
		(boot->initrd ? strlen(boot->initrd) + MODULE_BASE : 0);

	for (unsigned int i = 0; i < boot->nr_modules; i++) {
		const struct boot_module *module = &boot->modules[i];

		room += MODULE_BASE + strlen(module->path) +
			(module->arguments ? strlen(module->arguments) : 0);
	}
	return room < INFO_MAX ? room : INFO_MAX;
}

static int fill_info(struct boot *boot, const struct image *image, uint64_t end, uint32_t *gpa)
{
	struct info info = { .room = info_room(boot), .used = 2 * sizeof(uint32_t) };
	char *string;

	info.data = boot_take_low(boot, info.room, gpa);
	string = info.data ? multiboot_string(boot, image->path, boot->append) : NULL;
	if (!string)
		return -1;
	memset(info.data, 0, info.room);
	add_string(&info, TELL_CMDLINE, string);
	free(string);
	add_string(&info, TELL_LOADER, "gondola");
	add_memory(boot, &info);
	add_map(boot, &info);
	add_rsdp(boot, &info);
	if (multiboot_load_modules(boot, note_module, &info, end))
		return -1;
	add_tag(&info, TELL_END, 0);
	if (info.full)
		return boot_error(boot, "%s: the command lines of kernel and modules are too long together",
				  image->path);
	memcpy(info.data, &info.used, sizeof(info.used));
	return 0;
}

int multiboot2_load(struct boot *boot, const struct image *image)
{
	struct wishes wishes = { 0 };
	uint64_t entry = 0, end = 0;
	struct header header;
	uint32_t info;

	if (!find_header(image, &header, &wishes.offset))
		return boot_error(boot, "%s: no multiboot 2 header", image->path);
	if (take_wishes(boot, image, &header, &wishes) ||
	    load_image(boot, image, &wishes, &entry, &end) ||
	    fill_info(boot, image, end, &info) || boot_protected_mode(boot, entry))
		return -1;
	boot->regs.gpr[0] = BOOTED_MAGIC;	/* EAX */
	boot->regs.gpr[3] = info;		/* EBX */
	return 0;
}
