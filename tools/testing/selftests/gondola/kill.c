// SPDX-License-Identifier: GPL-2.0-only
/* However a launcher dies, nothing of its VM is left. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine.h"

#define PATIENCE_MS	30000

/* Writes all its memory, for ever, so that there are shadow tables. */
GUEST_CODE(busy, 64, "sti; 1: mov $0x100000, %edi; 2: incl (%rdi); add $0x1000, %edi\n"
	   "cmp $0x800000, %edi; jb 2b; jmp 1b");
GUEST_CODE(asleep, 64, "cli; hlt; jmp .");

static const char *const counters[] = { "vms", "vcpus", "shadow_pages" };

/* Freeing ends behind the process's death: wait for it a while. */
static void expect_nothing_left(void)
{
	for (int i = 0; i < 3; i++) {
		long long left = -1;

		for (int waited = 0; waited < PATIENCE_MS; waited += 50) {
			left = debugfs(counters[i]);
			if (left <= 0)
				break;
			usleep(50000);
		}
		tap_check(left == 0, false, "%s is %lld", counters[i], left);
	}
}

static void child_runs(const char *code, size_t bytes)
{
	struct machine machine;

	machine_create(&machine, MODE_LONG);
	machine_load(&machine, code, bytes);
	for (;;)
		machine_enter(&machine);
}

static void killed_while(const char *code, size_t bytes)
{
	pid_t child = fork();

	require(child >= 0);
	if (!child)
		child_runs(code, bytes);
	for (int i = 0; i < 1500 && debugfs("vcpus") < 1; i++)
		usleep(20000);
	expect_equal(debugfs("vms"), 1);
	expect_equal(debugfs("vcpus"), 1);
	usleep(300000);
	require_equal(kill(child, SIGKILL), 0);
	require_equal(waitpid(child, NULL, 0), child);
	expect_nothing_left();
}

static void counters_exist(void)
{
	machine_need_engine();
	for (int i = 0; i < 3; i++) {
		if (debugfs(counters[i]) < 0)
			tap_skip("debugfs has no counters");
		expect_equal(debugfs(counters[i]), 0);
	}
}

static void running(void)
{
	machine_need_engine();
	for (int i = 0; i < 5; i++)
		killed_while(busy, busy_end - busy);
}

static void sleeping(void)
{
	machine_need_engine();
	killed_while(asleep, asleep_end - asleep);
}

/* Killed at any moment of setting up, too. */
static void early(void)
{
	machine_need_engine();
	for (int i = 0; i < 20; i++) {
		pid_t child = fork();

		require(child >= 0);
		if (!child)
			child_runs(busy, busy_end - busy);
		usleep(i * 1500);
		require_equal(kill(child, SIGKILL), 0);
		require_equal(waitpid(child, NULL, 0), child);
	}
	expect_nothing_left();
}

static void closed(void)
{
	struct machine machine;

	for (int i = 0; i < 20; i++) {
		machine_create(&machine, MODE_LONG);
		machine_destroy(&machine);
	}
	expect_nothing_left();
}

static const struct tap_test tests[] = {
	{ "the counters are zero without a VM", counters_exist },
	{ "killed while the guest runs", running },
	{ "killed while the guest sleeps", sleeping },
	{ "killed while it is set up", early },
	{ "closed in order", closed },
};

TAP_MAIN(tests)
