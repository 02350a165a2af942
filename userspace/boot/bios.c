// SPDX-License-Identifier: GPL-2.0-only
/* Traces of a BIOS in memory: interrupt vectors, data areas, and code (bios_code.S). */
#include <string.h>

#include "bios.h"
#include "boot.h"
#include "device/device.h"

#define MIB16		(16ull << 20)

extern const uint8_t bios_code[], bios_code_end[], bios_post[], bios_map[];

/* The BIOS data area, from 0x400. */
struct data_area {
	uint16_t serial[4];
	uint16_t parallel[3];
	uint16_t ebda;			/* a segment */
	uint16_t equipment;
	uint8_t test;
	uint16_t base_kib;
	uint8_t unused1[5];
	uint16_t key_head;		/* offsets from 0x400 */
	uint16_t key_tail;
	uint16_t keys[16];
	uint8_t unused2[11];
	uint8_t video_mode;
	uint16_t columns;
	uint16_t page_bytes;
	uint8_t unused3[0x15];
	uint16_t video_port;
	uint8_t unused4[0x1b];
	uint16_t key_start;
	uint16_t key_end;
	uint8_t last_row;
} __attribute__((packed));
_Static_assert(offsetof(struct data_area, base_kib) == 0x13, "as every BIOS has it");
_Static_assert(offsetof(struct data_area, keys) == 0x1e, "as every BIOS has it");
_Static_assert(offsetof(struct data_area, video_mode) == 0x49, "as every BIOS has it");
_Static_assert(offsetof(struct data_area, video_port) == 0x63, "as every BIOS has it");
_Static_assert(offsetof(struct data_area, key_start) == 0x80, "as every BIOS has it");
_Static_assert(offsetof(struct data_area, last_row) == 0x84, "as every BIOS has it");

#define EQUIPMENT_SERIAL(n)	((n) << 9)
#define EQUIPMENT_VGA80		0x20
#define EQUIPMENT_FPU		0x02

static uint16_t offset_of(const uint8_t *label)
{
	return BIOS_OFFSET + (label - bios_code);
}

static void fill_data_area(const struct guest_memory *memory)
{
	const struct data_area area = {
		.serial = { 0x3f8 },
		.ebda = BOOT_EBDA >> 4,
		.equipment = EQUIPMENT_SERIAL(1) | EQUIPMENT_VGA80 | EQUIPMENT_FPU,
		.base_kib = BOOT_EBDA >> 10,
		.key_head = offsetof(struct data_area, keys),
		.key_tail = offsetof(struct data_area, keys),
		.video_mode = 3,
		.columns = 80,
		.page_bytes = 4000,
		.video_port = 0x3d4,
		.key_start = offsetof(struct data_area, keys),
		.key_end = offsetof(struct data_area, keys) + sizeof(area.keys),
		.last_row = 24,
	};

	memcpy(memory_at(memory, 0x400, sizeof(area)), &area, sizeof(area));
	/* The extended one begins with its size in KiB. */
	*(uint8_t *)memory_at(memory, BOOT_EBDA, 1) = (0xa0000 - BOOT_EBDA) >> 10;
}

static void fill_map(const struct guest_memory *memory, uint8_t *to)
{
	struct boot_map_entry map[BOOT_MAP_MAX];
	unsigned int count = boot_map(memory, map);
	uint64_t above = memory->low - BOOT_KERNEL;
	uint16_t counted[4] = { count };

	_Static_assert(BIOS_MAP_ENTRIES + BOOT_MAP_MAX * BIOS_MAP_ENTRY == BIOS_MAP_BYTES,
		       "room for every entry");
	counted[BIOS_MAP_EXTENDED / 2] = above >> 10 > 0xfc00 ? 0xfc00 : above >> 10;
	if (memory->low > MIB16) {
		counted[BIOS_MAP_BELOW_16M / 2] = (MIB16 - BOOT_KERNEL) >> 10;
		counted[BIOS_MAP_ABOVE_16M / 2] = (memory->low - MIB16) >> 16;
	} else {
		counted[BIOS_MAP_BELOW_16M / 2] = above >> 10;
	}
	memcpy(to, counted, sizeof(counted));
	for (unsigned int i = 0; i < count; i++) {
		uint8_t *entry = to + BIOS_MAP_ENTRIES + i * BIOS_MAP_ENTRY;

		memcpy(entry, &map[i].gpa, 8);
		memcpy(entry + 8, &map[i].bytes, 8);
		memcpy(entry + 16, &map[i].type, 4);
	}
}

uint16_t bios_build(const struct guest_memory *memory)
{
	size_t bytes = bios_code_end - bios_code;
	uint8_t *code = memory_at(memory, BOOT_BIOS, bytes);
	uint16_t *vectors = memory_at(memory, 0, 256 * 4);

	_Static_assert(BIOS_PORT == FIRMWARE_PORT, "the launcher listens there");
	_Static_assert(BOOT_BIOS == BIOS_SEGMENT * 16 + BIOS_OFFSET, "where bios_code.S is assembled for");
	memcpy(code, bios_code, bytes);
	fill_map(memory, code + (bios_map - bios_code));
	for (unsigned int i = 0; i < 256; i++) {
		vectors[2 * i] = BIOS_OFFSET + i * BIOS_ENTRY_BYTES;
		vectors[2 * i + 1] = BIOS_SEGMENT;
	}
	fill_data_area(memory);
	return offset_of(bios_post);
}
