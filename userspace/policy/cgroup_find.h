/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a process's control group of version 2 is in the file system. */
#ifndef POLICY_CGROUP_FIND_H
#define POLICY_CGROUP_FIND_H

#include <stdbool.h>
#include <stdio.h>
#include "base/error.h"

/**
 * cgroup_find() - find the directory; false with @error: it is not seen from here
 * @groups: /proc/PID/cgroup, or NULL: there is none
 * @mounts: /proc/self/mountinfo, or NULL
 * @room: of @directory; it gets no slash at its end
 *
 * A mount may show a part of the hierarchy only, as in a container.
 */
bool cgroup_find(FILE *groups, FILE *mounts, char *directory, size_t room, struct error *error);

#endif
