/* SPDX-License-Identifier: GPL-2.0-only */
/* Random numbers that a seed repeats; each thread and each call has its own. */
#ifndef FUZZ_RANDOM_H
#define FUZZ_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** struct random - the state of one row of random numbers */
struct random {
	uint64_t state;
};

/** mix() - a seed of two, each bit of which depends on all of theirs */
static inline uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t x = a + 0x9e3779b97f4a7c15ull * (b + 1);

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static inline uint64_t next(struct random *r)
{
	r->state += 0x9e3779b97f4a7c15ull;
	return mix(r->state, 0);
}

static inline uint32_t below(struct random *r, uint32_t bound)
{
	return (next(r) >> 32) * bound >> 32;
}

/** one_in() - true once in @count times */
static inline bool one_in(struct random *r, uint32_t count)
{
	return !below(r, count);
}

static inline void fill(struct random *r, void *to, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		((uint8_t *)to)[i] = next(r) >> 56;
}

/** odd_value() - a number near a border more often than not */
static inline uint64_t odd_value(struct random *r)
{
	static const uint64_t some[] = {
		0, 1, 2, 3, 4, 8, 15, 16, 31, 32, 63, 64, 127, 128, 255, 256, 0xfff, 0x1000, 0x1001,
		0xffff, 0x10000, 0xfffff000, 0xffffffff, 0x100000000, 0x7fffffff, 0x80000000,
		0x7fffffffffff, 0x800000000000, 0xffff800000000000, 0x7fffffffffffffff,
		0x8000000000000000, 0xfffffffffffff000, 0xffffffffffffffff, 0xfee00000, 0xfec00000,
		0xfffffffff, 0x1000000000, 0xfffffffffffff, 0x10000000000000,
	};

	switch (below(r, 4)) {
	case 0:
		return next(r);
	case 1:
		return 1ull << below(r, 64);
	case 2:
		return next(r) >> below(r, 64);
	default:
		return some[below(r, sizeof(some) / sizeof(some[0]))];
	}
}

/** fill_odd() - with numbers as they may stand anywhere; @bytes is a multiple of eight */
static inline void fill_odd(struct random *r, void *to, size_t bytes)
{
	for (size_t i = 0; i < bytes / 8; i++)
		((uint64_t *)to)[i] = odd_value(r);
}

#endif
