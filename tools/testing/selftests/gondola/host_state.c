// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host finds its own state in the processor after each stay in the guest, also if another
 * thread changed it meanwhile.
 */
#include <asm/ldt.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine.h"

#define ROUNDS		200u
#define SELECTOR	7u		/* entry 0 of the LDT, ring 3 */
#define RFLAGS_IF	0x202u

enum { BEATS, ROUND };
#define WORD(machine, i)	(((volatile uint32_t *)((machine)->memory + DATA))[i])

/* Beats until the round that it knows is over, then reports. */
GUEST_CODE(beat, 64,
	   "mov 0x40004, %ebx\n"
	   "1: incl 0x40000; cmp 0x40004, %ebx; je 1b\n"
	   "mov %ebx, %eax; mov 0x40004, %ebx; out %eax, $0x80; jmp 1b");

struct rounds {
	struct machine machine;
	unsigned int count;
	unsigned int checked;
	bool failed;
};

static void pin(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
}

static bool set_ldt(uint32_t limit)
{
	struct user_desc entry = { .limit = limit, .seg_32bit = 1, .useable = 1 };

	return !syscall(SYS_modify_ldt, 0x11, &entry, sizeof(entry));
}

/* The limit of the selector's descriptor, as the processor finds it now; or -1. */
static int64_t segment_limit(uint32_t selector)
{
	uint64_t limit = ~0ull;
	bool valid;

	asm volatile("lsl %2, %0" : "+r" (limit), "=@ccz" (valid) : "r" ((uint64_t)selector));
	return valid ? (int64_t)limit : -1;
}

/* Another thread of the launcher, on another processor: changes the table under the guest. */
static void *change_ldt(void *argument)
{
	struct rounds *rounds = argument;
	struct machine *machine = &rounds->machine;

	pin(1);
	for (uint32_t i = 1; i <= rounds->count; i++) {
		uint32_t beats;

		while (__atomic_load_n(&rounds->checked, __ATOMIC_ACQUIRE) != i - 1)
			sched_yield();
		beats = WORD(machine, BEATS);
		while (WORD(machine, BEATS) == beats)
			sched_yield();
		rounds->failed |= !set_ldt(i);
		WORD(machine, ROUND) = i;
	}
	return NULL;
}

/* How often the vCPU's thread found another table than the one that was set last. */
static uint32_t count_stale(unsigned int count)
{
	struct rounds rounds = { .count = count };
	uint32_t stale = 0;
	pthread_t thread;

	pin(0);
	machine_create(&rounds.machine, MODE_LONG);
	GUEST_LOAD(&rounds.machine, beat);
	rounds.machine.regs.rflags = RFLAGS_IF;
	machine_set(&rounds.machine);
	require_equal(pthread_create(&thread, NULL, change_ldt, &rounds), 0);
	for (uint32_t i = 1; i <= count; i++) {
		int64_t limit;

		require_equal(machine_result(&rounds.machine), i - 1);
		limit = segment_limit(SELECTOR);
		if (limit != i && !stale++)
			printf("# round %u: the limit is %lld\n", i, (long long)limit);
		__atomic_store_n(&rounds.checked, i, __ATOMIC_RELEASE);
	}
	require_equal(pthread_join(thread, NULL), 0);
	expect(!rounds.failed);
	machine_destroy(&rounds.machine);
	return stale;
}

static void need_two_processors(void)
{
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		tap_skip("one processor: nothing changes while the guest runs");
}

static void ldt(void)
{
	need_two_processors();
	require(set_ldt(0));
	expect_equal(count_stale(ROUNDS), 0);
}

/* The first table of a process comes while its vCPU is loaded. */
static void first_ldt(void)
{
	int status;
	pid_t child;

	need_two_processors();
	child = fork();
	require(child >= 0);
	if (!child)
		_exit(count_stale(1) ? 1 : tap.failed ? 2 : 0);
	require_equal(waitpid(child, &status, 0), child);
	expect_equal(status, 0);
}

static const struct tap_test tests[] = {
	{ "the first LDT of a process comes while its guest runs", first_ldt },
	{ "another thread changes the LDT while the guest runs", ldt },
};

TAP_MAIN(tests)
