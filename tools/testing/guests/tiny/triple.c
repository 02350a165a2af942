// SPDX-License-Identifier: GPL-2.0-only
/* Triple-faults, with a value in EAX by which the printed state can be recognised. */
#include "guest.h"

void guest_main(const struct guest_info *info)
{
	static const struct {
		uint16_t limit;
		uint32_t base;
	} __attribute__((packed)) empty;

	(void)info;
	asm volatile("lidt %0; mov $0x600dfa17, %%eax; int3" : : "m"(empty) : "eax");
}
