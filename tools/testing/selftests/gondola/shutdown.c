// SPDX-License-Identifier: GPL-2.0-only
/*
 * The machine goes down below a vCPU whose thread waits in the module for a page of the launcher's,
 * and gets it when the engine is off.  The test leaves such threads behind: the power-off comes
 * after it.  What they find is in the kernel's log, at the end of the machine's console:
 * "gondola: selftest shutdown: ok".  It is the last of all programs, therefore.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "absent.h"

#define PAGE		4096u
#define STATE_BYTES	64u
#define LOOK_US		20000
#define PATIENT		30	/* seconds for what takes none */
#define REALTIME	"/proc/sys/kernel/sched_rt_runtime_us"

/* On an engine without real mode an instruction of ours: its segment register is the engine's. */
GUEST_CODE(segment, 16, "mov %ax, %ds; hlt");

static struct machine machine;
static int second;
static _Alignas(4096) uint8_t code[PAGE];

/* A call that waits for a page. */
static struct call {
	pthread_t thread;
	void *(*make)(void *call);
	uint8_t *page;
	int uffd;
	int result;
	atomic_bool ended;
} run, set;

static void *make_run(void *argument)
{
	struct call *call = argument;

	call->result = __gondola_run(machine.vcpu);
	atomic_store(&call->ended, true);
	return NULL;
}

static void *make_set(void *argument)
{
	struct call *call = argument;
	struct gondola_fault fault;

	call->result = __gondola_set_state(second, call->page, STATE_BYTES, &fault);
	atomic_store(&call->ended, true);
	return NULL;
}

/* The rest of the machine's user mode is not to come before, once the power-off has begun. */
static void before_all_others(int cpu)
{
	const struct sched_param first = { .sched_priority = 50 };
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	require_equal(sched_setaffinity(0, sizeof(cpus), &cpus), 0);
	require_equal(sched_setscheduler(0, SCHED_FIFO, &first), 0);
}

static void begin(struct call *call, void *(*make)(void *call), uint8_t *page)
{
	struct pollfd waits;

	call->page = page;
	call->uffd = absent_open(0);
	absent_make(call->uffd, page, PAGE);
	require_equal(pthread_create(&call->thread, NULL, make, call), 0);
	waits = (struct pollfd){ .fd = call->uffd, .events = POLLIN };
	require_equal(poll(&waits, 1, PATIENT * 1000), 1);
}

/* Not asleep meanwhile: the power-off would go on. */
static bool end(struct call *call)
{
	struct timespec now, until;

	absent_supply(call->uffd, call->page, code);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += PATIENT;
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while (!atomic_load(&call->ended) && now.tv_sec < until.tv_sec);
	return atomic_load(&call->ended);
}

static void prepare(void)
{
	uint8_t *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int realtime = open(REALTIME, O_WRONLY | O_CLOEXEC);

	/* No share for others. */
	require(write(realtime, "-1\n", 3) == 3);
	close(realtime);
	require(page != MAP_FAILED);
	machine_create(&machine, MODE_UNPAGED);
	second = __gondola_create_vcpu(machine.vm, 1);
	require(second >= 0);
	memcpy(code, segment, segment_end - segment);
	machine_real_mode(&machine);
	machine_set(&machine);
	/* Both threads have the other processor. */
	before_all_others(1);
	begin(&run, make_run, machine.memory + CODE);
	begin(&set, make_set, page);
	before_all_others(0);
}

/* As a whole: the kernel's log takes no seeking, as dprintf() tries. */
__attribute__((format(printf, 1, 2)))
static void log_line(const char *format, ...)
{
	int log = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	char line[128];
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (write(log, line, length) != length)
		_exit(1);
	close(log);
}

/* A VM cannot be made from the moment on when all engines are off. */
static void wait_for_the_end(void)
{
	int vm;

	while ((vm = __gondola_create_vm(machine.sys, GONDOLA_ENGINE_ANY, "another")) >= 0) {
		close(vm);
		usleep(LOOK_US);
	}
	if (vm != -ESHUTDOWN)
		log_line("<4>gondola: selftest shutdown: a VM is refused with %d\n", vm);
	else if (!end(&run) || !end(&set))
		log_line("<4>gondola: selftest shutdown: a call does not come back\n");
	else if (run.result != -ESHUTDOWN || set.result != -ESHUTDOWN)
		log_line("<4>gondola: selftest shutdown: RUN ends with %d, SET_STATE with %d\n",
			 run.result, set.result);
	else
		log_line("<4>gondola: selftest shutdown: ok\n");
}

static void leave_behind(int ready)
{
	int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (setjmp(tap.end) || nowhere < 0)
		_exit(1);
	prepare();
	setsid();
	for (int fd = 0; fd < 3; fd++)
		dup2(nowhere, fd);
	if (write(ready, "", 1) != 1)
		_exit(1);
	close(ready);
	wait_for_the_end();
	_exit(0);
}

static void calls_wait(void)
{
	int pipes[2];
	pid_t child;
	char byte;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		tap_skip("one processor");
	machine_need_engine();
	require_equal(pipe(pipes), 0);
	fflush(stdout);
	child = fork();
	require(child >= 0);
	if (!child)
		leave_behind(pipes[1]);
	close(pipes[1]);
	require_equal(read(pipes[0], &byte, 1), 1);
	close(pipes[0]);
}

static const struct tap_test tests[] = {
	{ "calls wait for a page, for the machine to go down", calls_wait },
};

TAP_MAIN(tests)
