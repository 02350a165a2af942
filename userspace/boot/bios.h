/* SPDX-License-Identifier: GPL-2.0-only */
/* Constants of both bios_code.S and bios.c. */
#ifndef BOOT_BIOS_H
#define BOOT_BIOS_H

#define BIOS_SEGMENT		0xf000
#define BIOS_OFFSET		0xe000
#define BIOS_RESET		0xfff0	/* where processors start, in the same segment */
#define BIOS_PORT		0xb2	/* FIRMWARE_PORT; 16 bits: the function, the vector */
#define BIOS_ENTRY_BYTES	6

/* The memory map for bios_code.S, by offset: number of entries, KiB and units of 64 KiB, the entries. */
#define BIOS_MAP_COUNT		0
#define BIOS_MAP_EXTENDED	2
#define BIOS_MAP_BELOW_16M	4
#define BIOS_MAP_ABOVE_16M	6
#define BIOS_MAP_ENTRIES	8
#define BIOS_MAP_ENTRY		20
#define BIOS_MAP_BYTES		(BIOS_MAP_ENTRIES + 8 * BIOS_MAP_ENTRY)

#endif
