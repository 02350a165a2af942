// SPDX-License-Identifier: GPL-2.0-only
/* Jumps to where no memory is. */
#include "guest.h"

#define NOWHERE	0xd0000000u

void guest_main(const struct guest_info *info)
{
	(void)info;
	print("jumping\n");
	((void (*)(void))NOWHERE)();
}
