// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest changes an entry of its table, flushes, and looks where the entry leads, without a
 * pause, while another thread clears the log of that table.  It must never see what the entry
 * said before: with one vCPU the D bit of a shadow entry is the only sign that a table was
 * written, and clearing the log takes write access away from just that entry.
 *
 * usage: flushed [SECONDS]: for each test, default 10
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include "machine.h"

#define PAGE		4096u
#define LOGGED		64u		/* pages from 0 on: the table is one of them */
#define STALE		0x80000000u	/* the guest saw what the entry said before */

static unsigned int seconds = 10;
static bool stopped;
static unsigned int clears;

/* 0x60000 leads to 0x70000 and 0x71000 in turn; reports its rounds when 0x40000 says so. */
#define FLUSHED(flush)									\
	"mov $0x70063, %eax; mov $0x71063, %ebx; mov $0x11, %esi; mov $0x22, %edi\n"	\
	"xor %ecx, %ecx\n"								\
	"1: inc %ecx; mov %rax, 0x36300; " flush "\n"					\
	"mov 0x60000, %edx; cmp %esi, %edx; jne 2f\n"					\
	"xchg %rax, %rbx; xchg %esi, %edi; cmpl $0, 0x40000; je 1b\n"			\
	"mov %ecx, %eax; out %eax, $0x80; jmp .\n"					\
	"2: mov %ecx, %eax; or $0x80000000, %eax; out %eax, $0x80; jmp ."
GUEST_CODE(by_cr3, 64, FLUSHED("mov %cr3, %rdx; mov %rdx, %cr3"));
GUEST_CODE(by_invlpg, 64, FLUSHED("invlpg 0x60000"));

static void *clear_log(void *arg)
{
	struct machine *machine = arg;
	time_t begun = time(NULL);
	uint64_t bitmap = 0;

	while (time(NULL) - begun < (time_t)seconds && !__atomic_load_n(&stopped, __ATOMIC_ACQUIRE)) {
		require_equal(__gondola_get_dirty(machine->vm, 0, 0, LOGGED, &bitmap), 0);
		require_equal(__gondola_clear_dirty(machine->vm, 0, 0, LOGGED, &bitmap), 0);
		clears++;
	}
	*(volatile uint32_t *)(machine->memory + DATA) = 1;
	return NULL;
}

static void observe(const char *code, size_t bytes)
{
	struct machine machine;
	pthread_t thread;
	uint32_t result;

	machine_create(&machine, MODE_LONG);
	machine_load(&machine, code, bytes);
	*(uint32_t *)(machine.memory + 0x70000) = 0x11;
	*(uint32_t *)(machine.memory + 0x71000) = 0x22;
	require_equal(__gondola_set_memory(machine.vm, 0, GONDOLA_MEM_LOG_DIRTY, 0, MEMORY_BYTES,
					   machine.memory), 0);
	stopped = false;
	clears = 0;
	require_equal(pthread_create(&thread, NULL, clear_log, &machine), 0);
	result = machine_result(&machine);
	__atomic_store_n(&stopped, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	printf("# %u rounds, the log cleared %u times\n", result & ~STALE, clears);
	expect_equal(result & STALE, 0);
	/* Both have run. */
	expect_equal(result > 100, true);
	expect_equal(clears > 100, true);
	machine_destroy(&machine);
}

static void cr3_written(void)
{
	observe(by_cr3, by_cr3_end - by_cr3);
}

static void page_invalidated(void)
{
	observe(by_invlpg, by_invlpg_end - by_invlpg);
}

static const struct tap_test tests[] = {
	{ "a guest sees its write of CR3 while its log is cleared", cr3_written },
	{ "a guest sees its INVLPG while its log is cleared", page_invalidated },
};

int main(int argc, char **argv)
{
	if (argc > 1)
		seconds = strtoul(argv[1], NULL, 10) ?: seconds;
	return tap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
