/* SPDX-License-Identifier: GPL-2.0-only */
/* A back-end of vhost-user for tests: a disk that serves well, or is wrong in one way. */
#ifndef TESTS_VIRTIO_BACKEND_H
#define TESTS_VIRTIO_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#define BACKEND_BYTES	(1u << 20)	/* of its disk: byte n is n / 512 + n */

/** enum backend_manner - what it does wrong */
enum backend_manner {
	BACKEND_GOOD,
	BACKEND_READONLY,	/* nothing: its disk is so */
	BACKEND_SMALLER,	/* likewise */
	/* When it is asked what it is. */
	BACKEND_SILENT,		/* it answers nothing */
	BACKEND_HANGS_UP,	/* nor does it stay */
	BACKEND_HALF,		/* it sends half an answer */
	BACKEND_OTHER,		/* it answers another question */
	BACKEND_LONG,		/* with more than was asked for */
	BACKEND_LEGACY,		/* no virtio 1.0 */
	BACKEND_NO_CONFIG,
	BACKEND_SHORT_CONFIG,
	/* When it is started. */
	BACKEND_REFUSES,
	BACKEND_FORGETS,	/* no word about the ring's addresses */
	/* When it has a request. */
	BACKEND_DIES,
	BACKEND_KEEPS,		/* the request, and does nothing */
	BACKEND_KEEPS_FLUSH,	/* likewise if it is a flush */
	BACKEND_INVENTS,	/* it returns one that it never had */
	BACKEND_DOUBLES,	/* it returns one twice */
	BACKEND_COUNTS,		/* it returns a thousand at once */
	BACKEND_CHATTERS,	/* it says what it was not asked */
	BACKEND_REVERSES,	/* nothing wrong: the last one first */
};

/** backend_start() - it listens at @path; returns after that */
void backend_start(const char *path, enum backend_manner manner);
/** backend_end() - it is gone, its socket with it, and what was written to its disk */
void backend_end(void);
/** backend_taken() - how many requests it has taken */
unsigned int backend_taken(void);
/** backend_wait() - until it has taken @count requests; false after PATIENCE_MS */
bool backend_wait(unsigned int count);
/** backend_starts() - how often its ring was started */
unsigned int backend_starts(void);
uint8_t backend_byte(unsigned int at);

#endif
