// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hammers ports that nobody has, "count=N" times, with all widths. Reads must
 * be all ones (else debug exit 1); debug exit 5 at the end.
 */
#include "guest.h"

static uint32_t state = 1;

static uint32_t random(void)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

void guest_main(const struct guest_info *info)
{
	uint32_t count = argument(info, "count", 3000);

	for (uint32_t i = 0; i < count; i++) {
		/* Above the ISA bus, ACPI's blocks and PCI's configuration ports. */
		uint16_t port = 0x1000 + random() % 0xeff0;
		uint32_t value = random();

		switch (value & 3) {
		case 0:
			outb(port, value);
			if (inb(port) != 0xff)
				debug_exit(1);
			break;
		case 1:
			outw(port, value);
			if (inw(port) != 0xffff)
				debug_exit(1);
			break;
		default:
			outl(port, value);
			if (inl(port) != 0xffffffff)
				debug_exit(1);
		}
	}
	debug_exit(5);
}
