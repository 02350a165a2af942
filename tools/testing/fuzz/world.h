/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For fuzz targets that contain the launcher whole: it may give up by fail(), as it does for a
 * user, and the next input finds the process as it was before.
 */
#ifndef FUZZ_WORLD_H
#define FUZZ_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;

/* An input being taken apart; behind its end all is zero. */
struct input {
	const uint8_t *at;
	const uint8_t *end;
};

uint32_t input_take(struct input *input, unsigned int bytes);

/**
 * world_try() - call @what
 *
 * False if it gave up by exit(): then what it had allocated is freed, and what it had opened is
 * closed. What is allocated or opened for good must be so before.
 */
bool world_try(void (*what)(void *argument), void *argument);
/** world_ready() - from here on what gives up is cleared away */
void world_ready(void);
/** world_file() - the path of a file of these bytes, which is gone with world_forget() */
const char *world_file(const void *data, size_t bytes);
void world_forget(void);

/** world_rest() - do the work of @loop's thread until there is none */
void world_rest(struct loop *loop);

/** world_seed() - an input for the corpus: a real writer's work behind @first, one byte */
void world_seed(const char *name, uint8_t first, const void *data, size_t bytes);
/** world_make_seeds() - of each target: called instead of fuzzing if FUZZ_SEEDS is a directory */
void world_make_seeds(void);

#endif
