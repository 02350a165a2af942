// SPDX-License-Identifier: GPL-2.0-only
/*
 * 32-bit paging as a small kernel uses it: maps, unmaps and protects one page
 * in a loop, with INVLPG, and checks that each access does what the page table
 * says. "count=N" rounds; debug exit 9 if all was right.
 */
#include "guest.h"

#define VECTOR_PF	14
#define PRESENT		1u
#define WRITABLE	2u
#define LARGE		0x80u
#define CR0_PG		(1u << 31)
#define CR0_WP		(1u << 16)
#define CR4_PSE		(1u << 4)
#define WINDOW		0x40000000u
#define ERROR_WRITE	2u

static uint32_t directory[1024] __attribute__((aligned(4096)));
static uint32_t table[1024] __attribute__((aligned(4096)));
static uint32_t pages[2][1024] __attribute__((aligned(4096)));
static volatile uint32_t faults, last_error, last_address;

static void on_exception(struct guest_frame *frame)
{
	uint32_t cr2;

	if (frame->vector != VECTOR_PF)
		debug_exit(20);
	asm volatile("mov %%cr2, %0" : "=r"(cr2));
	faults++;
	last_error = frame->error;
	last_address = cr2;
	/* All accesses below are instructions of known length: resume at the address in EBX. */
	frame->eip = frame->ebx;
}

/* 1 if it went well, 0 if it faulted. */
static uint32_t try_write(volatile uint32_t *at, uint32_t value)
{
	uint32_t before = faults;

	asm volatile("mov $1f, %%ebx; mov %1, (%0); 1:" : : "r"(at), "r"(value) : "ebx", "memory");
	return faults == before;
}

static uint32_t try_read(volatile uint32_t *at, uint32_t *value)
{
	uint32_t before = faults;

	asm volatile("mov $1f, %%ebx; mov (%1), %0; 1:" : "=&r"(*value) : "r"(at) :
		     "ebx", "memory");
	return faults == before;
}

static void map(uint32_t entry)
{
	*(volatile uint32_t *)&table[5] = entry;
	asm volatile("invlpg (%0)" : : "r"(WINDOW + 5 * 4096) : "memory");
}

static void expect(bool right, uint32_t failure)
{
	if (!right)
		debug_exit(failure);
}

static void enable_paging(void)
{
	uint32_t value;

	for (uint32_t i = 0; i < 4; i++)
		directory[i] = i << 22 | PRESENT | WRITABLE | LARGE;
	directory[WINDOW >> 22] = (uint32_t)table | PRESENT | WRITABLE;
	asm volatile("mov %%cr4, %0" : "=r"(value));
	asm volatile("mov %0, %%cr4" : : "r"(value | CR4_PSE));
	asm volatile("mov %0, %%cr3" : : "r"(directory));
	asm volatile("mov %%cr0, %0" : "=r"(value));
	asm volatile("mov %0, %%cr0" : : "r"(value | CR0_PG | CR0_WP) : "memory");
}

void guest_main(const struct guest_info *info)
{
	volatile uint32_t *window = (volatile uint32_t *)(WINDOW + 5 * 4096);
	uint32_t count = argument(info, "count", 50), value = 0;

	guest_set_handler(on_exception);
	enable_paging();
	for (uint32_t i = 0; i < count; i++) {
		uint32_t *page = pages[i & 1];

		map((uint32_t)page | PRESENT | WRITABLE);
		expect(try_write(window, i), 30);
		expect(*(volatile uint32_t *)page == i, 31);
		expect((table[5] & 0x60) == 0x60, 32);		/* accessed, dirty */
		map((uint32_t)page | PRESENT);
		expect(try_read(window, &value) && value == i, 33);
		expect(!try_write(window, ~i), 34);
		expect(last_error == (ERROR_WRITE | PRESENT), 35);
		expect(last_address == (uint32_t)window, 36);
		expect(*(volatile uint32_t *)page == i, 37);
		map(0);
		expect(!try_read(window, &value), 38);
		expect(last_error == 0, 39);
	}
	expect(faults == 2 * count, 40);
	debug_exit(9);
}
