/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Loads a kernel: recognises the image's format, puts the image with its data into guest memory,
 * and sets the first vCPU's state.  Images are untrusted: every read is checked.
 */
#ifndef BOOT_BOOT_H
#define BOOT_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "lib/libgondola.h"
#include "vm/memory.h"

#define BOOT_MAX_MODULES	16

/* The layout of the guest's first MiB; most kernels are loaded above it. */
#define BOOT_SECTOR		0x7c00u
#define BOOT_CMDLINE_MAX	0x10000u
#define BOOT_EBDA		0x9fc00u	/* end of base memory */
#define BOOT_ACPI		0xe0000u
#define BOOT_ACPI_END		BOOT_MP
#define BOOT_MP			0xf0000u	/* where a guest searches its pointer */
#define BOOT_MP_END		BOOT_BIOS
#define BOOT_BIOS		0xfe000u	/* to the end of the first MiB */
#define BOOT_KERNEL		0x100000u
#define BOOT_IO_APIC		0xfec00000u
#define BOOT_LOCAL_APIC		0xfee00000u

/** struct boot_module - a multiboot module: a file and its string */
struct boot_module {
	const char *path;
	const char *arguments;		/* or NULL */
};

#define BOOT_LOW_MAX	48		/* a string for each module, segments, tables */

struct boot_range {
	uint64_t from;
	uint64_t to;
};

/** struct boot_low - used parts of base memory, below BOOT_EBDA */
struct boot_low {
	struct boot_range range[BOOT_LOW_MAX];
	unsigned int count;
};

/**
 * struct boot - a kernel to boot
 * @kernel, @initrd: paths; @initrd may be NULL
 * @append: the command line, not NULL
 * @nr_virtio: virtio devices to announce
 * @low: memory in use by the loaders
 * @post: the start of a boot sector, see bios_build()
 * @as_xen: start it as a paravirtualized guest of Xen's interface
 * @xen: out: the memory of such a guest
 * @xen_console, @xen_store: out: addresses of the rings of its console and store
 * @rsdp: out: start of the ACPI tables
 * @protocol: out: the recognised boot protocol
 * @regs, @sregs: out: the first vCPU's state; apic_base and xcr0 are not changed
 * @error: out: the error in words
 */
struct boot {
	const struct guest_memory *memory;
	const char *kernel;
	const char *initrd;
	const char *append;
	struct boot_module modules[BOOT_MAX_MODULES];
	unsigned int nr_modules;
	unsigned int cpus;
	unsigned int nr_virtio;
	struct boot_low low;
	uint16_t post;
	bool as_xen;

	struct gondola_xen_config xen;
	uint64_t xen_console;
	uint64_t xen_store;
	uint64_t rsdp;
	const char *protocol;
	struct gondola_rec_regs regs;
	struct gondola_rec_sregs sregs;
	struct error error;
};

/** boot_load() - load the kernel; 0, or -1 with @error */
int boot_load(struct boot *boot);
/** boot_error() - set @error; returns -1 */
int boot_error(struct boot *boot, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- low.c: base memory ---------------------------------------------------------- */

/**
 * boot_place() - get the address for @bytes of an image at @gpa
 *
 * NULL if the guest has no memory there, or if the place belongs to the BIOS: the interrupt vectors
 * and its data area, and everything from BOOT_EBDA to 1 MiB.  A guest of Xen's interface has none.
 */
void *boot_place(struct boot *boot, uint64_t gpa, uint64_t bytes);
/**
 * boot_take_low() - allocate a place in base memory that is not in use
 * @gpa: out, at a page's beginning
 *
 * Call it after the image has been placed.  NULL with @error if there is no room.
 */
void *boot_take_low(struct boot *boot, uint64_t bytes, uint32_t *gpa);
/** boot_put_string() - copy @string to base memory; 0, or -1 with @error */
int boot_put_string(struct boot *boot, const char *string, uint32_t *gpa);

/** boot_checksum() - compute the byte that makes the sum of a firmware table's @bytes 0 */
uint8_t boot_checksum(const void *data, size_t bytes);

/* ---- image.c: files ------------------------------------------------------------ */

/** struct image - a file in the launcher's memory */
struct image {
	const char *path;
	uint8_t *data;
	size_t bytes;
};

int image_read(struct boot *boot, const char *path, struct image *image);
void image_free(struct image *image);
/** image_copy() - make an image of @bytes at @from; 0, or -1 with @error */
int image_copy(struct boot *boot, struct image *image, const char *path, const void *from,
	       size_t bytes);
/** image_unpack() - decompress an image of gzip, zstd or lz4 (as Linux has it); -1 with @error, with the image freed */
int image_unpack(struct boot *boot, struct image *image);
/** image_other() - for an image that cannot be started: describe it, and what would help */
const char *image_other(const struct image *image);
bool image_is_efi(const struct image *image);
/** image_at() - get @bytes at @offset, or NULL if the file is shorter */
const void *image_at(const struct image *image, uint64_t offset, uint64_t bytes);
/**
 * image_load_high() - load a file as high in low memory as possible
 * @floor, @ceiling: gpa below and above which it must not reach
 *
 * @gpa and @bytes are set. -1 with @error if it cannot be read or does not fit.
 */
int image_load_high(struct boot *boot, const char *path, uint64_t floor, uint64_t ceiling,
		    uint64_t *gpa, uint64_t *bytes);
/** image_load_at() - the same at a given place (aligned up to a page); @gpa: in and out */
int image_load_at(struct boot *boot, const char *path, uint64_t *gpa, uint64_t *bytes);

/* ---- cpu.c: states to start in -------------------------------------------------- */

/** boot_protected_mode() - flat 32-bit, paging off, entered at @entry; 0, or -1 with @error */
int boot_protected_mode(struct boot *boot, uint32_t entry);
/** boot_long_mode() - 64-bit, the first 4 GiB mapped one to one; 0, or -1 with @error */
int boot_long_mode(struct boot *boot, uint64_t entry);

/* ---- map.c: what memory there is -------------------------------------------------- */

#define BOOT_MAP_MAX	8
enum boot_map_type { BOOT_RAM = 1, BOOT_RESERVED = 2 };

struct boot_map_entry {
	uint64_t gpa;
	uint64_t bytes;
	uint32_t type;
};

/** boot_map() - fill at most BOOT_MAP_MAX entries; returns their number */
unsigned int boot_map(const struct guest_memory *memory, struct boot_map_entry *map);

/* ---- the formats: each 0, -1 with @error ------------------------------------------- */

bool bzimage_is(const struct image *image);
int bzimage_load(struct boot *boot, const struct image *image);
/**
 * linux_elf_load() - a 64-bit ELF file, entered by Linux's 64-bit boot protocol
 *
 * That is how a vmlinux without PVH's note starts.
 */
int linux_elf_load(struct boot *boot, const struct image *image);
bool multiboot2_is(const struct image *image);
int multiboot2_load(struct boot *boot, const struct image *image);
bool multiboot_is(const struct image *image);
int multiboot_load(struct boot *boot, const struct image *image);
bool sector_is(const struct image *image);
int sector_load(struct boot *boot, const struct image *image);
/** boot_real_mode() - start as a BIOS ends: in real mode, at BOOT_SECTOR */
void boot_real_mode(struct boot *boot);
/** pvh_is() - whether an ELF file has the note of PVH's entry point */
bool pvh_is(const struct image *image);
/** pvh_load() - an ELF image with Xen's note of a 32-bit entry point */
int pvh_load(struct boot *boot, const struct image *image);

/**
 * xen_alone() - whether an ELF file can be started by Xen's notes alone
 *
 * Not so a vmlinux whose entry lies in memory: Linux's 64-bit protocol starts it without PVH, too.
 */
bool xen_alone(const struct boot *boot, const struct image *image);
/** xen_load() - a Linux bzImage or ELF image with Xen's notes, as a paravirtualized guest */
int xen_load(struct boot *boot, const struct image *image);
/** xen_next_vcpu() - turn a vCPU's registers of xen_load() into those of the next one, which the guest starts */
void xen_next_vcpu(struct gondola_rec_sregs *sregs);

/* ---- elf.c ---------------------------------------------------------------------------- */

/**
 * struct elf - an executable, 32 or 64 bits
 * @paddr_offset: subtract it from the segments' physical addresses, as a note of Xen's says
 */
struct elf {
	const struct image *image;
	bool is64;
	uint64_t entry;
	uint64_t headers;
	uint32_t header_bytes;
	uint32_t count;
	uint64_t paddr_offset;
};

struct elf_segment {
	uint32_t type;
	uint64_t offset;
	uint64_t vaddr;
	uint64_t paddr;
	uint64_t file_bytes;
	uint64_t memory_bytes;
	uint64_t align;
};

bool elf_is(const struct image *image);
int elf_open(struct boot *boot, const struct image *image, struct elf *elf);
/** elf_segment() - program header @index < elf->count; its file range is inside the file */
int elf_segment(struct boot *boot, const struct elf *elf, uint32_t index,
		struct elf_segment *segment);
/**
 * elf_entry() - the physical address of the entry point
 *
 * The header has a virtual one, but paging is off, or maps one to one, when it is reached.
 */
uint64_t elf_entry(const struct elf *elf);
/**
 * struct elf_note - a note, and where the search for the next one goes on
 * @number: the payload, if it has 4 or 8 bytes
 */
struct elf_note {
	uint32_t type;
	const void *data;
	uint64_t bytes;
	uint64_t number;
	uint32_t segment;
	uint64_t offset;
	uint64_t searched;
};

/**
 * elf_next_note() - find the next note of @owner; @note is zero at first
 *
 * 1; 0: there is none; -1 with @error.
 */
int elf_next_note(struct boot *boot, const struct elf *elf, const char *owner,
		  struct elf_note *note);
/** elf_load() - all loadable segments at their physical addresses; @end: above the last one */
int elf_load(struct boot *boot, const struct elf *elf, uint64_t *end);

/* ---- bios.c: real mode ------------------------------------------------------------------- */

/**
 * bios_build() - interrupt vectors, the BIOS's data areas, and the code that they lead to
 *
 * Returns the offset in segment 0xf000 of the code that starts a boot sector.
 */
uint16_t bios_build(const struct guest_memory *memory);

/* ---- acpi.c ----------------------------------------------------------------------------- */

/** acpi_build() - put all tables into BOOT_ACPI … GENERATION_GPA; returns the RSDP's gpa */
uint64_t acpi_build(const struct guest_memory *memory, unsigned int cpus, unsigned int nr_virtio);

/* ---- mp.c --------------------------------------------------------------------------------- */

/** mp_build() - put the MultiProcessor Specification's tables at BOOT_MP, for guests without ACPI */
void mp_build(const struct guest_memory *memory, unsigned int cpus);

#endif
