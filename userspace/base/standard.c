// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fail.h"
#include "standard.h"

void standard_occupy(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		/* It is open in the direction in which nobody uses it. */
		int flags = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;

		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", flags) != fd)
			fail(EXIT_CODE_ERROR, "standard input, output or error is closed, and /dev/null cannot take its place: %s",
			     strerror(errno));
	}
}

static void check(void)
{
	int ret;

	errno = 0;
	ret = fflush(stdout);
	if (!ret && !ferror(stdout))
		return;
	/* Of an earlier write that failed, the reason is not known any more. */
	say("standard output could not be written%s%s", ret ? ": " : "", ret ? strerror(errno) : "");
	_exit(EXIT_CODE_ERROR);
}

void standard_check_at_exit(void)
{
	atexit(check);
}
