/* SPDX-License-Identifier: GPL-2.0-only */
/* Parts that both versions of multiboot share. */
#ifndef BOOT_MULTIBOOT_H
#define BOOT_MULTIBOOT_H

#include "boot.h"

/** struct multiboot_addresses - where a file that is not ELF wants to lie; as in the header */
struct multiboot_addresses {
	uint32_t header;
	uint32_t load;
	uint32_t load_end;	/* 0: the whole file */
	uint32_t bss_end;	/* 0: no memory behind it */
};

/**
 * multiboot_load_flat() - load by the addresses in the header
 * @offset: where the header lies in the file
 * @end: out: above the last byte
 */
int multiboot_load_flat(struct boot *boot, const struct image *image, uint64_t offset,
			const struct multiboot_addresses *want, uint64_t *end);
/** multiboot_string() - "PATH ARGUMENTS", to be freed; NULL with @error */
char *multiboot_string(struct boot *boot, const char *path, const char *arguments);

/** multiboot_module - notes a module that has been loaded to @start … @end; 0, or -1 with @error */
typedef int multiboot_module(struct boot *boot, void *information, uint32_t start, uint32_t end,
			     const char *string);
/** multiboot_load_modules() - the initrd, if any, and all modules, above @end */
int multiboot_load_modules(struct boot *boot, multiboot_module *note, void *information,
			   uint64_t end);

#endif
