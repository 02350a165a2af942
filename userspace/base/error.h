/* SPDX-License-Identifier: GPL-2.0-only */
/* Why something failed: words for the user, and the exit status that they come with. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

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

/**
 * struct error - what a function that failed leaves to its caller
 * @status: with which a command ends for it
 * @words: one line; of a VM, a stream or a file there may be anything in it (base/tell.h)
 */
struct error {
	enum exit_code status;
	char words[1024];
};

/**
 * error_set() - false, so that a function can return it
 * @error: its words may be among the arguments; NULL: nobody asks
 */
bool error_set(struct error *error, enum exit_code status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
bool error_vset(struct error *error, enum exit_code status, const char *format, va_list args);

#endif
