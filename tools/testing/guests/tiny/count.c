// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does known numbers of what makes a guest exit, for tests that count and
 * benchmarks that time: "cpuid=N" instructions, "post=N" writes to a port,
 * "nobody=N" reads of one where no device is, "cr3=N" reloads, "mmio=N" reads of
 * an address where nothing is, "hypercall=N" (with one CPUID more, to know which
 * instruction makes one), "faults=N" page faults for which a handler waits, and of
 * what need not: "popf=N" sets the interrupt flag by POPF, "cli=N" clears it.
 * "timed=1" prints the TSC ticks that each took. "exit=V" at the end.
 */
#include "guest.h"

#define NO_MEMORY	0xd0000000u	/* nor any device */
#define NOT_MAPPED	0x40000000u
#define HYPERCALL_NONE	99u		/* no hypercall has this number */
#define VENDOR_AMD	0x68747541u	/* "Auth" */

static uint32_t directory[1024] __attribute__((aligned(4096)));

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

static void do_cli(void)
{
	asm volatile("cli");
}

/* Nothing interrupts this guest, which leaves its PICs as they are after a reset. */
static void do_popf(void)
{
	asm volatile("pushf; orl $0x200, (%%esp); popf; cli" : : : "memory", "cc");
}

static void do_mmio(void)
{
	(void)*(volatile uint32_t *)NO_MEMORY;
}

static void do_vmcall(void)
{
	uint32_t eax = HYPERCALL_NONE;

	asm volatile("vmcall" : "+a"(eax) : : "memory");
}

static void do_vmmcall(void)
{
	uint32_t eax = HYPERCALL_NONE;

	asm volatile("vmmcall" : "+a"(eax) : : "memory");
}

static bool is_amd(void)
{
	uint32_t eax = 0, ebx, ecx = 0, edx;

	asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	return ebx == VENDOR_AMD;
}

/* The access is an instruction of known length: resume at the address in EBX. */
static void on_fault(struct guest_frame *frame)
{
	frame->eip = frame->ebx;
}

static void do_fault(void)
{
	uint32_t value;

	asm volatile("mov $1f, %%ebx; mov (%1), %0; 1:" : "=&r"(value) : "r"(NOT_MAPPED) :
		     "ebx", "memory");
}

/* The first 16 MiB one to one. */
static void enable_paging(void)
{
	uint32_t value;

	guest_set_handler(on_fault);
	for (uint32_t i = 0; i < 4; i++)
		directory[i] = i << 22 | 0x83;
	asm volatile("mov %%cr4, %0" : "=r"(value));
	asm volatile("mov %0, %%cr4" : : "r"(value | 0x10));
	asm volatile("mov %0, %%cr3" : : "r"(directory));
	asm volatile("mov %%cr0, %0" : "=r"(value));
	asm volatile("mov %0, %%cr0" : : "r"(value | 1u << 31) : "memory");
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
	repeat(info, "cli", do_cli);
	repeat(info, "popf", do_popf);
	repeat(info, "mmio", do_mmio);
	if (argument(info, "hypercall", 0))
		repeat(info, "hypercall", is_amd() ? do_vmmcall : do_vmcall);
	if (argument(info, "faults", 0)) {
		enable_paging();
		repeat(info, "faults", do_fault);
	}
	if (argument(info, "exit", ~0u) != ~0u)
		debug_exit(argument(info, "exit", 0));
}
