// SPDX-License-Identifier: GPL-2.0-only
/* The event loop, where its caller leaves it little. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/line_socket.h"
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

static void on_connection(void *argument, int fd, short events)
{
	(void)events;
	calls++;
	if (line_socket_accept(fd, SOCK_CLOEXEC) >= 0)
		loop_stop(argument);
}

static void *raise_later(void *limit)
{
	usleep(300000);
	setrlimit(RLIMIT_NOFILE, limit);
	return NULL;
}

/* A client that cannot be let in does not keep the processor busy, and comes in as soon as it can. */
void accept_without_descriptors(void)
{
	const char *path = "/tmp/gondola-loop-test.sock";
	int listener = line_socket_listen(path), client = line_socket_connect(path, 1000);
	struct rlimit limit, none;
	struct loop loop;
	pthread_t later;

	require(listener >= 0 && client >= 0);
	loop_init(&loop);
	loop_add(&loop, listener, POLLIN, on_connection, &loop);
	require_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){ loop.wake_fd + 1, limit.rlim_max };
	require_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	require_equal(pthread_create(&later, NULL, raise_later, &limit), 0);
	calls = 0;
	loop_run(&loop);
	pthread_join(later, NULL);
	expect(calls > 1 && calls < 100);
	free(loop.sources);
	close(loop.wake_fd);
	close(client);
	close(listener);
	unlink(path);
}
