// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "base/member.h"
#include "share.h"

void share_take(struct cgroup_limits *limits, const char *option, const char *value)
{
	bool max = !strcmp(value, "max");

	if (!strcmp(option, "--cpu-weight"))
		limits->weight = parse_number(option, value, 1, 10000);
	else if (!strcmp(option, "--cpu-cap"))
		limits->cap = max ? CGROUP_NO_CAP : parse_number(option, value, 1, 1000000);
	else if (!strcmp(option, "--memory-limit"))
		limits->memory = max ? CGROUP_NO_LIMIT : parse_size(option, value);
	else
		limits->cpus = strcmp(value, "all") ? value : "";
}

static void add(struct json_object *share, const char *member, uint64_t value, uint64_t max)
{
	if (value)
		json_object_object_add(share, member, value == max ? json_object_new_string("max") :
				       json_object_new_uint64(value));
}

struct json_object *share_show(const char *name, pid_t pid)
{
	struct cgroup_limits limits;
	struct json_object *share;
	char cpus[1024];

	if (!cgroup_get(name, pid, &limits, cpus, sizeof(cpus)))
		return NULL;
	share = json_object_new_object();
	add(share, "cpu_weight", limits.weight, 0);
	add(share, "cpu_cap", limits.cap, CGROUP_NO_CAP);
	if (limits.cpus)
		json_object_object_add(share, "cpus_pinned",
				       json_object_new_string(*cpus ? cpus : "all"));
	add(share, "memory_limit", limits.memory, CGROUP_NO_LIMIT);
	return share;
}
