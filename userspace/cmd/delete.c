// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "launch.h"
#include "remote.h"
#include "base/fail.h"

struct delete_options {
	struct remote_options remote;
	bool saved_only;
	bool away_only;
};

static const struct option_spec specs[] = {
	REMOTE_OPTIONS,
	OPTION("--saved-state", NULL,
	       "Delete only the state of a suspended VM. The VM is inactive then, and boots anew.",
	       FLAG, struct delete_options, saved_only),
	OPTION("--away", NULL,
	       "Forget only that the VM moved to another host. The VM is inactive then; boot it only "
	       "if it does not run there any more, or both spoil its disks.", FLAG,
	       struct delete_options, away_only),
	{ .name = NULL }
};

static int run_delete(int argc, char **argv)
{
	struct delete_options options = { { NULL }, false, false };
	struct registry_vm vm;
	struct error error;

	remote_find(&command_delete, argc, argv, &options.remote, &vm);
	if (options.saved_only && vm.state != VM_STATE_SUSPENDED)
		fail(EXIT_CODE_STATE, "%s is %s; delete --saved-state needs a suspended VM", vm.name,
		     vm_state_name(vm.state));
	if (options.away_only && vm.state != VM_STATE_AWAY)
		fail(EXIT_CODE_STATE, "%s is %s; delete --away needs one that is away", vm.name,
		     vm_state_name(vm.state));
	/* The lock keeps others from starting it meanwhile. */
	launch_lock(vm.name);
	launch_check_state(&command_delete, vm.name);
	if (!registry_forget(vm.name, options.saved_only ? REGISTRY_PART_SAVED :
			     options.away_only ? REGISTRY_PART_AWAY : REGISTRY_PART_ALL, &error))
		fail(error.status, "%s", error.words);
	cgroup_forget(vm.name);
	if (options.remote.json)
		printf("{\"name\":\"%s\",\"saved_state_only\":%s,\"away_only\":%s}\n", vm.name,
		       options.saved_only ? "true" : "false", options.away_only ? "true" : "false");
	registry_put(&vm);
	return EXIT_CODE_OK;
}

const struct command command_delete = {
	.name = "delete",
	.summary = "delete a VM: its configuration and its saved state",
	.usage = "NAME [--saved-state|--away] [--json]",
	.about =
"Disks are your files, and stay.",
	.options = specs,
	.examples =
"gondola delete vm1 --saved-state; gondola start vm1",
	.status =
"0 done, and on stable storage, 2 wrong usage, 14 error, 20 the VM is neither "
"inactive, suspended nor away",
	.run = run_delete,
};
