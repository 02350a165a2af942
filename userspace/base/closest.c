// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "closest.h"

#define MAX_SLIPS	2

/* The number of letters to change, remove or insert to get from one word to the other. */
static size_t distance(const char *one, size_t length, const char *other)
{
	size_t row[CLOSEST_MAX + 1], columns = strlen(other);

	for (size_t j = 0; j <= columns; j++)
		row[j] = j;
	for (size_t i = 0; i < length; i++) {
		size_t corner = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < columns; j++) {
			size_t best = corner + (one[i] != other[j]);

			corner = row[j + 1];
			if (corner + 1 < best)
				best = corner + 1;
			if (row[j] + 1 < best)
				best = row[j] + 1;
			row[j + 1] = best;
		}
	}
	return row[columns];
}

const char *closest(const char *word, const char *const *names, size_t count)
{
	size_t length = strcspn(word, "="), least = MAX_SLIPS + 1;
	const char *best = NULL;

	if (length > CLOSEST_MAX)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		size_t slips = distance(word, length, names[i]);

		/* A short word is similar to many. */
		if (slips < least && 2 * slips < length) {
			least = slips;
			best = names[i];
		}
	}
	return best;
}
