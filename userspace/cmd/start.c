// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "incoming.h"
#include "launch.h"
#include "policy/room.h"
#include "remote.h"
#include "base/fail.h"

struct start_options {
	struct remote_options remote;
	bool detach;
	bool dry_run;
	bool resume;
};

/* Get memory for the VM from the host, else from other VMs' balloons. */
static void make_room(const struct registry_vm *vm, const struct start_options *options)
{
	uint64_t memory = member_count(vm->config, "memory");
	struct error error;

	if (!memory)
		return;
	if (!room_make(vm->name, memory, !options->dry_run ? ROOM_DO :
		       options->remote.json ? ROOM_SAY_JSON : ROOM_SAY, &error))
		fail(error.status, "%s", error.words);
	if (options->dry_run)
		exit(EXIT_CODE_OK);
}

static const struct option_spec specs[] = {
	REMOTE_OPTIONS,
	OPTION("--detach", NULL,
	       "Return as soon as the guest runs, with 0, or as soon as it cannot run, with the "
	       "status of the error. A console on stdio becomes a socket for \"gondola console "
	       "NAME\"; without a connection, output is lost.", FLAG, struct start_options, detach),
	OPTION("--dry-run", NULL,
	       "Print where the memory would come from, and do nothing: 0 if there is enough, "
	       "else 16.", FLAG, struct start_options, dry_run),
	OPTION("--resume", NULL, "Let a VM that is suspended go on, as \"gondola resume\" does.", FLAG,
	       struct start_options, resume),
	{ .name = NULL }
};

static int run_start(int argc, char **argv)
{
	static struct run_options run;
	struct start_options options = { .remote.name = NULL };
	struct launch launch = { .options = &run };
	struct registry_vm vm;
	struct error error;
	bool suspended;

	remote_parse(&command_start, argc, argv, &options.remote, &vm);
	/* A service does not know how its VM was left. */
	suspended = options.resume && vm.state == VM_STATE_SUSPENDED;
	if (!suspended)
		remote_check(command_start.name, &vm);
	if (options.dry_run)
		make_room(&vm, &options);
	if (suspended)
		return incoming_resume(vm.name, options.detach);
	launch.detached = options.detach;
	if (options.detach)
		launch_detach(vm.name);
	launch_lock(vm.name);
	launch_check_state(&command_start, vm.name);
	make_room(&vm, &options);
	/* Read it with the lock held: another start or delete may have run meanwhile. */
	launch.config = registry_load_config(vm.name, &error);
	if (!launch.config)
		fail(error.status, "%s", error.words);
	launch_from_config(&run, &command_start, launch.config);
	return launch_run(&launch);
}

const struct command command_start = {
	.name = "start",
	.summary = "boot a VM that was created",
	.usage = "NAME [--detach] [--resume] [--dry-run [--json]]",
	.about =
"Without --detach this is like \"gondola run\": the console is where the VM's options say, "
"by default on this terminal, and the command ends with the VM.\n"
"If the host lacks memory for the VM, the balloons of running VMs (--balloon) give it, each "
"in proportion to what its guest can spare, and never below its guest's floor "
"(--balloon-floor). If that is not enough either, nothing is taken, the VM is not started, "
"and the message says how many MiB are missing. The host keeps a twentieth of its memory, "
"at least 64M, and the memory that was promised to running VMs.",
	.options = specs,
	.examples =
"gondola start vm1 --detach && gondola console vm1",
	.status =
"as run; 16: there is not enough memory; 20: the VM is not inactive, or has moved away",
	.run = run_start,
};
