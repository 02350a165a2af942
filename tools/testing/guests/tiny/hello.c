// SPDX-License-Identifier: GPL-2.0-only
/*
 * Says hello, shows what it was given, and ends as its command line asks:
 * "exit=V" (debug exit), "reset=1" (keyboard controller), "reset=2" (reset
 * register); else by power-off. "panic=N": it says N times that it panics, and goes on.  "patient=1": it waits until the serial port is
 * free before it sends a module's next byte.
 */
#include "guest.h"

#define SERIAL_STATUS	(SERIAL_PORT + 5)
#define SERIAL_FREE	0x20

static void show_module(const struct guest_module *module, bool patient)
{
	print("module ");
	print(module->string);
	print(": ");
	for (uint32_t at = module->start; at < module->end; at++) {
		while (patient && !(inb(SERIAL_STATUS) & SERIAL_FREE))
			;
		outb(SERIAL_PORT, *(const uint8_t *)at);
	}
	print("\n");
}

void guest_main(const struct guest_info *info)
{
	print("hello from the guest\ncommand line: ");
	print(info->cmdline);
	print("\nmemory: ");
	print_number((info->mem_upper + 1024) >> 10);
	print(" MiB\n");
	for (uint32_t i = 0; i < info->nr_modules; i++)
		show_module(&info->modules[i], argument(info, "patient", 0));
	for (uint32_t i = 0; i < argument(info, "panic", 0); i++)
		outb(0x505, 1);
	if (argument(info, "exit", ~0u) != ~0u)
		debug_exit(argument(info, "exit", 0));
	if (argument(info, "reset", 0) == 1)
		outb(0x64, 0xfe);
	if (argument(info, "reset", 0) == 2)
		outb(0xcf9, 6);
}
