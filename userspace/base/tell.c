// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tell.h"

/* How many bytes the UTF-8 character at @c has; 0: it is none (RFC 3629, section 4). */
static size_t utf8_bytes(const unsigned char *c)
{
	size_t bytes = *c < 0x80 ? 1 : *c >= 0xc2 && *c < 0xe0 ? 2 : *c >= 0xe0 && *c < 0xf0 ? 3 :
		       *c >= 0xf0 && *c < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < bytes; i++)
		if ((c[i] & 0xc0) != 0x80)
			return 0;
	/* Longer than it need be, a half of a pair of UTF-16, or beyond the last character. */
	if ((*c == 0xe0 && c[1] < 0xa0) || (*c == 0xed && c[1] >= 0xa0) ||
	    (*c == 0xf0 && c[1] < 0x90) || (*c == 0xf4 && c[1] >= 0x90))
		return 0;
	return bytes;
}

/* Likewise; 0 also for one that controls a terminal. */
static size_t harmless_bytes(const unsigned char *c)
{
	if (*c < ' ' || *c == 0x7f || (*c == 0xc2 && c[1] < 0xa0))
		return 0;
	return utf8_bytes(c);
}

bool tell_is_utf8(const char *text)
{
	size_t bytes;

	for (; *text; text += bytes) {
		bytes = utf8_bytes((const unsigned char *)text);
		if (!bytes)
			return false;
	}
	return true;
}

char *tell_harmless(char *text)
{
	for (char *c = text; *c;) {
		size_t bytes = harmless_bytes((unsigned char *)c);

		if (!bytes)
			*c = '?';
		c += bytes ? bytes : 1;
	}
	return text;
}

static void print(FILE *out, const char *format, va_list args)
{
	char *text;
	int length = vasprintf(&text, format, args);
	bool newline;

	if (length < 0)
		return;
	newline = length && text[length - 1] == '\n';
	if (newline)
		text[length - 1] = 0;
	fprintf(out, newline ? "%s\n" : "%s", tell_harmless(text));
	free(text);
}

void tell_to(FILE *out, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print(out, format, args);
	va_end(args);
}

void tell(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print(stdout, format, args);
	va_end(args);
}
