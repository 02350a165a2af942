/* SPDX-License-Identifier: GPL-2.0-only */
/* Waiting for a time: by the clock that no date changes. */
#ifndef BASE_WAIT_H
#define BASE_WAIT_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/** wait_init() - @changed, for wait_until(): its times are of CLOCK_MONOTONIC */
static inline void wait_init(pthread_cond_t *changed)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(changed, &attributes);
	pthread_condattr_destroy(&attributes);
}

/** wait_now_ns() - nanoseconds of CLOCK_MONOTONIC */
static inline uint64_t wait_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/** wait_now_ms() - milliseconds of it */
static inline int64_t wait_now_ms(void)
{
	return (int64_t)(wait_now_ns() / 1000000);
}

/** wait_deadline() - @ns from now, on CLOCK_MONOTONIC */
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
 * wait_until() - for @changed, or @until; returns ETIMEDOUT for the latter.  @lock is held
 *
 * @changed was made by wait_init().  Not pthread_cond_clockwait(): the sanitizers do not know it.
 */
static inline int wait_until(pthread_cond_t *changed, pthread_mutex_t *lock,
			     const struct timespec *until)
{
	return pthread_cond_timedwait(changed, lock, until);
}

#endif
