// SPDX-License-Identifier: GPL-2.0-only
#include "boot.h"

unsigned int boot_map(const struct guest_memory *memory, struct boot_map_entry *map)
{
	unsigned int count = 0;

	map[count++] = (struct boot_map_entry){ 0, BOOT_EBDA, BOOT_RAM };
	map[count++] = (struct boot_map_entry){ BOOT_EBDA, 0xa0000 - BOOT_EBDA, BOOT_RESERVED };
	map[count++] = (struct boot_map_entry){
		BOOT_ACPI, BOOT_KERNEL - BOOT_ACPI, BOOT_RESERVED
	};
	map[count++] = (struct boot_map_entry){
		BOOT_KERNEL, memory->low - BOOT_KERNEL, BOOT_RAM
	};
	if (memory->bytes > memory->low)
		map[count++] = (struct boot_map_entry){
			MEMORY_HIGH, memory->bytes - memory->low, BOOT_RAM
		};
	return count;
}
