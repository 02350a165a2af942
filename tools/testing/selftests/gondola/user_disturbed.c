// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest's program runs in ring 3, where an engine may have it on the processor itself, while its
 * process forks, executes, moves to other processors, or is killed.  The program counts on, and
 * children find nothing of the guest but its memory.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "user_machine.h"

#define COUNTER		0x41000u
#define ROUNDS		40u
#define KILLS		10u
#define PATIENCE	60		/* seconds */
/* Where ring3 has what it switches with (Documentation/ring3.rst). */
#define AREAS		0xffff878000000000ul

/* It is lost if a register is not what it was. */
GUEST_CODE(count, 64,
	   "mov $0x41000, %eax; mov $0x1234567, %ecx; mov %rsp, %rdx; mov $0x1234567, %r15\n"
	   "1: incl (%rax); cmp %ecx, %r15d; jne 2f; cmp %rsp, %rdx; jne 2f\n"
	   "cmp $0x41000, %eax; je 1b\n"
	   "2: ud2");

static struct machine machine;
static pthread_t runner;
static bool stop;
static int ended;		/* how the last RUN ended, when it should not have */

static volatile uint32_t *counter(void)
{
	return (volatile uint32_t *)(machine.memory + COUNTER);
}

static bool counts_on(void)
{
	time_t begun = time(NULL);
	uint32_t before = *counter();

	while (*counter() == before) {
		if (time(NULL) - begun > PATIENCE)
			return false;
		sched_yield();
	}
	return true;
}

static void on_signal(int number)
{
	(void)number;
}

/* Nothing but a signal ends it: the program leaves by no exit of its own. */
static void *run(void *unused)
{
	(void)unused;
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		int ret = __gondola_run(machine.vcpu);

		if (ret != -EINTR) {
			ended = ret ? ret : 1;
			break;
		}
	}
	return NULL;
}

static void prepare(void)
{
	user_create(&machine);
	user_load(&machine, count, count_end);
	machine_set(&machine);
	stop = false;
	ended = 0;
}

static void start(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGUSR1, &action, NULL);
	prepare();
	require_equal(pthread_create(&runner, NULL, run, NULL), 0);
	require(counts_on());
}

static void end(void)
{
	struct timespec soon;

	require(counts_on());
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	/* A signal between the look and RUN is lost. */
	do {
		pthread_kill(runner, SIGUSR1);
		clock_gettime(CLOCK_REALTIME, &soon);
		soon.tv_sec++;
	} while (pthread_timedjoin_np(runner, NULL, &soon) == ETIMEDOUT);
	expect_equal(ended, 0);
	require_equal(__gondola_get_registers(machine.vcpu, &machine.regs, &machine.sregs), 0);
	expect_equal(machine.regs.gpr[1], 0x1234567);
	expect_equal(machine.regs.gpr[15], 0x1234567);
	machine_destroy(&machine);
}

static void moved(void)
{
	unsigned int moves = 0;

	start();
	for (unsigned int i = 0; i < ROUNDS; i++) {
		cpu_set_t cpus;
		int err;

		CPU_ZERO(&cpus);
		CPU_SET(i % 2, &cpus);
		err = pthread_setaffinity_np(runner, sizeof(cpus), &cpus);
		/* There is one processor, or the other is away for a while. */
		if (err == EINVAL && i % 2)
			continue;
		require_equal(err, 0);
		moves++;
		require(counts_on());
	}
	end();
	expect(moves >= ROUNDS / 2);
}

/* Its memory is as it was, and ring3's addresses are nothing to it: not mapped, or not user mode's. */
static void child_looks(int go)
{
	uint32_t before = *counter();
	char byte;

	if (read(go, &byte, 1) != 1)
		_exit(2);
	if (*counter() != before || __gondola_run(machine.vcpu) != -EIO)
		_exit(3);
	signal(SIGSEGV, SIG_DFL);
	(void)*(const volatile char *)AREAS;
	_exit(4);
}

static void forked(void)
{
	start();
	for (unsigned int i = 0; i < ROUNDS; i++) {
		int go[2], status;
		pid_t child;

		require_equal(pipe(go), 0);
		child = fork();
		require(child >= 0);
		if (!child && i % 4)
			child_looks(go[0]);
		if (!child) {
			execl("/bin/sh", "sh", "-c", "exit 42", (char *)NULL);
			_exit(5);
		}
		/* The parent has pages of its own by now. */
		require(counts_on());
		require_equal(write(go[1], "x", 1), 1);
		require_equal(waitpid(child, &status, 0), child);
		if (i % 4)
			tap_check(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, false,
				  "round %u: status 0x%x", i, status);
		else
			expect(WIFEXITED(status) && WEXITSTATUS(status) == 42);
		close(go[0]);
		close(go[1]);
	}
	end();
}

/* The vCPU's thread is in the guest when its process is no more, or becomes another program. */
static void gone(bool executes)
{
	for (unsigned int i = 0; i < KILLS; i++) {
		pid_t child = fork();
		int status;

		require(child >= 0);
		if (!child) {
			start();
			if (executes)
				execl("/bin/sh", "sh", "-c", "exit 42", (char *)NULL);
			kill(getpid(), SIGKILL);
		}
		require_equal(waitpid(child, &status, 0), child);
		if (executes)
			expect(WIFEXITED(status) && WEXITSTATUS(status) == 42);
		else
			expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
}

static void executed(void)
{
	machine_need_engine();
	gone(true);
}

static void killed(void)
{
	machine_need_engine();
	gone(false);
}

static const struct tap_test tests[] = {
	{ "the vCPU's thread is moved while a program runs", moved },
	{ "the process forks, and its children run other programs", forked },
	{ "another thread runs another program", executed },
	{ "the process is killed", killed },
};

TAP_MAIN(tests)
