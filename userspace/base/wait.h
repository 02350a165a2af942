/* SPDX-License-Identifier: GPL-2.0-only */
/* Waits for a time of the monotonic clock, which no change of the date affects. */
#ifndef BASE_WAIT_H
#define BASE_WAIT_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/** wait_init() - initialise @changed for wait_until(), with times of CLOCK_MONOTONIC */
static inline void wait_init(pthread_cond_t *changed)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(changed, &attributes);
	pthread_condattr_destroy(&attributes);
}

/** wait_clock_ns() - nanoseconds of @clock */
static inline uint64_t wait_clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/** wait_now_ns() - get CLOCK_MONOTONIC in nanoseconds */
static inline uint64_t wait_now_ns(void)
{
	return wait_clock_ns(CLOCK_MONOTONIC);
}

/** wait_worked_ns() - nanoseconds that this thread has had a processor */
static inline uint64_t wait_worked_ns(void)
{
	return wait_clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

/** wait_idle_ns() - it grows while this thread sleeps, or waits for a processor */
static inline uint64_t wait_idle_ns(void)
{
	return wait_now_ns() - wait_worked_ns();
}

/** wait_now_ms() - get it in milliseconds */
static inline int64_t wait_now_ms(void)
{
	return (int64_t)(wait_now_ns() / 1000000);
}

/** wait_deadline() - get the time @ns from now, on CLOCK_MONOTONIC */
static inline struct timespec wait_deadline(uint64_t ns)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	ns += until.tv_nsec;
	until.tv_sec += ns / 1000000000;
	until.tv_nsec = ns % 1000000000;
	return until;
}

/**
 * wait_until() - wait for @changed or until @until, which returns ETIMEDOUT; @lock held
 *
 * @changed was made by wait_init().  Not pthread_cond_clockwait(): the sanitizers do not know it.
 */
static inline int wait_until(pthread_cond_t *changed, pthread_mutex_t *lock,
			     const struct timespec *until)
{
	return pthread_cond_timedwait(changed, lock, until);
}

#endif
