// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "boot.h"

int boot_error(struct boot *boot, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	error_vset(&boot->error, EXIT_CODE_IMAGE, format, args);
	va_end(args);
	return -1;
}

static int load_elf(struct boot *boot, const struct image *image)
{
	if (boot->nr_modules)
		return boot_error(boot, "%s: --module is for multiboot images, which this is not",
				  image->path);
	if (pvh_is(image)) {
		boot->protocol = "PVH";
		return pvh_load(boot, image);
	}
	if (xen_alone(boot, image))
		return boot_error(boot, "%s: a kernel for Xen's paravirtualized interface, with no entry for a PC: it needs --personality xen",
				  image->path);
	boot->protocol = "ELF, 64-bit Linux entry";
	return linux_elf_load(boot, image);
}

static int load(struct boot *boot, const struct image *image)
{
	if (!image->bytes)
		return boot_error(boot, "%s: the file is empty", image->path);
	if (boot->as_xen) {
		boot->protocol = "Xen PV";
		return xen_load(boot, image);
	}
	/* Such a program may also have headers of other protocols, for its firmware. */
	if (image_is_efi(image) && !bzimage_is(image))
		return boot_error(boot, "%s: %s", image->path, image_other(image));
	if (multiboot2_is(image)) {
		boot->protocol = "multiboot 2";
		return multiboot2_load(boot, image);
	}
	if (multiboot_is(image)) {
		boot->protocol = "multiboot";
		return multiboot_load(boot, image);
	}
	if (elf_is(image))
		return load_elf(boot, image);
	if (!bzimage_is(image) && !sector_is(image))
		return boot_error(boot, "%s: %s", image->path, image_other(image));
	if (boot->nr_modules)
		return boot_error(boot, "%s: --module is for multiboot images; a bzImage takes --initrd",
				  image->path);
	/* A bzImage has the signature as well. */
	if (!bzimage_is(image)) {
		if (boot->initrd)
			return boot_error(boot, "%s: a boot sector takes no --initrd", image->path);
		boot->protocol = "boot sector";
		return sector_load(boot, image);
	}
	boot->protocol = "bzImage";
	return bzimage_load(boot, image);
}

int boot_load(struct boot *boot)
{
	struct image image;
	int ret;

	if (strlen(boot->append) >= BOOT_CMDLINE_MAX)
		return boot_error(boot, "the command line has more than %u characters",
				  BOOT_CMDLINE_MAX - 1);
	if (!boot->as_xen) {
		boot->post = bios_build(boot->memory);
		boot->rsdp = acpi_build(boot->memory, boot->cpus, boot->nr_virtio);
		mp_build(boot->memory, boot->cpus);
	}
	if (image_read(boot, boot->kernel, &image) || image_unpack(boot, &image))
		return -1;
	ret = load(boot, &image);
	image_free(&image);
	return ret;
}
