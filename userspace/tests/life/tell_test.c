// SPDX-License-Identifier: GPL-2.0-only
/* Tests of the text that reaches a terminal. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/tell.h"
#include "life_test.h"
#include "tap.h"

/* Text that some program chose, and how it is shown. */
static const struct {
	const char *text;
	const char *seen;
} hostile[] = {
	{ "plain", "plain" },
	{ "\033]0;title\007", "?]0;title?" },
	{ "a\r\nb\tc", "a??b?c" },
	{ "\x7f", "?" },
	{ "\302\233m", "??m" },			/* CSI in two bytes */
	{ "\302\240\303\244\342\202\254\360\237\220\247", "\302\240\303\244\342\202\254\360\237\220\247" },
	{ "\233m", "?m" },
	{ "\303", "?" },
	{ "\342\202", "??" },
	{ "\300\233", "??" },
	/* Not the shortest form, a surrogate, and beyond U+10FFFF: readers of UTF-8 refuse them. */
	{ "\340\200\233", "???" },
	{ "\355\240\200", "???" },
	{ "\360\200\200\233", "????" },
	{ "\364\220\200\200", "????" },
	{ "\340\240\200\355\237\277\360\220\200\200\364\217\277\277",
	  "\340\240\200\355\237\277\360\220\200\200\364\217\277\277" },
};

void utf8_is_known(void)
{
	expect(tell_is_utf8(""));
	expect(tell_is_utf8("a\n\033\302\233\303\244\342\202\254\360\237\220\247"));
	expect(!tell_is_utf8("caf\351"));
	expect(!tell_is_utf8("\342\202"));
	expect(!tell_is_utf8("a\355\240\200"));
}

void told_text_is_harmless(void)
{
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		char *told = NULL, *copy = strdup(hostile[i].text);
		size_t bytes;
		FILE *out = open_memstream(&told, &bytes);

		require(copy && out);
		tell_to(out, "<%s>\n", hostile[i].text);
		fclose(out);
		require(bytes >= 3 && told[0] == '<' && !strcmp(told + bytes - 2, ">\n"));
		told[bytes - 2] = 0;
		tap_check(!strcmp(told + 1, hostile[i].seen), false, "text %zu is not as it should be", i);
		expect(!strcmp(tell_harmless(copy), hostile[i].seen));
		free(told);
		free(copy);
	}
}

/* Errors are made harmless, too, since they quote streams. */
void said_text_is_harmless(void)
{
	char said[64] = "";
	int file = memfd_create("said", MFD_CLOEXEC), before = dup(STDERR_FILENO);

	require(file >= 0 && before >= 0);
	require(dup2(file, STDERR_FILENO) >= 0);
	say("%s", "a\033[2J\302\233x");
	require(dup2(before, STDERR_FILENO) >= 0);
	require(pread(file, said, sizeof(said) - 1, 0) > 0);
	expect(!strcmp(said, "gondola: a?[2J??x\n"));
	close(before);
	close(file);
}
