// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

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
