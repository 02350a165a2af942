/* SPDX-License-Identifier: GPL-2.0-only */
/* Errors that end a command with a line. */
#ifndef VM_FAIL_H
#define VM_FAIL_H

#include "error.h"

/**
 * fail() - print "gondola: ..." on stderr, as one line, and exit; any thread
 *
 * For commands.  Other rooms return a struct error; only loop.c and device_alloc() call this, if
 * they lack memory or descriptors, without which no VM can run.
 */
void fail(enum exit_code code, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));
/** say_in_a_hurry() - from now on drop a line that nobody reads within a second */
void say_in_a_hurry(void);
/** say() - print such a line and continue */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
