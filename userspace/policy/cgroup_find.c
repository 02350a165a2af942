// SPDX-License-Identifier: GPL-2.0-only
#include <limits.h>
#include <string.h>

#include "cgroup_find.h"

#define LINE_MAX_BYTES	(2 * PATH_MAX)
#define PLACE_MAX	(PATH_MAX / 4)

/* The path below the root of the hierarchy; NULL: none, or one outside of this namespace. */
static const char *read_group(FILE *groups, char *line, size_t room)
{
	while (groups && fgets(line, (int)room, groups)) {
		char *end = strchr(line, '\n');

		if (strncmp(line, "0::/", 4) || !end)
			continue;
		*end = 0;
		return strncmp(line + 3, "/..", 3) ? line + 3 : NULL;
	}
	return NULL;
}

/* Spaces, tabs, newlines and backslashes are three octal digits behind a backslash. */
static void unescape(char *text)
{
	char *to = text;

	for (; *text; text++) {
		unsigned int byte;

		if (*text == '\\' && sscanf(text + 1, "%3o", &byte) == 1 && strlen(text) > 3) {
			*to++ = (char)byte;
			text += 3;
		} else {
			*to++ = *text;
		}
	}
	*to = 0;
}

/* The part of @path below @root: "/x", "", or NULL if @path is elsewhere. */
static const char *below(const char *path, const char *root)
{
	size_t length = strcmp(root, "/") ? strlen(root) : 0;

	if (strncmp(path, root, length) || (path[length] && path[length] != '/'))
		return NULL;
	return strcmp(path + length, "/") ? path + length : "";
}

bool cgroup_find(FILE *groups, FILE *mounts, char *directory, size_t room, struct error *error)
{
	char line[LINE_MAX_BYTES], own[PLACE_MAX], root[PLACE_MAX], at[PLACE_MAX];
	const char *path = read_group(groups, own, sizeof(own));
	bool mounted = false;

	while (mounts && fgets(line, sizeof(line), mounts)) {
		const char *rest;

		if (!strstr(line, " - cgroup2 ") ||
		    sscanf(line, "%*s %*s %*s %1023s %1023s", root, at) != 2)
			continue;
		mounted = true;
		unescape(root);
		unescape(at);
		rest = path ? below(path, root) : NULL;
		if (!rest)
			continue;
		if (snprintf(directory, room, "%s%s", strcmp(at, "/") ? at : "", rest) < (int)room)
			return true;
	}
	if (!mounted)
		return error_set(error, EXIT_CODE_ERROR,
				 "this host has no control groups of version 2 (mount -t cgroup2 none /sys/fs/cgroup)");
	return error_set(error, EXIT_CODE_ERROR, "the control group of this process is not seen from here");
}
