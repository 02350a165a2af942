/* SPDX-License-Identifier: GPL-2.0-only */
/* How the launcher ends: its exit codes, and giving up with one line. */
#ifndef VM_FAIL_H
#define VM_FAIL_H

/*
 * Even numbers, so that they differ from those of the debug-exit port, which
 * are (v << 1) | 1.  They are documented in cmd/help.c: change both.
 */
enum exit_code {
	EXIT_CODE_OK = 0,		/* the guest powered itself off */
	EXIT_CODE_USAGE = 2,
	EXIT_CODE_NO_ENGINE = 4,
	EXIT_CODE_IMAGE = 6,
	EXIT_CODE_TRIPLE_FAULT = 8,
	EXIT_CODE_RESET = 10,
	EXIT_CODE_STOPPED = 12,
	EXIT_CODE_ERROR = 14,
	EXIT_CODE_MEMORY = 16,
	EXIT_CODE_AWAY = 18,
	EXIT_CODE_STATE = 20,
	/* How a balloon's goal ended (gondola balloon --wait). */
	EXIT_CODE_FLOOR = 30,
	EXIT_CODE_DEADLINE = 32,
	EXIT_CODE_REFUSED = 34,
	EXIT_CODE_GUEST_MEMORY = 36,
	EXIT_CODE_CANCELLED = 38,
};

/** fail() - print "gondola: ..." on stderr, as one line, and exit; any thread */
void fail(enum exit_code code, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));
/** say_in_a_hurry() - from now on a line that nobody takes within a second is left out */
void say_in_a_hurry(void);
/** say() - the same line without the end */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
