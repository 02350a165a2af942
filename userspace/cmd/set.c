// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "base/fail.h"
#include "remote.h"
#include "share.h"

struct set_options {
	struct remote_options remote;
	struct cgroup_limits limits;
};

static void take(void *to, const char *option, const char *value)
{
	share_take(&((struct set_options *)to)->limits, option, value);
}

static const struct option_spec specs[] = {
	REMOTE_OPTIONS,
	SHARE_OPTIONS(take),
	{ .name = NULL }
};

static int run_set(int argc, char **argv)
{
	struct set_options options = { .remote.name = NULL };
	struct registry_vm vm;
	struct error error;

	remote_find(&command_set, argc, argv, &options.remote, &vm);
	if (!cgroup_wanted(&options.limits))
		fail(EXIT_CODE_USAGE, "set: nothing to change is named (see gondola help set)");
	if (!cgroup_check(&options.limits, member_count(vm.status, "memory"), &error) ||
	    !cgroup_set(vm.name, vm.pid, &options.limits, &error))
		fail(error.status, "%s", error.words);
	if (options.remote.json)
		printf("{\"name\":\"%s\"}\n", vm.name);
	registry_put(&vm);
	return EXIT_CODE_OK;
}

const struct command command_set = {
	.name = "set",
	.summary = "change a running VM's share of its host",
	.usage = "NAME OPTION...",
	.about =
"Changes the share of a running VM at once, until it ends; its configuration stays as it is. "
"The VM must have been started with one of these options, so that it has a control group of its own.",
	.options = specs,
	.examples =
"gondola set vm1 --cpu-weight 400\n"
"gondola set vm1 --cpu-cap 25\n"
"gondola set vm1 --cpu-cap max --cpus-pinned all",
	.status =
"0 done, 2 wrong usage, 14 error, 20 the VM does not run, or has no control group of its own",
	.run = run_set,
};
