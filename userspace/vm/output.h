/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A console's output, for a reader that may be slow or stop reading.  A thread of its own writes
 * it, so no lock and no other thread waits for the reader.  Without room the guest waits.
 */
#ifndef VM_OUTPUT_H
#define VM_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#define OUTPUT_ROOM	65536u
#define OUTPUT_BURST	16u	/* the most that a guest writes after it found room */

/**
 * enum output_kind - the kind of output
 * @OUTPUT_FILE: a terminal, a pipe or a file, which stays open; writes may wait
 * @OUTPUT_SOCKET: a peer that may leave; then unread output is lost
 * @OUTPUT_PTY: likewise a pseudo-terminal, which programs open; does not block
 */
enum output_kind {
	OUTPUT_FILE,
	OUTPUT_SOCKET,
	OUTPUT_PTY,
};

struct output;

/**
 * output_create() - create an output, or NULL; @drained: called without locks when there is room
 * again after output_room() returned false
 */
struct output *output_create(void (*drained)(void *argument), void *argument);
/** output_to() - write to @fd from now on, or drop output (-1); waiting output is lost; any thread */
void output_to(struct output *output, int fd, enum output_kind kind);
/** output_start() - start the thread that writes; 0 or an error number */
int output_start(struct output *output);
/** output_put() - write a character; does not wait: without room @c is lost */
void output_put(struct output *output, char c);
/** output_room() - is there room for OUTPUT_BURST characters?  If not, @drained will be called */
bool output_room(struct output *output);
/** output_finish() - give the reader a moment to take the rest; returns the number of lost bytes */
size_t output_finish(struct output *output);

#endif
