// SPDX-License-Identifier: GPL-2.0-only
/* String I/O: REP OUTS and INS of all widths, forwards and backwards, across pages. */
#include "guest.h"

#define COUNT	3000

static uint8_t buffer[COUNT * 4 + 64] __attribute__((aligned(4096)));

static void rep_outsb(uint16_t port, const void *from, uint32_t count)
{
	asm volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(port) : "memory");
}

/* Returns where EDI ended. */
#define REP_INS(name, suffix)							\
static uint32_t name(uint16_t port, void *to, uint32_t count)			\
{										\
	asm volatile("rep ins" suffix : "+D"(to), "+c"(count) : "d"(port) : "memory"); \
	return count ? 0 : (uint32_t)to;					\
}
REP_INS(rep_insb, "b")
REP_INS(rep_insw, "w")
REP_INS(rep_insl, "l")

static void clear(void)
{
	for (uint32_t i = 0; i < sizeof(buffer); i++)
		buffer[i] = 0x5a;
}

/* Exactly @bytes from @offset on are all ones. */
static void check(uint32_t offset, uint32_t bytes, uint32_t failure)
{
	for (uint32_t i = 0; i < sizeof(buffer); i++)
		if (buffer[i] != (i >= offset && i < offset + bytes ? 0xff : 0x5a))
			debug_exit(failure);
}

void guest_main(const struct guest_info *info)
{
	static const char text[] = "written by one string instruction\n";
	uint8_t *to = buffer + 3;
	uint32_t end;

	(void)info;
	rep_outsb(SERIAL_PORT, text, sizeof(text) - 1);

	clear();
	if (rep_insb(NOBODY_PORT, to, COUNT) != (uint32_t)to + COUNT)
		debug_exit(10);
	check(3, COUNT, 11);
	clear();
	if (rep_insw(NOBODY_PORT, to, COUNT) != (uint32_t)to + 2 * COUNT)
		debug_exit(12);
	check(3, 2 * COUNT, 13);
	clear();
	if (rep_insl(NOBODY_PORT, to, COUNT) != (uint32_t)to + 4 * COUNT)
		debug_exit(14);
	check(3, 4 * COUNT, 15);

	clear();
	asm volatile("std");
	end = rep_insb(NOBODY_PORT, to + COUNT - 1, COUNT);
	asm volatile("cld");
	if (end != (uint32_t)to - 1)
		debug_exit(16);
	check(3, COUNT, 17);

	if (rep_insb(NOBODY_PORT, to, 0) != (uint32_t)to)
		debug_exit(18);
	debug_exit(7);
}
