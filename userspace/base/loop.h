/* SPDX-License-Identifier: GPL-2.0-only */
/* An event loop: waits for descriptors and calls the functions registered for them. */
#ifndef VM_LOOP_H
#define VM_LOOP_H

#include <pthread.h>
#include <stdbool.h>

typedef void (*loop_fn)(void *argument, int fd, short events);

struct loop_source {
	int fd;				/* -1 if the place is free */
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
/** loop_add() - add a source; any thread; the loop's thread calls @call without locks */
void loop_add(struct loop *loop, int fd, short events, loop_fn call, void *argument);
/** loop_watch() - change the events of a source; any thread */
void loop_watch(struct loop *loop, int fd, short events);
/**
 * loop_remove() - remove a source; does not close @fd; if another thread calls this, @call may be
 * called once more
 */
void loop_remove(struct loop *loop, int fd);
/** loop_stop() - make loop_run() return soon; any thread */
void loop_stop(struct loop *loop);
void loop_run(struct loop *loop);

/** loop_timer() - add a timerfd as a source; @call must read it with loop_timer_ack() */
int loop_timer(struct loop *loop, loop_fn call, void *argument);
/** loop_timer_set() - set the timer: first after @first_ns (0: never), then every @period_ns (0: once) */
void loop_timer_set(int fd, unsigned long long first_ns, unsigned long long period_ns);
void loop_timer_ack(int fd);

#endif
