// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/thread.h"
#include "base/wait.h"
#include "base/fail.h"
#include "output.h"
#include "sandbox/sandbox.h"

#define PIECE		4096u
#define LINE_BYTES	512u		/* characters written at once if no line ends */
#define LINE_NS		10000000l	/* after this time fewer are written */
#define LOOK_MS		100
#define FINISH_LOOKS	20u		/* of LOOK_MS at the end, half without progress */

/**
 * struct output - see output.h
 * @lock: for all of it; not held while a write may wait
 * @first, @used: of @ring
 * @soon: a line is complete, or long
 * @full: the UART was told that there is no room
 * @ends: no more output comes
 * @abandoned: the thread ends without writing the rest
 * @told: a message said that it cannot be written
 */
struct output {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t thread;
	void (*drained)(void *argument);
	void *argument;
	int fd;
	enum output_kind kind;
	bool started;
	bool soon;
	bool full;
	bool ends;
	bool ended;
	bool abandoned;
	bool told;
	size_t first;
	size_t used;
	char ring[OUTPUT_ROOM];
};

/* ---- the lock is held ------------------------------------------------------------------ */

static void wait_ns(struct output *output, long ns)
{
	struct timespec until = wait_deadline(ns);

	wait_until(&output->changed, &output->lock, &until);
}

static void took(struct output *output, size_t bytes)
{
	/* The output may have been dropped meanwhile. */
	if (bytes > output->used)
		bytes = output->used;
	output->first = (output->first + bytes) % OUTPUT_ROOM;
	output->used -= bytes;
	if (!output->used)
		output->soon = false;
}

static void lose(struct output *output, int error)
{
	took(output, output->used);
	if (output->kind != OUTPUT_FILE || output->told)
		return;
	output->told = true;
	say("what the guest writes to its console is lost: %s", strerror(error));
}

/* A write to a file may take long, so the lock is released meanwhile. */
static ssize_t write_piece(struct output *output, const char *data, size_t bytes)
{
	int fd = output->fd;
	ssize_t done;

	if (output->kind == OUTPUT_SOCKET)
		return send(fd, data, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (output->kind == OUTPUT_PTY)
		return write(fd, data, bytes);
	pthread_mutex_unlock(&output->lock);
	done = write(fd, data, bytes);
	pthread_mutex_lock(&output->lock);
	return done;
}

static void wait_for_reader(struct output *output)
{
	struct pollfd ready = { .fd = output->fd, .events = POLLOUT };
	size_t before = output->used;

	pthread_mutex_unlock(&output->lock);
	poll(&ready, 1, LOOK_MS);
	pthread_mutex_lock(&output->lock);
	/* No program has the pseudo-terminal open, and its buffer is full of what nobody read. */
	if (output->kind == OUTPUT_PTY && ready.revents & POLLHUP)
		took(output, before);
}

static void write_some(struct output *output)
{
	size_t bytes = OUTPUT_ROOM - output->first;
	ssize_t done;

	if (bytes > output->used)
		bytes = output->used;
	if (bytes > PIECE)
		bytes = PIECE;
	if (output->fd < 0) {
		took(output, output->used);
		return;
	}
	done = write_piece(output, output->ring + output->first, bytes);
	if (done >= 0)
		took(output, done);
	else if (errno == EAGAIN)
		/* This includes a terminal that another program made non-blocking. */
		wait_for_reader(output);
	else if (errno != EINTR)
		lose(output, errno);
}

static void tell_drained(struct output *output)
{
	if (!output->full || output->used > OUTPUT_ROOM / 2)
		return;
	output->full = false;
	pthread_mutex_unlock(&output->lock);
	output->drained(output->argument);
	pthread_mutex_lock(&output->lock);
}

/* ---- the thread -------------------------------------------------------------------------- */

static void *run(void *argument)
{
	struct output *output = argument;

	sandbox_thread(SANDBOX_DEVICE);
	pthread_mutex_lock(&output->lock);
	while (!output->abandoned) {
		if (!output->used && output->ends)
			break;
		tell_drained(output);
		if (!output->used) {
			pthread_cond_wait(&output->changed, &output->lock);
			continue;
		}
		if (!output->soon && !output->ends)
			wait_ns(output, LINE_NS);
		output->soon = true;
		write_some(output);
	}
	output->ended = true;
	pthread_cond_broadcast(&output->changed);
	pthread_mutex_unlock(&output->lock);
	return NULL;
}

int output_start(struct output *output)
{
	int ret = thread_start(&output->thread, run, output);

	output->started = !ret;
	return ret;
}

/* ---- everybody else ---------------------------------------------------------------------- */

struct output *output_create(void (*drained)(void *argument), void *argument)
{
	struct output *output = calloc(1, sizeof(*output));

	if (!output)
		return NULL;
	pthread_mutex_init(&output->lock, NULL);
	wait_init(&output->changed);
	output->drained = drained;
	output->argument = argument;
	output->fd = -1;
	return output;
}

void output_to(struct output *output, int fd, enum output_kind kind)
{
	pthread_mutex_lock(&output->lock);
	output->fd = fd;
	output->kind = kind;
	took(output, output->used);
	pthread_cond_broadcast(&output->changed);
	pthread_mutex_unlock(&output->lock);
}

void output_put(struct output *output, char c)
{
	bool first;

	pthread_mutex_lock(&output->lock);
	if (output->fd >= 0 && output->used < OUTPUT_ROOM) {
		first = !output->used;
		output->ring[(output->first + output->used++) % OUTPUT_ROOM] = c;
		if (!output->soon && (c == '\n' || output->used >= LINE_BYTES)) {
			output->soon = true;
			first = true;
		}
		if (first)
			pthread_cond_broadcast(&output->changed);
	}
	pthread_mutex_unlock(&output->lock);
}

bool output_room(struct output *output)
{
	bool room;

	pthread_mutex_lock(&output->lock);
	room = output->fd < 0 || OUTPUT_ROOM - output->used >= OUTPUT_BURST;
	output->full |= !room;
	pthread_mutex_unlock(&output->lock);
	return room;
}

size_t output_finish(struct output *output)
{
	unsigned int idle = 0;
	size_t left;

	if (!output->started)
		return output->used;
	pthread_mutex_lock(&output->lock);
	output->ends = true;
	pthread_cond_broadcast(&output->changed);
	for (unsigned int i = 0; i < FINISH_LOOKS && idle < FINISH_LOOKS / 2 && !output->ended; i++) {
		left = output->used;
		wait_ns(output, LOOK_MS * 1000000l);
		idle = output->used < left ? 0 : idle + 1;
	}
	left = output->used;
	output->abandoned = true;
	if (output->ended) {
		pthread_mutex_unlock(&output->lock);
		pthread_join(output->thread, NULL);
		return left;
	}
	/* The thread hangs in a write: the end of the process ends it. */
	pthread_detach(output->thread);
	pthread_mutex_unlock(&output->lock);
	return left;
}
