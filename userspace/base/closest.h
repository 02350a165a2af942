/* SPDX-License-Identifier: GPL-2.0-only */
/* Hints for words that are mistyped. */
#ifndef BASE_CLOSEST_H
#define BASE_CLOSEST_H

#include <stddef.h>

/* The most letters of a name, and of a word that gets a hint. */
#define CLOSEST_MAX	32

/** closest() - guess which of @count names the mistyped @word, up to its "=", means, or NULL */
const char *closest(const char *word, const char *const *names, size_t count);

#endif
