// SPDX-License-Identifier: GPL-2.0-only
/* Loops that exit a known number of times are counted exactly that often. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "machine.h"

GUEST_CODE(cpuids, 64, "mov $1000, %esi; 1: xor %eax, %eax; cpuid; dec %esi; jnz 1b\n"
	   "out %eax, $0x80; jmp .");

static void cpuid(void)
{
	struct machine machine;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, cpuids);
	machine_result(&machine);
	expect_equal(machine_exits(&machine, GONDOLA_REASON_CPUID), 1000);
	expect_equal(machine_exits(&machine, GONDOLA_REASON_IO), 1);
	expect_equal(machine_exits(&machine, GONDOLA_REASON_UNKNOWN), 0);
	expect_equal(machine_exits(&machine, GONDOLA_REASON_ENTRY_FAILED), 0);
	machine_destroy(&machine);
}

GUEST_CODE(ports, 64, "1: out %al, $0x60; jmp 1b");

static void io(void)
{
	struct gondola_stats stats;
	struct machine machine;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, ports);
	for (int i = 0; i < 100; i++)
		machine_run(&machine);
	expect_equal(machine_exits(&machine, GONDOLA_REASON_IO), 100);
	require_equal(__gondola_get_stats(machine.vcpu, &stats), 0);
	expect_equal(stats.counters[GONDOLA_COUNTER_USER_EXITS], 100);
	machine_destroy(&machine);
}

/* The exit's reason, the instruction and the count, for the loops below. */
#define LOOP(name, instruction)								\
	GUEST_CODE(name, 64, "mov $50, %esi; 1: xor %eax, %eax; xor %edx, %edx; mov $0x10, %ecx\n" \
		   instruction "; dec %esi; jnz 1b; out %eax, $0x80; jmp .")
LOOP(rdmsr_pat, "mov $0x277, %ecx; rdmsr");
LOOP(cr3_writes, "mov %cr3, %rax; mov %rax, %cr3");

static void control(void)
{
	struct machine machine;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, cr3_writes);
	machine_result(&machine);
	expect_equal(machine_exits(&machine, GONDOLA_REASON_CR3_WRITE), 50);
	machine_destroy(&machine);
	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, rdmsr_pat);
	machine_result(&machine);
	/* An MSR may be read without an exit, never with two. */
	expect(machine_exits(&machine, GONDOLA_REASON_MSR_READ) <= 50);
	machine_destroy(&machine);
}

/* Memory that is mapped once costs no more exits, however often it is touched. */
GUEST_CODE(touches, 64,
	   "1: mov $0x100000, %edi; 2: movl $1, (%rdi); add $0x1000, %edi\n"
	   "cmp $0x180000, %edi; jb 2b; out %eax, $0x80; jmp 1b");

static void page_faults(void)
{
	uint64_t first, second;
	struct machine machine;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, touches);
	machine_result(&machine);
	first = machine_exits(&machine, GONDOLA_REASON_PAGE_FAULT);
	expect(first > 0 && first <= 200);
	for (int i = 0; i < 10; i++)
		machine_result(&machine);
	second = machine_exits(&machine, GONDOLA_REASON_PAGE_FAULT);
	expect(second - first <= 2);
	machine_destroy(&machine);
}

GUEST_CODE(halt, 64, "cli; hlt; out %eax, $0x80; jmp .");

static void halts(void)
{
	struct gondola_stats stats;
	struct machine machine;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, halt);
	/* Asleep it would never come back: an NMI wakes it, and finds no handler. */
	require_equal(__gondola_nmi(machine.vcpu), 0);
	machine_run(&machine);
	expect_equal(machine.run->exit, GONDOLA_EXIT_SHUTDOWN);
	require_equal(__gondola_get_stats(machine.vcpu, &stats), 0);
	expect_equal(stats.exits[GONDOLA_REASON_IO], 0);
	machine_destroy(&machine);
}

#define CPUID_AT	(CODE + 7)	/* of the loop above */

static struct gondola_history_entry history[GONDOLA_HISTORY_LEN + 1];

/* As many as there is room for; what lies behind the last one is not touched. */
static uint32_t get_history(struct machine *machine, uint32_t room, uint64_t *total)
{
	uint32_t count = room;

	memset(history, 0xee, sizeof(history));
	require_equal(__gondola_get_history(machine->vcpu, history, &count, total), 0);
	require(count <= GONDOLA_HISTORY_LEN);
	expect_equal(history[count].tsc, 0xeeeeeeeeeeeeeeee);
	return count;
}

static uint64_t all_exits(struct machine *machine)
{
	struct gondola_stats stats;
	uint64_t sum = 0;

	require_equal(__gondola_get_stats(machine->vcpu, &stats), 0);
	for (unsigned int i = 0; i < GONDOLA_MAX_REASONS; i++)
		sum += stats.exits[i];
	return sum;
}

static void last_exits(void)
{
	struct machine machine;
	unsigned int cpuids_seen = 0;
	uint64_t total;
	uint32_t count;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, cpuids);
	expect_equal(get_history(&machine, GONDOLA_HISTORY_LEN, &total), 0);
	expect_equal(total, 0);
	machine_result(&machine);
	count = get_history(&machine, UINT32_MAX, &total);
	require_equal(count, GONDOLA_HISTORY_LEN);
	expect_equal(total, all_exits(&machine));
	expect_equal(history[count - 1].reason, GONDOLA_REASON_IO);
	expect_equal(history[count - 1].user_exit, GONDOLA_EXIT_IO);
	for (uint32_t i = 0; i < count - 1; i++) {
		expect(history[i].tsc <= history[i + 1].tsc);
		expect_equal(history[i].error, 0);
		if (history[i].reason != GONDOLA_REASON_CPUID)
			continue;
		cpuids_seen++;
		expect_equal(history[i].rip, CPUID_AT);
		expect_equal(history[i].user_exit, GONDOLA_EXIT_NONE);
	}
	/* The host may interrupt it as well. */
	expect(cpuids_seen > count / 2);
	/* With little room the newest. */
	expect_equal(get_history(&machine, 1, &total), 1);
	expect_equal(history[0].reason, GONDOLA_REASON_IO);
	expect_equal(get_history(&machine, 0, &total), 0);
	expect_equal(total, all_exits(&machine));
	machine_destroy(&machine);
}

/* Fewer exits than a history has room for; none is told twice, none is missing. */
static void first_exits(void)
{
	struct machine machine;
	uint64_t total;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, ports);
	for (int i = 0; i < 3; i++) {
		unsigned int seen = 0;

		machine_run(&machine);
		require_equal(get_history(&machine, GONDOLA_HISTORY_LEN, &total),
			      all_exits(&machine));
		for (uint32_t j = 0; j < total; j++)
			seen += history[j].user_exit == GONDOLA_EXIT_IO;
		expect_equal(seen, i + 1);
	}
	machine_destroy(&machine);
}

static void history_refused(void)
{
	struct gondola_history args = { .size = sizeof(args), .count = 1, .entries = 8 };
	struct machine machine;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, ports);
	machine_run(&machine);
	expect(ioctl(machine.vcpu, GONDOLA_GET_HISTORY, &args) && errno == EFAULT);
	args.entries = (uint64_t)INT64_MIN;	/* the kernel's half */
	expect(ioctl(machine.vcpu, GONDOLA_GET_HISTORY, &args) && errno == EFAULT);
	args.entries = (uintptr_t)history;
	args.pad = 1;
	expect(ioctl(machine.vcpu, GONDOLA_GET_HISTORY, &args) && errno == EINVAL);
	machine_destroy(&machine);
}

static const struct tap_test tests[] = {
	{ "1000 CPUID instructions", cpuid },
	{ "100 writes to a port", io },
	{ "control registers and MSRs", control },
	{ "mapped memory faults once", page_faults },
	{ "an NMI without a handler shuts down", halts },
	{ "the last exits, oldest first", last_exits },
	{ "the first exits", first_exits },
	{ "a history that is asked for wrongly", history_refused },
};

TAP_MAIN(tests)
