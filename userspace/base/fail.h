/* SPDX-License-Identifier: GPL-2.0-only */
/* Giving up with one line. */
#ifndef VM_FAIL_H
#define VM_FAIL_H

#include "error.h"

/**
 * fail() - print "gondola: ..." on stderr, as one line, and exit; any thread
 *
 * For commands.  Other rooms return a struct error; loop.c and device_alloc() alone call this,
 * for want of memory or descriptors, without which no VM can be served.
 */
void fail(enum exit_code code, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));
/** say_in_a_hurry() - from now on a line that nobody takes within a second is left out */
void say_in_a_hurry(void);
/** say() - the same line without the end */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
