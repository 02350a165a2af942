// SPDX-License-Identifier: GPL-2.0-only
/* A guest that never exits by itself: the host stays responsive, and has the last word. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "machine.h"

GUEST_CODE(spin, 64, "cli; jmp .");
GUEST_CODE(open_spin, 64, "sti; jmp .");
GUEST_CODE(sleep_off, 64, "cli; hlt; jmp .");

static double now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec + at.tv_nsec * 1e-9;
}

static void nothing(int number)
{
	(void)number;
}

/* A timer's signal ends GONDOLA_RUN with EINTR. */
static void interrupted_by(const char *code, size_t bytes)
{
	struct machine machine;

	machine_create(&machine, MODE_LONG);
	machine_load(&machine, code, bytes);
	for (int i = 0; i < 3; i++)
		expect_equal(machine_enter_for(&machine, 1), -EINTR);
	machine_destroy(&machine);
}

static void signals(void)
{
	interrupted_by(open_spin, open_spin_end - open_spin);
	interrupted_by(sleep_off, sleep_off_end - sleep_off);
}

static void signals_interrupts_off(void)
{
	skip_if_deaf();
	interrupted_by(spin, spin_end - spin);
}

static void *run_thread(void *argument)
{
	struct machine *machine = argument;

	machine_enter(machine);
	return NULL;
}

static void immediate_exit(void)
{
	struct sigaction action = { .sa_handler = nothing };
	struct machine machine;
	pthread_t thread;

	sigaction(SIGUSR1, &action, NULL);
	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, open_spin);
	require_equal(pthread_create(&thread, NULL, run_thread, &machine), 0);
	usleep(200000);
	__atomic_store_n(&machine.run->immediate_exit, 1, __ATOMIC_RELEASE);
	pthread_kill(thread, SIGUSR1);
	require_equal(pthread_join(thread, NULL), 0);
	machine_destroy(&machine);
}

/* On one processor, with the guest spinning: others still get their share. */
static void responsive_with(const char *code, size_t bytes)
{
	struct machine machine;
	pid_t child = fork();
	cpu_set_t cpus;
	double begin;
	int prompt = 0;

	require(child >= 0);
	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	if (!child) {
		machine_create(&machine, MODE_LONG);
		machine_load(&machine, code, bytes);
		for (;;)
			machine_enter(&machine);
	}
	begin = now();
	while (now() - begin < 20 && prompt < 20) {
		double before = now();

		usleep(1000);
		prompt += now() - before < 0.1;
	}
	/* The machine underneath may stall for moments; the guest would not let go for good. */
	tap_check(prompt == 20, false, "only %d of 20 sleeps of 1 ms ended in time", prompt);
	require_equal(kill(child, SIGKILL), 0);
	begin = now();
	require_equal(waitpid(child, NULL, 0), child);
	expect(now() - begin < 20);
	CPU_ZERO(&cpus);
	for (int i = 0; i < 64; i++)
		CPU_SET(i, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
}

static void responsive(void)
{
	machine_need_engine();
	responsive_with(open_spin, open_spin_end - open_spin);
}

static void responsive_interrupts_off(void)
{
	machine_need_engine();
	skip_if_deaf();
	responsive_with(spin, spin_end - spin);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

#define SLEEPS	60

/*
 * How many seconds too late sleeps end, three of four, beside a child on the same processor.  They are of
 * many lengths, as the next tick must not always be as far away.
 */
static double lateness(void (*busy)(void))
{
	pid_t child = fork();
	double late[SLEEPS];

	require(child >= 0);
	if (!child) {
		busy();
		_exit(1);
	}
	for (int i = 0; i < SLEEPS; i++) {
		double before = now();

		usleep(1000 + i * 1000 / SLEEPS);
		late[i] = now() - before - 1e-6 * (1000 + i * 1000 / SLEEPS);
	}
	require_equal(kill(child, SIGKILL), 0);
	require_equal(waitpid(child, NULL, 0), child);
	qsort(late, SLEEPS, sizeof(late[0]), by_size);
	return late[SLEEPS * 3 / 4];
}

static double smaller(double a, double b)
{
	return a < b ? a : b;
}

static void run_program(void)
{
	for (;;)
		__asm__ volatile("pause");
}

static void run_guest(void)
{
	struct machine machine;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, open_spin);
	for (;;)
		machine_enter(&machine);
}

/* Leaving a guest may take that many seconds; with the ticks of stock kernels it would be 1.4 ms and more. */
#define LEAVING		0.6e-3

/*
 * Kernels with lazy preemption ask a thread to give way by a flag of its own, which it must look at
 * when an interrupt ends its guest's run: or it has the processor until the next tick.
 */
static void gives_way(void)
{
	double guest = 2, program = 1;
	cpu_set_t all, cpus;

	machine_need_engine();
	sched_getaffinity(0, sizeof(all), &all);
	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	/* A computer that is busy makes both late: the best of some rounds counts. */
	for (int i = 0; i < 10 && guest > program * 1.5 + LEAVING; i++) {
		program = smaller(program, lateness(run_program));
		guest = smaller(guest, lateness(run_guest));
		printf("# late beside a program: %.2f ms, beside a guest: %.2f ms\n", program * 1e3,
		       guest * 1e3);
	}
	expect(guest <= program * 1.5 + LEAVING);
	sched_setaffinity(0, sizeof(all), &all);
}

static const struct tap_test tests[] = {
	{ "a signal ends a guest's loop and its sleep", signals },
	{ "... and a loop with interrupts off", signals_interrupts_off },
	{ "immediate_exit and a kick end it from another thread", immediate_exit },
	{ "the host stays responsive, and can kill it", responsive },
	{ "... with the guest's interrupts off", responsive_interrupts_off },
	{ "a thread wakes beside a guest as soon as beside a program", gives_way },
};

TAP_MAIN(tests)
