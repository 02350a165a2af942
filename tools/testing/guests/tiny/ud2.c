// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs UD2 in ring 0. With a handler it must arrive there, "count=N" times
 * (debug exit 3); "bare" has none, and has to end by a triple fault.
 */
#include "guest.h"

#define VECTOR_UD	6
#define UD2_BYTES	2

static volatile uint32_t seen;

static void on_exception(struct guest_frame *frame)
{
	if (frame->vector != VECTOR_UD || *(const uint16_t *)frame->eip != 0x0b0f)
		debug_exit(1);
	frame->eip += UD2_BYTES;
	seen++;
}

void guest_main(const struct guest_info *info)
{
	uint32_t count = argument(info, "count", 1);

	if (!has_word(info, "bare"))
		guest_set_handler(on_exception);
	for (uint32_t i = 0; i < count; i++)
		asm volatile("ud2" : : : "memory");
	debug_exit(seen == count ? 3 : 2);
}
