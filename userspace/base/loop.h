/* SPDX-License-Identifier: GPL-2.0-only */
/* An event loop: it waits for descriptors and calls the functions that were registered for them. */
#ifndef VM_LOOP_H
#define VM_LOOP_H

#include <pthread.h>
#include <stdbool.h>

typedef void (*loop_fn)(void *argument, int fd, short events);

struct loop_source {
	int fd;				/* -1: the place is free */
	short events;			/* POLL*; 0: not now */
	loop_fn call;
	void *argument;
};

struct loop {
	pthread_mutex_t lock;		/* @sources, @room */
	struct loop_source *sources;
	unsigned int room;		/* grows with them */
	int wake_fd;
	bool stop;
	bool hurries;			/* see base/hurry.h */
};

void loop_init(struct loop *loop);
/** loop_add() - any thread; as many as there are.  The loop's thread calls @call, no lock held */
void loop_add(struct loop *loop, int fd, short events, loop_fn call, void *argument);
/** loop_watch() - any thread; change what is waited for */
void loop_watch(struct loop *loop, int fd, short events);
/** loop_remove() - does not close @fd; from another thread, @call may still come once */
void loop_remove(struct loop *loop, int fd);
/** loop_stop() - any thread; makes loop_run() return soon */
void loop_stop(struct loop *loop);
void loop_run(struct loop *loop);

/** loop_timer() - a timerfd as a source; @call must read it with loop_timer_ack() */
int loop_timer(struct loop *loop, loop_fn call, void *argument);
/** loop_timer_set() - first after @first_ns (0: never), then every @period_ns (0: once) */
void loop_timer_set(int fd, unsigned long long first_ns, unsigned long long period_ns);
void loop_timer_ack(int fd);

#endif
