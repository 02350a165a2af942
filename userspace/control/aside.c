// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests that may wait for a vCPU, a device or a link.  They run beside the loop, so that "kill",
 * "status" and signals are always handled.
 */
#include <pthread.h>
#include <string.h>

#include "aside.h"
#include "control.h"
#include "vm/vm.h"

#define QUEUE	16u

/**
 * struct lane - requests of a kind
 * @queue: waiting requests and the one in progress, the first one at @first
 * @started: @thread must be joined
 * @running: the thread takes requests from the queue
 */
static struct lane {
	struct {
		struct control_request *request;
		control_fn fn;
	} queue[QUEUE];
	unsigned int first, count;
	pthread_t thread;
	bool started;
	bool running;
} lanes[CONTROL_LANES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *run(void *argument)
{
	struct lane *lane = argument;
	bool more;

	do {
		struct control_request *request;
		control_fn fn;

		pthread_mutex_lock(&lock);
		request = lane->queue[lane->first].request;
		fn = lane->queue[lane->first].fn;
		pthread_mutex_unlock(&lock);
		fn(request);
		pthread_mutex_lock(&lock);
		lane->first = (lane->first + 1) % QUEUE;
		more = --lane->count;
		lane->running = more;
		pthread_mutex_unlock(&lock);
		control_done(request);
	} while (more);
	return NULL;
}

/* Only the loop's thread calls this.  If the lane does not run its thread only has to send its answer. */
static void join(struct lane *lane)
{
	if (lane->started)
		pthread_join(lane->thread, NULL);
	lane->started = false;
}

static bool put(struct lane *lane, struct control_request *request, control_fn fn, bool *runs)
{
	bool room;

	pthread_mutex_lock(&lock);
	*runs = lane->running;
	room = lane->count < QUEUE;
	if (room) {
		unsigned int last = (lane->first + lane->count++) % QUEUE;

		lane->queue[last].request = request;
		lane->queue[last].fn = fn;
		lane->running = true;
	}
	pthread_mutex_unlock(&lock);
	return room;
}

bool control_aside(struct control_request *request, enum control_lane number, control_fn fn)
{
	struct lane *lane = &lanes[number];
	bool runs;
	int ret;

	control_later(request);
	if (!put(lane, request, fn, &runs)) {
		control_fail(request, "busy", "%s: %u requests of this kind wait already",
			     request->vm->name, QUEUE);
		control_done(request);
		return false;
	}
	if (runs)
		return true;
	join(lane);
	ret = pthread_create(&lane->thread, NULL, run, lane);
	lane->started = !ret;
	if (!ret)
		return true;
	lane->count = 0;
	lane->running = false;
	control_fail(request, "failed", "cannot make a thread: %s", strerror(ret));
	control_done(request);
	return false;
}

void aside_end(void)
{
	for (unsigned int i = 0; i < CONTROL_LANES; i++)
		join(&lanes[i]);
}
