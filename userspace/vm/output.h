/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A console's output, on its way to a reader that may be slow or stand still.  A
 * thread of its own writes it, so no lock and no other thread waits for the
 * reader.  When there is no room, the guest waits.
 */
#ifndef VM_OUTPUT_H
#define VM_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#define OUTPUT_ROOM	65536u
#define OUTPUT_BURST	16u	/* a guest that was told that there is room writes so much */

/**
 * enum output_kind - what is written to
 * @OUTPUT_FILE: a terminal, a pipe or a file: stays open, and a write may wait
 * @OUTPUT_SOCKET: a peer that may go: what it did not read is lost then
 * @OUTPUT_PTY: likewise a pseudo-terminal that somebody may open; does not block
 */
enum output_kind {
	OUTPUT_FILE,
	OUTPUT_SOCKET,
	OUTPUT_PTY,
};

struct output;

/** output_create() - NULL: no memory. @drained: there is room again after output_room() said no; no lock is held */
struct output *output_create(void (*drained)(void *argument), void *argument);
/** output_to() - from now on to @fd, or to nobody (-1): what waits is lost; any thread */
void output_to(struct output *output, int fd, enum output_kind kind);
/** output_start() - its thread, which writes; 0 or an error number */
int output_start(struct output *output);
/** output_put() - never waits; without room @c is lost */
void output_put(struct output *output, char c);
/** output_room() - for OUTPUT_BURST characters? If not, @drained will be called */
bool output_room(struct output *output);
/** output_finish() - a moment for the reader to take the rest; returns how many bytes are lost */
size_t output_finish(struct output *output);

#endif
