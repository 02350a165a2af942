// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waits for the source's connection.  Anybody may connect to the port: a scanner, a health check or
 * a browser, which send something else, or nothing.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/wait.h"
#include "transport.h"

#define CALLERS		8u	/* connections that have not sent their greeting */
#define GREETING	8u	/* bytes that tell */
#define AGAIN_MS	20	/* for the rest of a greeting, since poll() does not wait for it */

/* @at: @count of them, in the order of their coming */
struct callers {
	struct {
		int fd;
		int64_t until_ms;
		bool begun;
	} at[CALLERS];
	unsigned int count;
};

enum verdict { UNKNOWN, STRANGER, WANTED };

static void forget(struct callers *callers, unsigned int i)
{
	callers->count--;
	memmove(&callers->at[i], &callers->at[i + 1], (callers->count - i) * sizeof(callers->at[0]));
}

static void drop(struct callers *callers, unsigned int i, const char *why)
{
	say("a connection was dropped: %s", why);
	close(callers->at[i].fd);
	forget(callers, i);
}

static void drop_oldest(struct callers *callers)
{
	drop(callers, 0, "it said nothing, and others came");
}

static bool is_passing(int error)
{
	return error != EBADF && error != EINVAL && error != ENOTSOCK && error != EOPNOTSUPP &&
	       error != EMFILE && error != ENFILE && error != ENOMEM && error != EPERM;
}

/* One who is silent keeps nobody out, not even where descriptors are few. */
static int accept_one(struct callers *callers, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	while (fd < 0 && (errno == EMFILE || errno == ENFILE) && callers->count) {
		drop_oldest(callers);
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	}
	return fd;
}

static bool take_in(struct callers *callers, int listener, int timeout_ms)
{
	int fd = accept_one(callers, listener);
	unsigned int i;

	if (fd < 0)
		return is_passing(errno);
	if (callers->count == CALLERS)
		drop_oldest(callers);
	i = callers->count++;
	callers->at[i].fd = fd;
	callers->at[i].until_ms = wait_now_ms() + timeout_ms;
	callers->at[i].begun = false;
	return true;
}

static enum verdict judge(struct callers *callers, unsigned int i, const char *greeting)
{
	char said[GREETING];
	ssize_t count = recv(callers->at[i].fd, said, sizeof(said), MSG_PEEK | MSG_DONTWAIT);

	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return UNKNOWN;
	if (count <= 0 || memcmp(said, greeting, count))
		return STRANGER;
	callers->at[i].begun = true;
	return count == GREETING ? WANTED : UNKNOWN;
}

/* The first connection with the right greeting, or -1. */
static int sort_out(struct callers *callers, const struct pollfd *fds, const char *greeting)
{
	/* @fds are those that there were, also behind one that is dropped. */
	for (unsigned int i = 0; i < callers->count; fds++) {
		enum verdict verdict = UNKNOWN;
		int fd = callers->at[i].fd;

		if (fds->revents || callers->at[i].begun)
			verdict = judge(callers, i, greeting);
		if (verdict == WANTED) {
			forget(callers, i);
			return fd;
		}
		if (verdict == STRANGER)
			drop(callers, i, "it did not begin as a VM does");
		else if (wait_now_ms() >= callers->at[i].until_ms)
			drop(callers, i, "it said nothing");
		else
			i++;
	}
	return -1;
}

/* Returns the time for which poll() may wait. */
static int watch(const struct callers *callers, struct pollfd *fds)
{
	int64_t wait = -1, now = wait_now_ms();

	for (unsigned int i = 0; i < callers->count; i++) {
		bool begun = callers->at[i].begun;
		int64_t left = callers->at[i].until_ms > now ? callers->at[i].until_ms - now : 0;

		fds[i] = (struct pollfd){ .fd = begun ? -1 : callers->at[i].fd, .events = POLLIN };
		if (begun && left > AGAIN_MS)
			left = AGAIN_MS;
		if (wait < 0 || left < wait)
			wait = left;
	}
	return (int)wait;
}

static bool wait_for(struct callers *callers, const struct transport_listener *listener,
		     struct transport *transport, const char *greeting, int stop_fd, int timeout_ms,
		     struct error *error)
{
	struct pollfd fds[CALLERS + 2];

	while (transport->fd < 0) {
		int wait = watch(callers, fds);
		struct pollfd *listens = fds + callers->count, *stop = listens + 1;

		*listens = (struct pollfd){ .fd = listener->fd, .events = POLLIN };
		*stop = (struct pollfd){ .fd = stop_fd, .events = POLLIN };
		/* It takes no more entries than there may be descriptors. */
		if (poll(fds, callers->count + 2, wait) < 0) {
			if (errno == EINTR)
				continue;
			return error_set(error, EXIT_CODE_ERROR,
					 "cannot wait for a connection: %s", strerror(errno));
		}
		if (stop->revents)
			return error_set(error, EXIT_CODE_STOPPED, "a signal ended the wait");
		transport->fd = sort_out(callers, fds, greeting);
		if (transport->fd < 0 && listens->revents &&
		    !take_in(callers, listener->fd, timeout_ms))
			return error_set(error, EXIT_CODE_ERROR, "cannot take a connection: %s",
					 strerror(errno));
	}
	return true;
}

bool transport_accept(struct transport_listener *listener, struct transport *transport,
		      const char *greeting, int stop_fd, int timeout_ms, struct error *error)
{
	struct callers callers;
	bool came;

	*transport = listener->ready;
	listener->ready = (struct transport){ .fd = -1 };
	callers.count = 0;
	came = wait_for(&callers, listener, transport, greeting, stop_fd, timeout_ms, error);
	while (callers.count)
		close(callers.at[--callers.count].fd);
	/* The listener does not share these options. */
	if (came)
		transport_tune(transport, timeout_ms);
	return came;
}
