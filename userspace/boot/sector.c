// SPDX-License-Identifier: GPL-2.0-only
/* A boot sector: 16-bit code, loaded whole to 0x7c00 and entered there in real mode, by bios_code.S. */
#include <string.h>

#include "bios.h"
#include "boot.h"

#define SECTOR_BYTES	512u
#define SIGNATURE_AT	510u
#define SIGNATURE	0xaa55u
#define REAL_LIMIT	0xffffu
#define CR0_ET		(1u << 4)
#define RFLAGS_FIXED	2

#define AR_DATA		(GONDOLA_AR_S | GONDOLA_AR_P | 0x3)
#define AR_CODE		(GONDOLA_AR_S | GONDOLA_AR_P | 0xb)
#define AR_LDT		(GONDOLA_AR_P | 0x2)
#define AR_TSS		(GONDOLA_AR_P | 0xb)

bool sector_is(const struct image *image)
{
	const uint8_t *signature = image_at(image, SIGNATURE_AT, 2);

	return signature && (signature[0] | signature[1] << 8) == SIGNATURE;
}

int sector_load(struct boot *boot, const struct image *image)
{
	if (image->bytes > BOOT_EBDA - BOOT_SECTOR)
		return boot_error(boot, "%s: %s", image->path, image_other(image));
	if (image->bytes % SECTOR_BYTES)
		return boot_error(boot, "%s: a boot sector of %zu bytes: whole sectors are needed, %u at most",
				  image->path, image->bytes,
				  (BOOT_EBDA - BOOT_SECTOR) / SECTOR_BYTES);
	memcpy(memory_at(boot->memory, BOOT_SECTOR, image->bytes), image->data, image->bytes);
	boot_real_mode(boot);
	return 0;
}

void boot_real_mode(struct boot *boot)
{
	struct gondola_rec_sregs *sregs = &boot->sregs;

	memset(&boot->regs, 0, sizeof(boot->regs));
	memset(sregs, 0, sizeof(*sregs));
	for (int i = GONDOLA_ES; i <= GONDOLA_GS; i++)
		sregs->seg[i] = (struct gondola_segment){ .limit = REAL_LIMIT, .ar = AR_DATA };
	sregs->seg[GONDOLA_CS].ar = AR_CODE;
	sregs->seg[GONDOLA_LDTR] = (struct gondola_segment){ .limit = REAL_LIMIT, .ar = AR_LDT };
	sregs->seg[GONDOLA_TR] = (struct gondola_segment){ .limit = REAL_LIMIT, .ar = AR_TSS };
	sregs->idt.limit = 256 * 4 - 1;
	sregs->gdt.limit = REAL_LIMIT;
	sregs->cr0 = CR0_ET;
	sregs->seg[GONDOLA_CS].selector = BIOS_SEGMENT;
	sregs->seg[GONDOLA_CS].base = BIOS_SEGMENT << 4;
	boot->regs.rip = boot->post;
	boot->regs.rflags = RFLAGS_FIXED;
}
