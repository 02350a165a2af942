// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "saved.h"

#define TEMPORARY_MAX	(PATH_MAX + 8)

static const char *temporary(const char *path, char room[TEMPORARY_MAX])
{
	snprintf(room, TEMPORARY_MAX, "%s.tmp", path);
	return room;
}

int saved_create(const char *path)
{
	char room[TEMPORARY_MAX];

	return file_create_private(temporary(path, room));
}

int saved_commit(const char *path)
{
	char room[TEMPORARY_MAX];

	return file_replace(temporary(path, room), path);
}

int saved_drop(const char *path)
{
	char room[TEMPORARY_MAX];

	return unlink(temporary(path, room)) ? -errno : 0;
}

int saved_remove(const char *path)
{
	return file_remove(path);
}
