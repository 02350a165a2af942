// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "fail.h"
#include "loop.h"

#define NS	1000000000ull

static void wake(struct loop *loop)
{
	uint64_t one = 1;

	while (write(loop->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void on_wake(void *argument, int fd, short events)
{
	uint64_t count;

	(void)argument;
	(void)events;
	while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}

void loop_init(struct loop *loop)
{
	memset(loop, 0, sizeof(*loop));
	pthread_mutex_init(&loop->lock, NULL);
	for (int i = 0; i < LOOP_MAX_SOURCES; i++)
		loop->sources[i].fd = -1;
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake_fd < 0)
		fail(EXIT_CODE_ERROR, "cannot make an event descriptor: %s", strerror(errno));
	loop_add(loop, loop->wake_fd, POLLIN, on_wake, loop);
}

/* Called with the lock held; -1 finds a free place. */
static struct loop_source *find(struct loop *loop, int fd)
{
	for (int i = 0; i < LOOP_MAX_SOURCES; i++)
		if (loop->sources[i].fd == fd)
			return &loop->sources[i];
	return NULL;
}

void loop_add(struct loop *loop, int fd, short events, loop_fn call, void *argument)
{
	struct loop_source *source;

	pthread_mutex_lock(&loop->lock);
	source = find(loop, -1);
	if (source)
		*source = (struct loop_source){ fd, events, call, argument };
	pthread_mutex_unlock(&loop->lock);
	if (!source)
		fail(EXIT_CODE_ERROR, "more than %d sources of events", LOOP_MAX_SOURCES);
	wake(loop);
}

void loop_watch(struct loop *loop, int fd, short events)
{
	struct loop_source *source;
	bool changed = false;

	pthread_mutex_lock(&loop->lock);
	source = find(loop, fd);
	if (source) {
		changed = source->events != events;
		source->events = events;
	}
	pthread_mutex_unlock(&loop->lock);
	if (changed)
		wake(loop);
}

void loop_remove(struct loop *loop, int fd)
{
	struct loop_source *source;

	pthread_mutex_lock(&loop->lock);
	source = find(loop, fd);
	if (source)
		source->fd = -1;
	pthread_mutex_unlock(&loop->lock);
	wake(loop);
}

void loop_stop(struct loop *loop)
{
	__atomic_store_n(&loop->stop, true, __ATOMIC_RELEASE);
	wake(loop);
}

void loop_run(struct loop *loop)
{
	while (!__atomic_load_n(&loop->stop, __ATOMIC_ACQUIRE)) {
		struct loop_source sources[LOOP_MAX_SOURCES];
		struct pollfd fds[LOOP_MAX_SOURCES];

		pthread_mutex_lock(&loop->lock);
		memcpy(sources, loop->sources, sizeof(sources));
		pthread_mutex_unlock(&loop->lock);
		/* A source that waits for nothing is left out: POLLHUP cannot be masked. */
		for (int i = 0; i < LOOP_MAX_SOURCES; i++)
			fds[i] = (struct pollfd){ .fd = sources[i].events ? sources[i].fd : -1,
						  .events = sources[i].events };
		if (poll(fds, LOOP_MAX_SOURCES, -1) < 0) {
			if (errno == EINTR)
				continue;
			fail(EXIT_CODE_ERROR, "cannot wait for events: %s", strerror(errno));
		}
		for (int i = 0; i < LOOP_MAX_SOURCES; i++)
			if (fds[i].fd >= 0 && fds[i].revents)
				sources[i].call(sources[i].argument, fds[i].fd, fds[i].revents);
	}
}

int loop_timer(struct loop *loop, loop_fn call, void *argument)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd < 0)
		fail(EXIT_CODE_ERROR, "cannot make a timer: %s", strerror(errno));
	loop_add(loop, fd, POLLIN, call, argument);
	return fd;
}

void loop_timer_set(int fd, unsigned long long first_ns, unsigned long long period_ns)
{
	struct itimerspec when = {
		.it_value = { .tv_sec = first_ns / NS, .tv_nsec = first_ns % NS },
		.it_interval = { .tv_sec = period_ns / NS, .tv_nsec = period_ns % NS },
	};

	timerfd_settime(fd, 0, &when, NULL);
}

void loop_timer_ack(int fd)
{
	uint64_t count;

	while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}
