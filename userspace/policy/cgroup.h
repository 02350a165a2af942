/* SPDX-License-Identifier: GPL-2.0-only */
/* A VM's share of its host's processors and memory: a control group (version 2) of its own. */
#ifndef POLICY_CGROUP_H
#define POLICY_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"

#define CGROUP_NO_CAP		UINT32_MAX
#define CGROUP_NO_LIMIT		UINT64_MAX

/**
 * struct cgroup_limits - a member that is 0 or NULL changes nothing
 * @weight: its share of a busy processor, 1 to 10000; the kernel's default is 100
 * @cap: at most so many percent of one processor, or CGROUP_NO_CAP
 * @memory: at most so many bytes for its process, or CGROUP_NO_LIMIT
 * @cpus: the host's processors that it runs on: "0-3,8"; "": all
 */
struct cgroup_limits {
	unsigned int weight;
	unsigned int cap;
	uint64_t memory;
	const char *cpus;
};

/** cgroup_wanted() - does any member change something? */
bool cgroup_wanted(const struct cgroup_limits *limits);
/** cgroup_check() - can this host give them?  @memory: the guest's; false with @error */
bool cgroup_check(const struct cgroup_limits *limits, uint64_t memory, struct error *error);
/**
 * cgroup_enter() - move the process to "gondola-NAME", a new child of its control group
 * @also: another process to move, or 0
 *
 * Call it before there are threads or guest memory.  False with @error: nothing has changed.
 * The process, or a child that outlives it, calls cgroup_remove() at the end.
 */
bool cgroup_enter(const char *name, const struct cgroup_limits *limits, pid_t also,
		  struct error *error);
/** cgroup_remove() - leave the group once it has no other process, and remove it; or nothing to do */
void cgroup_remove(void);
/** cgroup_forget() - remove what a VM that was killed with all its processes left beside this process */
void cgroup_forget(const char *name);
/** cgroup_set() - change the limits of a VM that runs; false with @error */
bool cgroup_set(const char *name, pid_t pid, const struct cgroup_limits *limits,
		struct error *error);
/**
 * cgroup_get() - read the limits of a VM that runs; false: it has no group of its own
 * @cpus: gets what the limits' @cpus refers to
 *
 * A member is 0 or NULL where the group has no such controller.
 */
bool cgroup_get(const char *name, pid_t pid, struct cgroup_limits *limits, char *cpus, size_t room);

#endif
