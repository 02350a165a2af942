// SPDX-License-Identifier: GPL-2.0-only
/*
 * A page of the launcher's that is not answered holds up the thread that wants it, and no one else:
 * not the VM's other calls, not other VMs, not the list of all.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "absent.h"

#define PAGE	4096u
#define LIST	"/sys/kernel/debug/gondola/vms"
#define PATIENT	30	/* seconds for calls that take none */

static struct machine machine;
static uint8_t *absent;		/* a page that only release() gives */
static int uffd;

static void start(void)
{
	machine_create(&machine, MODE_LONG);
	require_equal(__gondola_set_memory(machine.vm, 0, GONDOLA_MEM_LOG_DIRTY, 0, MEMORY_BYTES,
					   machine.memory), 0);
	uffd = absent_open(0);
	absent = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	require(absent != MAP_FAILED);
	absent_make(uffd, absent, PAGE);
}

static void *get_dirty(void *unused)
{
	(void)unused;
	__gondola_get_dirty(machine.vm, 0, 0, MEMORY_BYTES / PAGE, (void *)absent);
	return NULL;
}

static void *clear_dirty(void *unused)
{
	(void)unused;
	__gondola_clear_dirty(machine.vm, 0, 0, MEMORY_BYTES / PAGE, (void *)absent);
	return NULL;
}

static void *get_state(void *unused)
{
	struct gondola_state args = { .size = sizeof(args), .bytes = 1 << 20 };

	(void)unused;
	args.buffer = (uintptr_t)absent;
	ioctl(machine.vm, GONDOLA_GET_STATE, &args);
	return NULL;
}

static void *set_state(void *unused)
{
	struct gondola_state args = { .size = sizeof(args), .bytes = 64 };

	(void)unused;
	args.buffer = (uintptr_t)absent;
	ioctl(machine.vm, GONDOLA_SET_STATE, &args);
	return NULL;
}

static void *calls(void *unused)
{
	char line[256];
	int vm, list;

	(void)unused;
	expect_equal(__gondola_mark_dirty(machine.vm, GONDOLA_DIRTY_HOST, 0, 0, PAGE), 0);
	vm = __gondola_create_vm(machine.sys, machine.engine, "another");
	expect(vm >= 0);
	list = open(LIST, O_RDONLY | O_CLOEXEC);
	expect(list >= 0);
	expect(read(list, line, sizeof(line)) > 0);
	close(list);
	close(vm);
	return NULL;
}

static void release(void)
{
	struct uffdio_zeropage zero = { .range = { .start = (uintptr_t)absent, .len = PAGE } };

	require_equal(ioctl(uffd, UFFDIO_ZEROPAGE, &zero), 0);
}

/* While @call waits for the page, the others come back. */
static void holds_up_no_other(void *(*call)(void *unused))
{
	struct timespec until;
	struct pollfd waits;
	pthread_t waiter, others;
	int late;

	start();
	require_equal(pthread_create(&waiter, NULL, call, NULL), 0);
	waits = (struct pollfd){ .fd = uffd, .events = POLLIN };
	require_equal(poll(&waits, 1, PATIENT * 1000), 1);
	require_equal(pthread_create(&others, NULL, calls, NULL), 0);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += PATIENT;
	late = pthread_clockjoin_np(others, NULL, CLOCK_MONOTONIC, &until);
	expect_equal(late, 0);
	release();
	if (late)
		pthread_join(others, NULL);
	pthread_join(waiter, NULL);
	close(uffd);
	munmap(absent, PAGE);
	machine_destroy(&machine);
}

static void reading_the_log(void)
{
	holds_up_no_other(get_dirty);
}

static void clearing_the_log(void)
{
	holds_up_no_other(clear_dirty);
}

static void reading_the_state(void)
{
	holds_up_no_other(get_state);
}

static void setting_the_state(void)
{
	holds_up_no_other(set_state);
}

static const struct tap_test tests[] = {
	{ "reading the dirty log", reading_the_log },
	{ "clearing the dirty log", clearing_the_log },
	{ "reading the state of a VM", reading_the_state },
	{ "setting the state of a VM", setting_the_state },
};

TAP_MAIN(tests)
