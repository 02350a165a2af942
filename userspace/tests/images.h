/* SPDX-License-Identifier: GPL-2.0-only */
/* Kernel images made for the tests of the loaders, and boots that use them. */
#ifndef TESTS_IMAGES_H
#define TESTS_IMAGES_H

#include <stddef.h>
#include <stdint.h>
#include "boot/boot.h"

#define IMAGE_ROOM	8192

/** struct made - an image and how long it is */
struct made {
	_Alignas(8) uint8_t data[IMAGE_ROOM];
	size_t bytes;
};

/** made - the image that a test works on */
extern struct made made;

/** make_bzimage() - with or without a 64-bit entry point */
void make_bzimage(int is64);
/** make_pvh() - an ELF file of 32 or 64 bits with a PVH note; entered at 0x100020 */
void make_pvh(int is64);
/** make_xen() - an ELF file of 64 bits with Xen's notes, entered at MADE_XEN_BASE + 0x100020 */
void make_xen(void);
/** made_xen_calls - the page of hypercalls in the notes of what follows; 0: none */
extern uint64_t made_xen_calls;
/** make_xen_at() - likewise with these notes; an offset of 0 is left out */
void make_xen_at(uint64_t entry, uint64_t base, uint64_t paddr_offset);
#define MADE_XEN_BASE	0xffffffff80000000ull
/** make_multiboot() - ELF32 with a header; entered at 0x100010 */
void make_multiboot(void);
/** make_multiboot2() - ELF32 with a header of version 2 that has @count words of @tags */
void make_multiboot2(const uint32_t *tags, size_t count);
/** make_flat() - no ELF, addresses in the multiboot header */
void make_flat(void);

/** file_of() - a path from which @bytes of @data can be read, until file_done() */
const char *file_of(const void *data, size_t bytes);
void file_done(void);

/** boot_made() - load an image into a fresh guest of @memory_bytes; see boot_of() for the result */
int boot_made(uint64_t memory_bytes);
/** boot_path() - the same with a file */
int boot_path(const char *path, uint64_t memory_bytes);
/** boot_of() - the boot of boot_made(): change it before, look at it afterwards */
struct boot *boot_of(void);
/** made_at() - guest memory of that boot; the test fails if there is none */
void *made_at(uint64_t gpa, uint64_t bytes);
/** expect_refused() - that @made cannot be loaded, and that the message has @words in it */
void expect_refused(uint64_t memory_bytes, const char *words);
/** fresh_boot() - forget the last one, start with defaults */
struct boot *fresh_boot(void);

#endif
