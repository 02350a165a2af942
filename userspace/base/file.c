// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"

int file_create_private(const char *path)
{
	int fd;

	if (unlink(path) && errno != ENOENT)
		return -errno;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

/* Bring the name @path, or its absence, to stable storage; 0 or -errno. */
static int sync_directory(const char *path)
{
	char directory[PATH_MAX];
	char *slash;
	int fd, ret = 0;

	snprintf(directory, sizeof(directory), "%s", path);
	slash = strrchr(directory, '/');
	if (!slash)
		strcpy(directory, ".");
	else
		slash[slash == directory] = 0;
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* Some file systems cannot, and need not. */
	if (fsync(fd) && errno != EINVAL)
		ret = -errno;
	close(fd);
	return ret;
}

int file_remove(const char *path)
{
	int ret;

	/* If it does not exist, an earlier call may have removed it without a sync. */
	if (unlink(path) && errno != ENOENT)
		return -errno;
	ret = sync_directory(path);
	return ret && ret != -ENOENT ? 1 : 0;
}

int file_replace(const char *from, const char *path)
{
	if (rename(from, path))
		return -errno;
	return sync_directory(path) ? 1 : 0;
}

int file_link(int fd, const char *path)
{
	char self[32];

	/* By the descriptor alone it takes a privilege. */
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW))
		return -errno;
	return sync_directory(path) ? 1 : 0;
}

int file_make_directory(const char *path, mode_t mode)
{
	if (mkdir(path, mode))
		return errno == EEXIST ? 0 : -errno;
	return sync_directory(path);
}

int file_check_directory(const char *path)
{
	struct stat st;

	/* A link decides where files go, so it must be the user's or the administrator's. */
	if (lstat(path, &st))
		return -errno;
	if (st.st_uid != geteuid() && (!S_ISLNK(st.st_mode) || st.st_uid))
		return -EPERM;
	if (stat(path, &st))
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	if (st.st_uid != geteuid())
		return -EPERM;
	return st.st_mode & 022 ? -EACCES : 0;
}

bool file_write(int fd, const void *data, size_t bytes)
{
	const char *at = data;

	while (bytes) {
		ssize_t done = write(fd, at, bytes);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		at += done;
		bytes -= (size_t)done;
	}
	return true;
}
