// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "fail.h"
#include "output_file.h"

int output_file_open(const char *path, int flags)
{
	struct stat st;
	int fd;

	flags |= O_WRONLY | O_CREAT | O_NOCTTY | O_CLOEXEC;
	fd = open(path, flags | O_NONBLOCK, 0666);
	if (fd < 0 && errno == ENXIO && !stat(path, &st) && S_ISFIFO(st.st_mode)) {
		say("%s is a pipe: waiting for a program that reads it", path);
		fd = open(path, flags & ~O_NONBLOCK, 0666);
	}
	if (fd < 0)
		return -errno;
	fcntl(fd, F_SETFL, flags);
	return fd;
}
