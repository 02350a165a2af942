// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory of a guest fails while it runs: the kernel takes the page, and the launcher is told.
 * tools/testing/mitigations lets the emulator raise the machine check, once the guest runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "user_machine.h"

#define PATIENCE	60u		/* seconds */
#define PAGE		4096u

GUEST_CODE(beat, 64, "1: incl (%rax); jmp 1b");

static struct gondola_run *running;
static volatile sig_atomic_t code;
static void *volatile address;

static void on_signal(int number, siginfo_t *info, void *context)
{
	(void)context;
	if (number == SIGBUS) {
		code = info->si_code;
		address = info->si_addr;
	}
	running->immediate_exit = 1;
}

static uint64_t physical_address(const void *at)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	require(fd >= 0);
	require_equal(pread(fd, &entry, sizeof(entry), (uintptr_t)at / PAGE * sizeof(entry)), sizeof(entry));
	close(fd);
	require(entry >> 63);
	return (entry & ((1ull << 55) - 1)) * PAGE;
}

/* The emulator is asked when the guest certainly runs. */
static void *say_that_it_runs(void *argument)
{
	struct machine *machine = argument;
	volatile uint32_t *beats = (volatile uint32_t *)(machine->memory + USER_DATA);

	while (*beats < 1000 && !machine->run->immediate_exit)
		usleep(1000);
	printf("# running in %#" PRIx64 "\n", physical_address((const void *)beats));
	fflush(stdout);
	return NULL;
}

static void memory_fails(void)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	struct machine machine;
	pthread_t thread;

	user_create(&machine);
	user_load(&machine, beat, beat_end);
	machine_set(&machine);
	if (machine.engine == GONDOLA_ENGINE_INTERP)
		tap_skip("no guest code runs on the processor");
	running = machine.run;
	require_equal(sigaction(SIGBUS, &action, NULL), 0);
	require_equal(sigaction(SIGALRM, &action, NULL), 0);
	require_equal(pthread_create(&thread, NULL, say_that_it_runs, &machine), 0);
	alarm(PATIENCE);
	expect_equal(machine_enter(&machine), -EINTR);
	alarm(0);
	require_equal(pthread_join(thread, NULL), 0);
	expect_equal(code, BUS_MCEERR_AR);
	expect(address == machine.memory + USER_DATA);
	machine_destroy(&machine);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{ "memory that fails below a guest is the launcher's loss alone", memory_fails },
	};

	return tap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
