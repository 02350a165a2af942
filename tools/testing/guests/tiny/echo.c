// SPDX-License-Identifier: GPL-2.0-only
/* Polls the serial port and says in hexadecimal what comes; 'q' ends it by debug exit 1. */
#include "guest.h"

#define LINE_STATUS	(SERIAL_PORT + 5)
#define DATA_READY	1u

void guest_main(const struct guest_info *info)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t c;

	(void)info;
	print("ready\n");
	do {
		while (!(inb(LINE_STATUS) & DATA_READY))
			;
		c = inb(SERIAL_PORT);
		outb(SERIAL_PORT, digits[c >> 4]);
		outb(SERIAL_PORT, digits[c & 15]);
		print("\n");
	} while (c != 'q');
	debug_exit(1);
}
