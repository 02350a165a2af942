// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages that are fetched from elsewhere: a vCPU that needs one leaves with
 * GONDOLA_EXIT_MEMORY, whoever in the module missed it, and goes on when it is
 * there.  It never sleeps in the kernel.
 */
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "absent.h"

#define PAGE		4096u
#define ABSENT		0x100000u	/* the pages that are not there */
#define ABSENT_BYTES	0x100000u
#define MSR_WALL_CLOCK	"0x4b564d00"
#define MSR_SYSTEM_TIME	"0x4b564d01"
#define MSR_STEAL_TIME	"0x4b564d03"

/* A machine whose pages at ABSENT are not there; returns the userfaultfd. */
static int start_in(struct machine *machine, enum mode mode, int flags)
{
	machine_create(machine, mode);
	return absent_guest(machine, ABSENT, ABSENT_BYTES, flags);
}

static int start(struct machine *machine, int flags)
{
	return start_in(machine, MODE_LONG, flags);
}

static void stop(struct machine *machine, int uffd)
{
	close(uffd);
	machine_destroy(machine);
}

static void supply(struct machine *machine, int uffd, uint64_t gpa, const void *page)
{
	absent_supply(uffd, machine->memory + (gpa & ~(PAGE - 1ull)), page);
}

/* The guest leaves for the page at @gpa; it gets one full of @byte. */
static void asks_for(struct machine *machine, int uffd, uint64_t gpa, int byte)
{
	static _Alignas(PAGE) uint8_t page[PAGE];

	machine_run(machine);
	require_equal(machine->run->exit, GONDOLA_EXIT_MEMORY);
	require_equal(machine->run->memory.gpa & ~(PAGE - 1ull), gpa);
	memset(page, byte, sizeof(page));
	supply(machine, uffd, gpa, page);
}

GUEST_CODE(read_write, 64,
	   "mov 0x100010, %eax; out %eax, $0x80\n"
	   "movl $7, 0x101010; mov 0x101014, %eax; out %eax, $0x80");

static void accesses(int flags)
{
	struct machine machine;
	int uffd = start(&machine, flags);

	GUEST_LOAD(&machine, read_write);
	asks_for(&machine, uffd, ABSENT, 0x11);
	expect_equal(machine_result(&machine), 0x11111111);
	/* Asked twice, if it is not brought the first time. */
	machine_run(&machine);
	require_equal(machine.run->exit, GONDOLA_EXIT_MEMORY);
	expect_equal(machine.run->memory.write, 1);
	asks_for(&machine, uffd, ABSENT + PAGE, 0x22);
	expect_equal(machine_result(&machine), 0x22222222);
	expect_equal(*(uint32_t *)(machine.memory + ABSENT + PAGE + 0x10), 7);
	stop(&machine, uffd);
}

static void guest_accesses(void)
{
	accesses(0);
}

static void user_mode_only(void)
{
	accesses(UFFD_USER_MODE_ONLY);
}

GUEST_CODE(through_table, 64, "mov 0x600008, %eax; out %eax, $0x80");
GUEST_CODE(write_through_table, 64,
	   "movl $0x33, 0x600008; mov 0x600008, %eax; out %eax, $0x80");

/* Each kind of access needs the table first. */
static void through_absent_table(const char *code, size_t bytes)
{
	static _Alignas(PAGE) uint64_t table[PAGE / 8];
	struct machine machine;
	int uffd = start(&machine, 0);

	((uint64_t *)(machine.memory + TABLES + 0x2000))[3] = ABSENT | 3;
	machine_load(&machine, code, bytes);
	*(uint32_t *)(machine.memory + DATA + 8) = 0x33;
	machine_run(&machine);
	require_equal(machine.run->exit, GONDOLA_EXIT_MEMORY);
	require_equal(machine.run->memory.gpa, ABSENT);
	expect_equal(machine.run->memory.write, 0);
	table[0] = DATA | 3;
	supply(&machine, uffd, ABSENT, table);
	expect_equal(machine_result(&machine), 0x33);
	stop(&machine, uffd);
}

static void page_tables(void)
{
	through_absent_table(through_table, through_table_end - through_table);
	through_absent_table(write_through_table, write_through_table_end - write_through_table);
}

GUEST_CODE(load_cr3, 32, "mov $0x100000, %eax; mov %eax, %cr3; mov $0x34, %eax; out %eax, $0x80");

GUEST_CODE(result_alone, 32, "mov $0x35, %eax; out %eax, $0x80");

/* They are only read: a launcher whose memory is read-only there must not be told to write it. */
static void directory_pointers(void)
{
	static _Alignas(PAGE) uint8_t pointers[PAGE];
	struct machine machine;
	int uffd = start_in(&machine, MODE_PAE, 0);

	memcpy(pointers, machine.memory + TABLES, sizeof(pointers));
	GUEST_LOAD(&machine, load_cr3);
	machine_run(&machine);
	require_equal(machine.run->exit, GONDOLA_EXIT_MEMORY);
	require_equal(machine.run->memory.gpa, ABSENT);
	expect_equal(machine.run->memory.write, 0);
	supply(&machine, uffd, ABSENT, pointers);
	expect_equal(machine_result(&machine), 0x34);
	stop(&machine, uffd);
}

static void *set_state(void *argument)
{
	struct machine *machine = argument;
	struct gondola_fault fault;

	return (void *)(intptr_t)__gondola_set_registers(machine->vcpu, &machine->regs,
							 &machine->sregs, &fault);
}

/* Outside of GONDOLA_RUN there is no exit to leave by: the call waits. */
static void pointers_in_state(void)
{
	static _Alignas(PAGE) uint8_t pointers[PAGE];
	struct machine machine;
	int uffd = start_in(&machine, MODE_PAE, 0);
	struct pollfd asked = { .fd = uffd, .events = POLLIN };
	pthread_t thread;
	void *result;

	memcpy(pointers, machine.memory + TABLES, sizeof(pointers));
	machine.sregs.cr3 = ABSENT;
	GUEST_LOAD(&machine, result_alone);
	require_equal(pthread_create(&thread, NULL, set_state, &machine), 0);
	require_equal(poll(&asked, 1, 60000), 1);
	supply(&machine, uffd, ABSENT, pointers);
	pthread_join(thread, &result);
	require_equal((intptr_t)result, 0);
	expect_equal(machine_result(&machine), 0x35);
	stop(&machine, uffd);
}

/* String I/O is emulated: the emulator reads and writes memory by itself. */
GUEST_CODE(strings, 64,
	   "mov $0x100000, %esi; mov $0x70, %edx; outsb\n"
	   "mov $0x101000, %edi; insb\n"
	   "mov $0x101000, %edi; movzbl (%rdi), %eax; out %eax, $0x80");

static void emulator(void)
{
	struct machine machine;
	int uffd = start(&machine, 0);
	uint8_t *data;

	GUEST_LOAD(&machine, strings);
	asks_for(&machine, uffd, ABSENT, 0x44);
	machine_run(&machine);
	require_equal(machine.run->exit, GONDOLA_EXIT_IO);
	data = (uint8_t *)machine.run + machine.run->io.offset;
	expect_equal(machine.run->io.write, 1);
	expect_equal(data[0], 0x44);
	/* The write's page first, or the port's answer first: either way both come once. */
	for (int turns = 0; turns < 4; turns++) {
		static _Alignas(PAGE) uint8_t page[PAGE];

		machine_run(&machine);
		if (machine.run->exit == GONDOLA_EXIT_MEMORY) {
			expect_equal(machine.run->memory.gpa, ABSENT + PAGE);
			supply(&machine, uffd, ABSENT + PAGE, page);
			continue;
		}
		require_equal(machine.run->exit, GONDOLA_EXIT_IO);
		if (machine.run->io.write)
			break;
		((uint8_t *)machine.run)[machine.run->io.offset] = 0x55;
	}
	require_equal(machine.run->io.port, RESULT_PORT);
	expect_equal(machine.memory[ABSENT + PAGE], 0x55);
	stop(&machine, uffd);
}

GUEST_CODE(paravirtual, 64,
	   "xor %edx, %edx; mov $0x100000, %eax; mov $" MSR_WALL_CLOCK ", %ecx; wrmsr\n"
	   "mov $0x101001, %eax; mov $" MSR_SYSTEM_TIME ", %ecx; wrmsr\n"
	   "mov $0x102001, %eax; mov $" MSR_STEAL_TIME ", %ecx; wrmsr\n"
	   "out %eax, $0x80");

static void records(void)
{
	struct machine machine;
	int uffd = start(&machine, 0);

	GUEST_LOAD(&machine, paravirtual);
	asks_for(&machine, uffd, ABSENT, 0);
	asks_for(&machine, uffd, ABSENT + PAGE, 0);
	asks_for(&machine, uffd, ABSENT + 2 * PAGE, 0);
	machine_result(&machine);
	/* Multiplier of the clock: it was written, and the guest saw no #GP. */
	expect(*(uint32_t *)(machine.memory + ABSENT + PAGE + 24) != 0);
	expect(*(uint32_t *)(machine.memory + ABSENT + 4) != 0);
	stop(&machine, uffd);
}

GUEST_CODE(touch_many, 64,
	   "mov $0x200000, %edi; mov $1024, %ecx\n"
	   "1: incq (%rdi); add $4096, %rdi; dec %ecx; jnz 1b\n"
	   "out %eax, $0x80");

/* Memory that the kernel has at hand is no business of the launcher's, flag or not. */
static void demand(void)
{
	struct gondola_stats stats;
	struct machine machine;
	int uffd = start(&machine, 0);

	GUEST_LOAD(&machine, touch_many);
	machine_result(&machine);
	require_equal(__gondola_get_stats(machine.vcpu, &stats), 0);
	expect_equal(stats.counters[GONDOLA_COUNTER_USER_EXITS], 1);
	stop(&machine, uffd);
}

static const struct tap_test tests[] = {
	{ "a guest that reads or writes an absent page leaves for it", guest_accesses },
	{ "also with a userfaultfd for user-mode faults alone", user_mode_only },
	{ "a guest whose page table is absent leaves for it", page_tables },
	{ "PAE directory pointers that are absent are asked for to be read", directory_pointers },
	{ "state whose directory pointers are absent is set once they are there", pointers_in_state },
	{ "the emulator leaves for absent pages", emulator },
	{ "paravirtual records in absent pages are written once they are there", records },
	{ "memory that is at hand needs no exit", demand },
};

TAP_MAIN(tests)
