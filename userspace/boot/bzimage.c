// SPDX-License-Identifier: GPL-2.0-only
/* Linux's bzImage, by its documented boot protocol; at the 64-bit entry point if there is one. */
#include <string.h>
#include <asm/bootparam.h>

#include "boot.h"

#define HEADER_OFFSET	0x1f1
#define BOOT_FLAG	0xaa55
#define MAGIC		0x53726448		/* "HdrS" */
#define ENTRY_64	0x200
#define SECTOR		512u
#define PARAGRAPH	16u
#define LOADER_UNKNOWN	0xff
#define VGA_NORMAL	0xffff
#define INITRD_MAX	0x7fffffff
/* Older than Linux 2.6.26 are only programs that dress as kernels, and need their 16-bit part. */
#define SETUP_NEEDED	0x0208
#define SETUP_SEGMENT	0x1000u
#define SETUP_STACK	0xe000u
#define SETUP_ROOM	0x10000u
#define CMDLINE_OLD_MAX	255			/* before protocol 2.06 */

bool bzimage_is(const struct image *image)
{
	const struct setup_header *header =
		image_at(image, HEADER_OFFSET, offsetof(struct setup_header, version));

	return header && header->boot_flag == BOOT_FLAG && header->header == MAGIC;
}

/* The part of the header that the file has; the rest is zero. */
static int read_header(struct boot *boot, const struct image *image, struct setup_header *header)
{
	const uint8_t *length = image_at(image, 0x201, 1);
	uint64_t bytes = 0x202 + *length - HEADER_OFFSET;
	const void *from = image_at(image, HEADER_OFFSET, bytes);

	if (!from)
		return boot_error(boot, "%s: cut short inside the kernel's header", image->path);
	memset(header, 0, sizeof(*header));
	memcpy(header, from, bytes < sizeof(*header) ? bytes : sizeof(*header));
	if (header->version < 0x0202 || !(header->loadflags & LOADED_HIGH))
		return boot_error(boot, "%s: a kernel of boot protocol %u.%02u, too old to be loaded (2.02 and a bzImage are needed)",
				  image->path, header->version >> 8, header->version & 0xff);
	return 0;
}

/* Copies the kernel proper; @end: the memory below it is the kernel's until it has unpacked. */
static int load_kernel(struct boot *boot, const struct image *image,
		       const struct setup_header *header, uint64_t *end)
{
	uint64_t setup = (header->setup_sects ? header->setup_sects : 4) * SECTOR + SECTOR;
	uint64_t rest = image->bytes > setup ? image->bytes - setup : 0;
	uint64_t bytes = header->syssize * 16ull, run = BOOT_KERNEL;
	const void *from;
	void *to;

	/* The size counts in paragraphs of 16 bytes; not every file fills its last one. */
	if (header->version < 0x0204 || (rest < bytes && bytes - rest < PARAGRAPH))
		bytes = rest;
	from = image_at(image, setup, bytes);
	if (!bytes || !from)
		return boot_error(boot, "%s: cut short: the header announces %llu bytes, the file has %zu",
				  image->path, (unsigned long long)(setup + bytes), image->bytes);
	*end = BOOT_KERNEL + bytes;
	if (header->version >= 0x020a) {
		if (header->pref_address > run)
			run = header->pref_address;
		if (run + header->init_size > *end)
			*end = run + header->init_size;
		if (run + header->init_size < run)
			*end = ~0ull;
	}
	to = memory_at(boot->memory, BOOT_KERNEL, bytes);
	if (!to || *end > boot->memory->low)
		return boot_error(boot, "%s: this kernel needs %lluM of memory to start, the guest has %lluM",
				  image->path, (unsigned long long)((*end - 1) >> 20) + 1,
				  (unsigned long long)boot->memory->bytes >> 20);
	memcpy(to, from, bytes);
	return 0;
}

static int load_cmdline(struct boot *boot, const struct image *image,
			struct setup_header *header)
{
	size_t max = header->version >= 0x0206 ? header->cmdline_size : CMDLINE_OLD_MAX;
	size_t length = strlen(boot->append);
	uint32_t gpa;

	if (length > max)
		return boot_error(boot, "%s: takes a command line of %zu characters, not %zu",
				  image->path, max, length);
	if (boot_put_string(boot, boot->append, &gpa))
		return -1;
	header->cmd_line_ptr = gpa;
	return 0;
}

static int load_initrd(struct boot *boot, uint64_t floor, struct setup_header *header)
{
	uint64_t ceiling = 0x38000000, gpa, bytes;

	if (!boot->initrd)
		return 0;
	if (header->version >= 0x0203)
		ceiling = header->initrd_addr_max + 1ull;
	if (image_load_high(boot, boot->initrd, floor, ceiling, &gpa, &bytes))
		return -1;
	/* Of an empty file there is nothing to be found. */
	header->ramdisk_image = bytes ? gpa : 0;
	header->ramdisk_size = bytes;
	return 0;
}

/*
 * The 16-bit part of the image, where loaders put it, and at BOOT_SECTOR what enters it.  Its stack
 * and heap end at SETUP_STACK of its segment.
 */
static int load_setup(struct boot *boot, const struct image *image,
		      const struct setup_header *header)
{
	static const uint8_t enter[] = {
		0xfa,						/* cli */
		0xb8, SETUP_SEGMENT & 0xff, SETUP_SEGMENT >> 8,	/* mov $SETUP_SEGMENT, %ax */
		0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0,		/* to DS, ES, SS */
		0x8e, 0xe0, 0x8e, 0xe8,				/* FS, GS */
		0xbc, SETUP_STACK & 0xff, SETUP_STACK >> 8,	/* mov $SETUP_STACK, %sp */
		0xea, 0, 0, (SETUP_SEGMENT + SECTOR / PARAGRAPH) & 0xff,
		(SETUP_SEGMENT + SECTOR / PARAGRAPH) >> 8,	/* ljmp behind the first sector */
	};
	uint64_t bytes = (header->setup_sects ? header->setup_sects : 4) * SECTOR + SECTOR;
	const void *from = image_at(image, 0, bytes);
	uint8_t *to = boot_place(boot, SETUP_SEGMENT * PARAGRAPH, SETUP_ROOM);
	uint8_t *sector = boot_place(boot, BOOT_SECTOR, SECTOR);

	if (!from || !to || !sector || bytes > SETUP_STACK)
		return boot_error(boot, "%s: its 16-bit part of %llu bytes is cut short or too long",
				  image->path, (unsigned long long)bytes);
	memcpy(to, from, bytes);
	memcpy(sector, enter, sizeof(enter));
	boot_real_mode(boot);
	return 0;
}

static void tell_setup(struct boot *boot, const struct setup_header *header)
{
	struct setup_header *told = memory_at(boot->memory, SETUP_SEGMENT * PARAGRAPH +
					      HEADER_OFFSET, sizeof(*told));

	told->type_of_loader = LOADER_UNKNOWN;
	told->loadflags |= CAN_USE_HEAP;
	told->heap_end_ptr = SETUP_STACK - SECTOR;
	told->cmd_line_ptr = header->cmd_line_ptr;
	told->ramdisk_image = header->ramdisk_image;
	told->ramdisk_size = header->ramdisk_size;
}

static int fill_zero_page(struct boot *boot, const struct setup_header *header, uint32_t *gpa)
{
	struct boot_params *zero = boot_take_low(boot, sizeof(*zero), gpa);
	struct boot_map_entry map[BOOT_MAP_MAX];

	if (!zero)
		return -1;
	memset(zero, 0, sizeof(*zero));
	zero->hdr = *header;
	zero->hdr.type_of_loader = LOADER_UNKNOWN;
	zero->hdr.vid_mode = VGA_NORMAL;
	zero->acpi_rsdp_addr = boot->rsdp;
	zero->alt_mem_k = (boot->memory->low - BOOT_KERNEL) >> 10;
	zero->e820_entries = boot_map(boot->memory, map);
	for (unsigned int i = 0; i < zero->e820_entries; i++) {
		zero->e820_table[i].addr = map[i].gpa;
		zero->e820_table[i].size = map[i].bytes;
		zero->e820_table[i].type = map[i].type;
	}
	return 0;
}

int bzimage_load(struct boot *boot, const struct image *image)
{
	struct setup_header header;
	uint64_t end = 0;
	uint32_t zero;
	int ret;

	if (read_header(boot, image, &header) || load_kernel(boot, image, &header, &end) ||
	    (header.version < SETUP_NEEDED && load_setup(boot, image, &header)) ||
	    load_cmdline(boot, image, &header) || load_initrd(boot, end, &header))
		return -1;
	if (header.version < SETUP_NEEDED) {
		boot->protocol = "bzImage, 16-bit entry";
		tell_setup(boot, &header);
		return 0;
	}
	if (fill_zero_page(boot, &header, &zero))
		return -1;
	if (header.version >= 0x020c && header.xloadflags & XLF_KERNEL_64) {
		boot->protocol = "bzImage, 64-bit entry";
		ret = boot_long_mode(boot, BOOT_KERNEL + ENTRY_64);
	} else {
		boot->protocol = "bzImage, 32-bit entry";
		ret = boot_protected_mode(boot, BOOT_KERNEL);
	}
	boot->regs.gpr[6] = zero;		/* RSI */
	return ret;
}

int linux_elf_load(struct boot *boot, const struct image *image)
{
	/* In place of a bzImage's own header. */
	struct setup_header header = {
		.boot_flag = BOOT_FLAG, .header = MAGIC, .version = 0x020c,
		.loadflags = LOADED_HIGH, .xloadflags = XLF_KERNEL_64,
		.initrd_addr_max = INITRD_MAX, .cmdline_size = BOOT_CMDLINE_MAX,
	};
	uint64_t end = 0;
	struct elf elf;
	uint32_t zero;

	if (elf_open(boot, image, &elf))
		return -1;
	if (!elf.is64)
		return boot_error(boot, "%s: a 32-bit ELF file with neither a PVH note nor a multiboot header: not a kernel that can be started",
				  image->path);
	if (elf_entry(&elf) >= boot->memory->low)
		return boot_error(boot, "%s: its entry point 0x%llx lies outside of the guest's memory",
				  image->path, (unsigned long long)elf_entry(&elf));
	if (elf_load(boot, &elf, &end) ||
	    load_cmdline(boot, image, &header) || load_initrd(boot, end, &header) ||
	    fill_zero_page(boot, &header, &zero) || boot_long_mode(boot, elf_entry(&elf)))
		return -1;
	boot->regs.gpr[6] = zero;
	return 0;
}
