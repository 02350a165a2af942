/* SPDX-License-Identifier: GPL-2.0-only */
/* Giving up with one line. */
#ifndef VM_FAIL_H
#define VM_FAIL_H

#include "error.h"

/** fail() - print "gondola: ..." on stderr, as one line, and exit; any thread */
void fail(enum exit_code code, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));
/** say_in_a_hurry() - from now on a line that nobody takes within a second is left out */
void say_in_a_hurry(void);
/** say() - the same line without the end */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
