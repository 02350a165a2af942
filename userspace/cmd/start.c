// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "launch.h"
#include "remote.h"
#include "vm/fail.h"

struct start_options {
	struct remote_options remote;
	bool detach;
};

static void take_detach(void *to, const char *option, const char *value)
{
	struct start_options *options = to;

	(void)option;
	(void)value;
	options->detach = true;
}

static int run_start(int argc, char **argv)
{
	static const struct option_spec specs[] = {
		REMOTE_OPTIONS, { "--detach", take_detach, true }, { NULL, NULL, false }
	};
	static struct run_options run;
	struct start_options options = { { NULL }, false };
	struct launch launch = { .options = &run };
	struct registry_vm vm;

	remote_find(&command_start, argc, argv, specs, &options.remote, &vm);
	launch.detached = options.detach;
	if (options.detach)
		launch_detach(vm.name);
	launch_lock(vm.name);
	/* Read once it is ours: another start may have come and gone, or a delete. */
	launch.config = registry_load_config(vm.name);
	if (!launch.config)
		fail(EXIT_CODE_ERROR, "%s", registry_error());
	launch_from_config(&run, &command_start, launch.config);
	return launch_run(&launch);
}

const struct command command_start = {
	.name = "start",
	.summary = "boot a VM that was created",
	.help =
"gondola start - boot a VM that was created\n"
"\n"
"USAGE\n"
"  gondola start NAME [--detach]\n"
"\n"
"Without --detach it is as \"gondola run\": the console is where the VM's options say,\n"
"this terminal by default, and the command ends with the VM.\n"
"\n"
"  --detach   come back as soon as the guest runs, with 0, or as soon as it cannot, with\n"
"             the status of the error. A console on stdio becomes a socket that \"gondola\n"
"             console NAME\" connects to; what nobody listens to is lost.\n"
"\n"
"EXAMPLES\n"
"  gondola start vm1 --detach && gondola console vm1\n"
"\n"
"EXIT STATUS\n"
"  as run; 20: it is not inactive\n",
	.run = run_start,
};
