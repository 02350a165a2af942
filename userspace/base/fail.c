// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "fail.h"
#include "tell.h"
#include "terminal.h"

static void print_line(const char *format, va_list args)
{
	char line[1024];

	vsnprintf(line, sizeof(line), format, args);
	/* It may quote a stream or a file, and goes to somebody's terminal. */
	tell_harmless(line);
	/* In raw mode a newline alone does not return the carriage. */
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
