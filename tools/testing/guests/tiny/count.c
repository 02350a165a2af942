// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does known numbers of what makes a guest exit, for tests that count and
 * benchmarks that time: "cpuid=N" instructions, "post=N" writes to a port,
 * "nobody=N" reads of one where no device is, "cr3=N" reloads, "timed=1" prints
 * the TSC ticks that each took. "exit=V" at the end.
 */
#include "guest.h"

static uint64_t tsc(void)
{
	uint32_t low, high;

	asm volatile("lfence; rdtsc; lfence" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static void do_cpuid(void)
{
	uint32_t eax = 0, ebx, ecx = 0, edx;

	asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
}

static void do_post(void)
{
	outb(POST_PORT, 0);
}

static void do_nobody(void)
{
	inb(NOBODY_PORT);
}

static void do_cr3(void)
{
	uint32_t cr3;

	asm volatile("mov %%cr3, %0; mov %0, %%cr3" : "=r"(cr3) : : "memory");
}

static void repeat(const struct guest_info *info, const char *name, void (*what)(void))
{
	uint32_t count = argument(info, name, 0);
	uint64_t before;

	if (!count)
		return;
	before = tsc();
	for (uint32_t i = 0; i < count; i++)
		what();
	if (!argument(info, "timed", 0))
		return;
	print(name);
	print(": ");
	/* 32 bits of ticks are enough for a run of seconds. */
	print_number((uint32_t)(tsc() - before) / count);
	print(" ticks each\n");
}

void guest_main(const struct guest_info *info)
{
	repeat(info, "cpuid", do_cpuid);
	repeat(info, "post", do_post);
	repeat(info, "nobody", do_nobody);
	repeat(info, "cr3", do_cr3);
	if (argument(info, "exit", ~0u) != ~0u)
		debug_exit(argument(info, "exit", 0));
}
