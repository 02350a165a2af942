// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

static const char *const names[] = {
	[SANDBOX_ON] = "on", [SANDBOX_OFF] = "off", [SANDBOX_STRICT] = "strict",
};

static bool filtered;

int sandbox_mode_by_name(const char *name)
{
	for (int mode = 0; mode < (int)(sizeof(names) / sizeof(names[0])); mode++)
		if (!strcmp(names[mode], name))
			return mode;
	return -1;
}

const char *sandbox_mode_name(enum sandbox_mode mode)
{
	return names[mode];
}

static void lacks(char words[SANDBOX_WORDS], const char *what, int ret)
{
	size_t used = strlen(words);

	snprintf(words + used, SANDBOX_WORDS - used, "%s%s (%s)", used ? ", " : "", what,
		 strerror(-ret));
}

bool sandbox_enter(enum sandbox_mode mode, const struct sandbox_needs *needs,
		   void (*last_words)(void), char words[SANDBOX_WORDS])
{
	int ret;

	words[0] = 0;
	if (mode == SANDBOX_OFF)
		return true;
	/* The first use of the date reads the time zone's file. */
	tzset();
	/* For another arena malloc() reads files about processors and overcommitment. */
	mallopt(M_ARENA_MAX, 1);
	ret = filters_make(needs);
	filtered = !ret;
	if (ret)
		lacks(words, "seccomp", ret);
	ret = drop_privileges();
	if (ret)
		lacks(words, "dropping privileges", ret);
	ret = leave_files(needs->net);
	if (ret)
		lacks(words, "Landlock", ret);
	/* Do this last: from now on the other parts' calls are refused. */
	if (filtered)
		ret = filters_watch(last_words);
	if (filtered && !ret)
		ret = filters_enter(SANDBOX_LOOP);
	if (filtered && ret) {
		lacks(words, "seccomp", ret);
		filtered = false;
	}
	return !words[0] || mode != SANDBOX_STRICT;
}

void sandbox_thread(enum sandbox_kind kind)
{
	static const char words[] = "gondola: a thread cannot confine itself\n";

	if (!filtered || !filters_enter(kind))
		return;
	if (write(STDERR_FILENO, words, sizeof(words) - 1) < 0)
		_exit(EXIT_FAILURE);
	_exit(EXIT_FAILURE);
}
