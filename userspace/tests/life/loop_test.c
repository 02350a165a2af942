// SPDX-License-Identifier: GPL-2.0-only
/* The event loop, where its caller leaves it little. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/loop.h"
#include "life_test.h"

#define SOURCES	17u	/* the array grows before the last */

static unsigned int calls;

static void on_event(void *argument, int fd, short events)
{
	(void)fd;
	(void)events;
	if (++calls == SOURCES)
		loop_stop(argument);
}

/* In a process of its own, whose limit cannot be raised again. */
static int run_with_no_more_descriptors(void)
{
	struct rlimit limit;
	struct loop loop;
	int last = -1;

	loop_init(&loop);
	for (unsigned int i = 0; i < SOURCES; i++) {
		last = eventfd(1, EFD_CLOEXEC);
		loop_add(&loop, last, POLLIN, on_event, &loop);
	}
	limit.rlim_cur = limit.rlim_max = last + 1;
	if (last < 0 || setrlimit(RLIMIT_NOFILE, &limit))
		return 2;
	loop_run(&loop);
	return calls == SOURCES ? 0 : 3;
}

/* poll() refuses more entries than there may be descriptors, used or not. */
void loop_with_few_descriptors(void)
{
	pid_t child;
	int status;

	fflush(stdout);
	child = fork();
	require(child >= 0);
	if (!child)
		_exit(run_with_no_more_descriptors());
	require_equal(waitpid(child, &status, 0), child);
	expect_equal(status, 0);
}
