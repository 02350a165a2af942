// SPDX-License-Identifier: GPL-2.0-only
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd.h"
#include "new_file.h"
#include "base/fail.h"
#include "sandbox/saved.h"

static char path[2 * PATH_MAX];
/* FILE.tmp is there. */
static bool there;

void new_file_drop(void)
{
	if (there)
		saved_drop(path);
	there = false;
}

int new_file_open(const char *command, const char *file)
{
	char directory[PATH_MAX];
	struct stat st;
	int fd;

	if (!*file)
		fail(EXIT_CODE_USAGE, "%s: the file needs a name", command);
	if (file[0] == '/') {
		snprintf(path, sizeof(path), "%s", file);
	} else {
		current_directory(directory);
		snprintf(path, sizeof(path), "%s/%s", directory, file);
	}
	if (strlen(path) >= PATH_MAX)
		fail(EXIT_CODE_USAGE, "%s: the name of the file is too long", command);
	/* To find that out at the end would be late. */
	if (!stat(path, &st) && !S_ISREG(st.st_mode))
		fail(EXIT_CODE_USAGE, "%s: %s is there and is not a file", command, path);
	fd = saved_create(path);
	if (fd < 0)
		fail(EXIT_CODE_ERROR, "cannot write %s.tmp: %s", path, strerror(-fd));
	there = true;
	atexit(new_file_drop);
	return fd;
}

const char *new_file_path(void)
{
	return path;
}

int new_file_name(void)
{
	there = false;
	return saved_commit(path);
}
