// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "fail.h"
#include "hurry.h"
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
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake_fd < 0)
		fail(EXIT_CODE_ERROR, "cannot make an event descriptor: %s", strerror(errno));
	loop_add(loop, loop->wake_fd, POLLIN, on_wake, loop);
}

/* Lock held. */
static struct loop_source *find(struct loop *loop, int fd)
{
	for (unsigned int i = 0; i < loop->room; i++)
		if (loop->sources[i].fd == fd)
			return &loop->sources[i];
	return NULL;
}

static struct loop_source *find_free(struct loop *loop)
{
	unsigned int room = 2 * loop->room + 16;
	struct loop_source *more;

	if (find(loop, -1))
		return find(loop, -1);
	more = realloc(loop->sources, room * sizeof(*more));
	if (!more)
		return NULL;
	loop->sources = more;
	for (unsigned int i = loop->room; i < room; i++)
		more[i] = (struct loop_source){ .fd = -1 };
	loop->room = room;
	return find(loop, -1);
}

void loop_add(struct loop *loop, int fd, short events, loop_fn call, void *argument)
{
	struct loop_source *source;

	pthread_mutex_lock(&loop->lock);
	source = find_free(loop);
	if (source)
		*source = (struct loop_source){ fd, events, call, argument };
	pthread_mutex_unlock(&loop->lock);
	if (!source)
		fail(EXIT_CODE_ERROR, "out of memory");
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

/*
 * The loop's thread works with copies, since others may change the sources meanwhile.  There are
 * only those that wait for something: POLLHUP cannot be masked, and poll() refuses more entries
 * than the process may have descriptors.
 */
struct turn {
	struct loop_source *sources;
	struct pollfd *fds;
	unsigned int count, room;
};

static void take_sources(struct loop *loop, struct turn *turn)
{
	pthread_mutex_lock(&loop->lock);
	if (turn->room < loop->room) {
		turn->room = loop->room;
		turn->sources = realloc(turn->sources, turn->room * sizeof(*turn->sources));
		turn->fds = realloc(turn->fds, turn->room * sizeof(*turn->fds));
		if (!turn->sources || !turn->fds)
			fail(EXIT_CODE_ERROR, "out of memory");
	}
	turn->count = 0;
	for (unsigned int i = 0; i < loop->room; i++) {
		const struct loop_source *source = &loop->sources[i];

		if (source->fd < 0 || !source->events)
			continue;
		turn->sources[turn->count] = *source;
		turn->fds[turn->count++] = (struct pollfd){
			.fd = source->fd, .events = source->events,
		};
	}
	pthread_mutex_unlock(&loop->lock);
}

void loop_run(struct loop *loop)
{
	struct turn turn = { .room = 0 };

	hurry_set(loop->hurries);
	while (!__atomic_load_n(&loop->stop, __ATOMIC_ACQUIRE)) {
		take_sources(loop, &turn);
		if (poll(turn.fds, turn.count, -1) < 0) {
			if (errno == EINTR)
				continue;
			fail(EXIT_CODE_ERROR, "cannot wait for events: %s", strerror(errno));
		}
		for (unsigned int i = 0; i < turn.count; i++)
			if (turn.fds[i].revents)
				turn.sources[i].call(turn.sources[i].argument, turn.fds[i].fd,
						     turn.fds[i].revents);
	}
	hurry_set(false);
	free(turn.sources);
	free(turn.fds);
}

/* Of the clock that vm_clock_ns() reads: what is due while the host sleeps comes as it wakes. */
int loop_timer(struct loop *loop, loop_fn call, void *argument)
{
	int fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);

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
