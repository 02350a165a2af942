// SPDX-License-Identifier: GPL-2.0-only
/*
 * Other threads of the launcher do what they may to its process while the guest runs: move the
 * vCPU's thread, fork, protect and unmap the guest's memory, exec.  The guest goes on as if nothing
 * had happened, and writes to nothing that was taken from it.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "machine.h"

#define ROUNDS		100u
#define FORKS		30u
#define GLANCES		200u		/* at memory that must not change */
#define PATIENCE	60		/* seconds */
#define PAGE		4096u
#define ROUND		0x50000u
#define LOST		0x80000000u	/* the guest found another value in its MSR */
#define RFLAGS_IF	0x202u
#define RDTSCP		(1u << 27)	/* CPUID 0x80000001, EDX */

/* Counts at 0x40000; with each new round it looks at its MSR (LSTAR) and reports. */
GUEST_CODE(count, 64,
	   "mov $0xc0000082, %ecx; mov $0x12345678, %eax; xor %edx, %edx; wrmsr\n"
	   "mov 0x50000, %ebx\n"
	   "1: incl 0x40000; cmp 0x50000, %ebx; je 1b\n"
	   "mov 0x50000, %ebx; mov $0xc0000082, %ecx; rdmsr\n"
	   "sub $0x12345678, %eax; or %edx, %eax; jz 2f\n"
	   "mov $0x80000000, %eax\n"
	   "2: or %ebx, %eax; out %eax, $0x80; jmp 1b");

static struct machine machine;
static pthread_t runner;
static bool stop;
static uint32_t reported;	/* the last round */
static unsigned int lost;	/* rounds in which the guest missed its MSR's value … */
static unsigned int foreign;	/* … and stays after which the host missed its own */

static uint32_t cpuid_edx(uint32_t leaf)
{
	uint32_t eax = leaf, ebx, ecx = 0, edx;

	asm volatile("cpuid" : "+a" (eax), "=b" (ebx), "+c" (ecx), "=d" (edx));
	return edx;
}

static volatile uint32_t *word(uint32_t at)
{
	return (volatile uint32_t *)(machine.memory + at);
}

/* Another processor's thread waits for the guest to count on: it is in no hurry. */
static bool counts_on(const volatile uint32_t *counter)
{
	time_t begun = time(NULL);
	uint32_t before = *counter;

	while (*counter == before) {
		if (time(NULL) - begun > PATIENCE)
			return false;
		sched_yield();
	}
	return true;
}

static bool stays(const volatile uint32_t *counter)
{
	uint32_t before = *counter;

	for (unsigned int i = 0; i < GLANCES; i++) {
		if (*counter != before)
			return false;
		sched_yield();
	}
	return true;
}

/* RDTSCP tells the processor's number, which is the host's in user mode. */
static bool foreign_tsc_aux(void)
{
	unsigned int before, after, aux, unused;
	long ret;

	if (!(cpuid_edx(0x80000001) & RDTSCP))
		return false;
	do {
		ret = syscall(SYS_getcpu, &before, NULL, NULL);
		asm volatile("rdtscp" : "=c" (aux), "=a" (unused) : : "rdx");
		ret |= syscall(SYS_getcpu, &after, NULL, NULL);
	} while (before != after);
	return ret || (aux & 0xfff) != before;
}

/* The vCPU's thread.  Memory that is not there for the moment is no end: it tries again. */
static void *run(void *unused)
{
	(void)unused;
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		int ret = __gondola_run(machine.vcpu);
		uint32_t value;

		foreign += foreign_tsc_aux();
		if (ret == -EINTR || ret == -EFAULT || (!ret && machine.run->exit == GONDOLA_EXIT_MEMORY)) {
			sched_yield();
			continue;
		}
		if (!tap_check(!ret && machine.run->exit == GONDOLA_EXIT_IO, false,
			       "run: %d, exit %u", ret, machine.run->exit))
			break;
		memcpy(&value, (char *)machine.run + machine.run->io.offset, sizeof(value));
		lost += !!(value & LOST);
		__atomic_store_n(&reported, value & ~LOST, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void start(void)
{
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		tap_skip("one processor: nothing changes while the guest runs");
	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, count);
	machine.regs.rflags = RFLAGS_IF;
	machine_set(&machine);
	stop = false;
	reported = 0;
	lost = 0;
	foreign = 0;
	require_equal(pthread_create(&runner, NULL, run, NULL), 0);
	require(counts_on(word(DATA)));
}

/* A round more, which the guest must report. */
static bool next_round(void)
{
	uint32_t round = ++*word(ROUND);
	time_t begun = time(NULL);

	while (__atomic_load_n(&reported, __ATOMIC_ACQUIRE) != round) {
		if (time(NULL) - begun > PATIENCE)
			return false;
		sched_yield();
	}
	return true;
}

static void end(void)
{
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	expect(next_round());
	require_equal(pthread_join(runner, NULL), 0);
	expect_equal(lost, 0);
	expect_equal(foreign, 0);
	machine_destroy(&machine);
}

static void moved(void)
{
	start();
	for (unsigned int i = 0; i < ROUNDS; i++) {
		cpu_set_t cpus;

		CPU_ZERO(&cpus);
		CPU_SET(i % 2, &cpus);
		require_equal(pthread_setaffinity_np(runner, sizeof(cpus), &cpus), 0);
		require(counts_on(word(DATA)));
		require(next_round());
	}
	end();
}

/* The child's memory stays as it was: the guest goes on in pages of its own. */
static void child_looks(int go)
{
	const volatile uint32_t *counter = word(DATA);
	uint32_t before = *counter;
	char byte;

	if (read(go, &byte, 1) != 1)
		_exit(2);
	_exit(*counter != before);
}

static void forked(void)
{
	start();
	for (unsigned int i = 0; i < FORKS; i++) {
		int go[2], status;
		pid_t child;

		require_equal(pipe(go), 0);
		child = fork();
		require(child >= 0);
		if (!child)
			child_looks(go[0]);
		require(counts_on(word(DATA)));
		require(next_round());
		require(counts_on(word(DATA)));
		require_equal(write(go[1], "x", 1), 1);
		require_equal(waitpid(child, &status, 0), child);
		expect_equal(status, 0);
		close(go[0]);
		close(go[1]);
	}
	end();
}

static void protected(void)
{
	void *page;

	start();
	page = machine.memory + DATA;
	for (unsigned int i = 0; i < ROUNDS; i++) {
		require_equal(mprotect(page, PAGE, PROT_READ), 0);
		if (!expect(stays(word(DATA))))
			break;
		if (i % 2)
			require_equal(mprotect(page, PAGE, PROT_NONE), 0);
		require_equal(mprotect(page, PAGE, PROT_READ | PROT_WRITE), 0);
		require(counts_on(word(DATA)));
	}
	expect(next_round());
	end();
}

static void unmapped(void)
{
	int fd = memfd_create("pages", MFD_CLOEXEC);
	const volatile uint32_t *pages;

	require(fd >= 0);
	require_equal(ftruncate(fd, 2 * PAGE), 0);
	pages = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	require(pages != MAP_FAILED);
	start();
	for (unsigned int i = 0; i < ROUNDS; i++) {
		const volatile uint32_t *here = pages + i % 2 * (PAGE / 4);
		const volatile uint32_t *other = pages + (i + 1) % 2 * (PAGE / 4);
		uint8_t *at = machine.memory + DATA;

		require(mmap(at, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
			     i % 2 * PAGE) == at);
		require(counts_on(here));
		if (!expect(stays(other)))
			break;
		if (i % 3)
			continue;
		require_equal(munmap(at, PAGE), 0);
		if (!expect(stays(here)))
			break;
	}
	require(mmap(machine.memory + DATA, PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == machine.memory + DATA);
	expect(next_round());
	end();
	munmap((void *)pages, 2 * PAGE);
	close(fd);
}

static void *exec(void *unused)
{
	(void)unused;
	if (counts_on(word(DATA)))
		execl("/bin/sh", "sh", "-c", "exit 42", (char *)NULL);
	_exit(1);
}

/* A program of another name, and the threads of the old one are gone: the one in RUN, too. */
static void executed_by(bool runner_executes_not)
{
	int status;
	pid_t child = fork();

	require(child >= 0);
	if (!child) {
		pthread_t thread;

		machine_create(&machine, MODE_LONG);
		GUEST_LOAD(&machine, count);
		machine.regs.rflags = RFLAGS_IF;
		machine_set(&machine);
		if (pthread_create(&thread, NULL, runner_executes_not ? exec : run, NULL))
			_exit(1);
		(runner_executes_not ? run : exec)(NULL);
		_exit(1);
	}
	require_equal(waitpid(child, &status, 0), child);
	expect(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	for (int waited = 0; waited < PATIENCE * 20 && debugfs("vms") > 0; waited++)
		usleep(50000);
	expect(debugfs("vms") <= 0);
}

static void executed(void)
{
	machine_need_engine();
	stop = false;
	for (unsigned int i = 0; i < 10; i++)
		executed_by(i % 2);
}

static const struct tap_test tests[] = {
	{ "the vCPU's thread is moved from processor to processor", moved },
	{ "the process forks, and the child's memory is its own", forked },
	{ "the guest's memory is protected, and stays as it is", protected },
	{ "the guest's memory is unmapped, and is not written any more", unmapped },
	{ "another thread runs another program", executed },
};

TAP_MAIN(tests)
