// SPDX-License-Identifier: GPL-2.0-only
/* The dirty log: beginning it does not stop the guest, and no writer of memory escapes it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"

#define PAGE		4096u
#define FIRST		0x100000u	/* pages that the guest counts up */
#define PAGES		512u
#define ALL		(MEMORY_BYTES / PAGE)
#define MSR_WALL_CLOCK	"0x4b564d00"
#define MSR_SYSTEM_TIME	"0x4b564d01"
#define MSR_STEAL_TIME	"0x4b564d03"

static uint64_t bitmap[ALL / 64];

static void log_on(struct machine *machine)
{
	require_equal(__gondola_set_memory(machine->vm, 0, GONDOLA_MEM_LOG_DIRTY, 0, MEMORY_BYTES,
					   machine->memory), 0);
}

static void read_log(struct machine *machine)
{
	require_equal(__gondola_get_dirty(machine->vm, 0, 0, ALL, bitmap), 0);
}

static void clear_log(struct machine *machine)
{
	read_log(machine);
	require_equal(__gondola_clear_dirty(machine->vm, 0, 0, ALL, bitmap), 0);
}

static bool is_dirty(uint64_t gpa)
{
	return bitmap[gpa / PAGE / 64] >> (gpa / PAGE % 64) & 1;
}

static unsigned int count(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < ALL / 64; i++)
		n += __builtin_popcountll(bitmap[i]);
	return n;
}

/* A machine with a log, all clear, about to run. */
static void start(struct machine *machine)
{
	machine_create(machine, MODE_LONG);
	log_on(machine);
	clear_log(machine);
}

/* The log names the pages of @pages, and nothing else but perhaps page tables. */
static void expect_written(struct machine *machine, const uint64_t *pages, unsigned int nr)
{
	unsigned int tables = 0;

	read_log(machine);
	for (unsigned int i = 0; i < nr; i++)
		if (!is_dirty(pages[i]))
			expect_equal(is_dirty(pages[i]), pages[i]);
	for (uint64_t gpa = TABLES; gpa < TABLES + 0x7000; gpa += PAGE)
		tables += is_dirty(gpa);
	expect_equal(count(), nr + tables);
}

GUEST_CODE(count_up, 64,
	   "2: mov $0x100000, %edi; mov $512, %ecx\n"
	   "1: incq (%rdi); add $4096, %rdi; dec %ecx; jnz 1b\n"
	   "out %eax, $0x80; jmp 2b");

static void begins(void)
{
	struct gondola_stats before, after;
	struct machine machine;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, count_up);
	machine_result(&machine);
	machine_result(&machine);
	require_equal(__gondola_get_stats(machine.vcpu, &before), 0);
	log_on(&machine);
	read_log(&machine);
	expect_equal(count(), ALL);
	machine_result(&machine);
	/* It did not even fault. */
	require_equal(__gondola_get_stats(machine.vcpu, &after), 0);
	expect_equal(after.exits[GONDOLA_REASON_PAGE_FAULT],
		     before.exits[GONDOLA_REASON_PAGE_FAULT]);
	clear_log(&machine);
	read_log(&machine);
	expect_equal(count(), 0);
	machine_result(&machine);
	read_log(&machine);
	for (unsigned int i = 0; i < PAGES; i++)
		if (!is_dirty(FIRST + i * PAGE))
			expect_equal(is_dirty(FIRST + i * PAGE), FIRST + i * PAGE);
	/* A log that ends leaves a guest that writes where it likes. */
	require_equal(__gondola_set_memory(machine.vm, 0, 0, 0, MEMORY_BYTES, machine.memory), 0);
	machine_result(&machine);
	expect_equal(*(uint64_t *)(machine.memory + FIRST), 5);
	machine_destroy(&machine);
}

static void guest(void)
{
	uint64_t pages[PAGES];
	struct machine machine;

	start(&machine);
	GUEST_LOAD(&machine, count_up);
	for (unsigned int i = 0; i < PAGES; i++)
		pages[i] = FIRST + i * PAGE;
	for (int round = 0; round < 3; round++) {
		machine_result(&machine);
		expect_written(&machine, pages, PAGES);
		clear_log(&machine);
	}
	machine_destroy(&machine);
}

/* A table at 0x400000 for the 2 MiB from 0x600000, whose A and D are clear. */
GUEST_CODE(read_then_write, 64,
	   "mov 0x600000, %eax; out %eax, $0x80; movl $1, 0x600000; out %eax, $0x80");

static void table_bits(void)
{
	static const uint64_t table[] = { 0x400000 }, both[] = { 0x400000, DATA };
	struct machine machine;

	start(&machine);
	((uint64_t *)(machine.memory + TABLES + 0x2000))[3] = 0x400000 | 3;
	*(uint64_t *)(machine.memory + 0x400000) = DATA | 3;
	GUEST_LOAD(&machine, read_then_write);
	machine_result(&machine);
	expect_written(&machine, table, 1);
	clear_log(&machine);
	machine_result(&machine);
	expect_written(&machine, both, 2);
	machine_destroy(&machine);
}

GUEST_CODE(string_in, 64,
	   "mov $0x100000, %edi; mov $0x70, %edx; insb; out %eax, $0x80");

static void emulator(void)
{
	static const uint64_t pages[] = { FIRST };
	struct machine machine;

	start(&machine);
	GUEST_LOAD(&machine, string_in);
	machine_run(&machine);
	require_equal(machine.run->exit, GONDOLA_EXIT_IO);
	machine_result(&machine);
	expect_written(&machine, pages, 1);
	machine_destroy(&machine);
}

GUEST_CODE(paravirtual, 64,
	   "xor %edx, %edx; mov $0x100000, %eax; mov $" MSR_WALL_CLOCK ", %ecx; wrmsr\n"
	   "mov $0x101001, %eax; mov $" MSR_SYSTEM_TIME ", %ecx; wrmsr\n"
	   "mov $0x102001, %eax; mov $" MSR_STEAL_TIME ", %ecx; wrmsr\n"
	   "out %eax, $0x80");

static void records(void)
{
	static const uint64_t pages[] = { FIRST, FIRST + PAGE, FIRST + 2 * PAGE };
	struct machine machine;

	start(&machine);
	GUEST_LOAD(&machine, paravirtual);
	machine_result(&machine);
	expect_written(&machine, pages, 3);
	machine_destroy(&machine);
}

static void launcher(void)
{
	static const uint64_t device[] = { FIRST, FIRST + PAGE }, host[] = { FIRST };
	struct machine machine;

	start(&machine);
	require_equal(__gondola_mark_dirty(machine.vm, GONDOLA_DIRTY_DEVICE, 0, FIRST + 4095, 2), 0);
	expect_written(&machine, device, 2);
	clear_log(&machine);
	require_equal(__gondola_mark_dirty(machine.vm, GONDOLA_DIRTY_HOST, 0, FIRST, 1), 0);
	expect_written(&machine, host, 1);
	machine_destroy(&machine);
}

/* State that is set later must not write into memory that was already sent. */
static void restored_state(void)
{
	static char state[1 << 16];
	uint64_t bytes = sizeof(state);
	struct machine machine;

	start(&machine);
	GUEST_LOAD(&machine, paravirtual);
	machine_result(&machine);
	require_equal(__gondola_get_state(machine.vcpu, state, &bytes), 0);
	clear_log(&machine);
	require_equal(__gondola_set_state(machine.vcpu, state, bytes, NULL), 0);
	expect_written(&machine, NULL, 0);
	machine_destroy(&machine);
}

static const struct tap_test tests[] = {
	{ "the log begins with all pages, and the guest runs on", begins },
	{ "what the guest writes is logged", guest },
	{ "accessed and dirty bits set in guest tables are logged", table_bits },
	{ "what the emulator writes is logged", emulator },
	{ "paravirtual records are logged", records },
	{ "what the launcher writes is logged when it says so", launcher },
	{ "setting a saved state writes no memory", restored_state },
};

TAP_MAIN(tests)
