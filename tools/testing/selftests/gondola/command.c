// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"

char output[65536];
char directory[64];

bool make_directory(const char *test)
{
	if (mkdir("/tmp", 01777) && errno != EEXIST)
		return false;
	snprintf(directory, sizeof(directory), "/tmp/gondola-%s-XXXXXX", test);
	return mkdtemp(directory);
}

char *path(const char *name)
{
	static char paths[16][128];
	static unsigned int next;
	char *at = paths[next++ % 16];

	snprintf(at, sizeof(paths[0]), "%s/%s", directory, name);
	return at;
}

pid_t start(int *from, char *const *argv)
{
	int ends[2];
	pid_t child;

	require_equal(pipe2(ends, O_CLOEXEC), 0);
	child = fork();
	require(child >= 0);
	if (!child) {
		int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

		dup2(null, 0);
		dup2(ends[1], 1);
		dup2(ends[1], 2);
		execvp("gondola", argv);
		_exit(127);
	}
	close(ends[1]);
	*from = ends[0];
	return child;
}

int finish(pid_t child, int from)
{
	size_t used = 0;
	ssize_t count;
	int status;

	while (used < sizeof(output) - 1 &&
	       (count = read(from, output + used, sizeof(output) - 1 - used)) > 0)
		used += count;
	output[used] = 0;
	close(from);
	require_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		tap_skip("there is no command \"gondola\"");
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int gondola(char *const *argv)
{
	int from;
	pid_t child = start(&from, argv);

	return finish(child, from);
}

void expect_run(const char *file, int line, int status, const char *words, char *const *argv)
{
	int got = gondola(argv);

	tap_check(got == status, false, "%s:%d: status %d, not %d: %s", file, line, got, status,
		  output);
	tap_check(strstr(output, words), false, "%s:%d: no \"%s\" in: %s", file, line, words,
		  output);
}
