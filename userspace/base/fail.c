// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fail.h"
#include "tell.h"
#include "terminal.h"

#define PATIENCE_MS	1000

static bool hurry;

void say_in_a_hurry(void)
{
	hurry = true;
}

/* Words of a limit that the user can raise do not say so. */
static bool ends_with(const char *line, const char *words)
{
	size_t length = strlen(line), end = strlen(words);

	return length >= end && !strcmp(line + length - end, words);
}

static void print_line(const char *format, va_list args)
{
	struct pollfd ready = { .fd = STDERR_FILENO, .events = POLLOUT };
	char line[1024];

	/* A reader of stderr that does not read must not block a thread that has locks. */
	if (hurry && !poll(&ready, 1, PATIENCE_MS))
		return;
	vsnprintf(line, sizeof(line), format, args);
	if (ends_with(line, strerror(EMFILE)))
		strncat(line, " (this process may have more with a higher hard limit: ulimit -Hn, or LimitNOFILE= of its service)",
			sizeof(line) - strlen(line) - 1);
	/* It may quote a stream or a file, and is printed on a terminal. */
	tell_harmless(line);
	/* In raw mode a newline needs a carriage return. */
	fprintf(stderr, terminal_is_raw() ? "gondola: %s\r\n" : "gondola: %s\n", line);
}

void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_line(format, args);
	va_end(args);
}

void fail(enum exit_code code, const char *format, ...)
{
	va_list args;

	terminal_restore();
	va_start(args, format);
	print_line(format, args);
	va_end(args);
	exit(code);
}
