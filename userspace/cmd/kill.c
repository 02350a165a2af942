// SPDX-License-Identifier: GPL-2.0-only
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "remote.h"
#include "base/fail.h"

#define PATIENCE_MS	3000

static bool gone(const char *name, unsigned int ms)
{
	struct registry_vm vm;

	for (unsigned int waited = 0; waited <= ms; waited += 50) {
		bool active = !registry_find(name, &vm) && VM_IN_ACTIVE & 1u << vm.state;

		registry_put(&vm);
		if (!active)
			return true;
		usleep(50000);
	}
	return false;
}

static int run_kill(int argc, char **argv)
{
	static const struct option_spec specs[] = { REMOTE_OPTIONS, { NULL, NULL, false } };
	struct remote_options options = { NULL };
	struct control_link link;
	struct registry_vm vm;
	bool hard = false;

	remote_find(&command_kill, argc, argv, specs, &options, &vm);
	/* A process that still listens takes its leave: its report, its sockets. */
	if (!control_connect(&link, registry_path(REGISTRY_CONTROL, vm.name), PATIENCE_MS)) {
		json_object_put(control_ask(&link, "kill", NULL, -1, PATIENCE_MS, NULL, NULL));
		control_disconnect(&link);
	}
	if (!gone(vm.name, PATIENCE_MS)) {
		hard = true;
		if (vm.pid <= 1 || kill(vm.pid, SIGKILL))
			fail(EXIT_CODE_ERROR, "the process of %s (%d) cannot be killed", vm.name,
			     (int)vm.pid);
		if (!gone(vm.name, PATIENCE_MS))
			fail(EXIT_CODE_ERROR, "the process of %s (%d) was killed and does not end",
			     vm.name, (int)vm.pid);
	}
	if (options.json)
		printf("{\"name\":\"%s\",\"by_signal\":%s}\n", vm.name, hard ? "true" : "false");
	registry_put(&vm);
	return EXIT_CODE_OK;
}

const struct command command_kill = {
	.name = "kill",
	.summary = "end a VM at once",
	.help =
"gondola kill - end a VM at once, like pulling its plug\n"
"\n"
"USAGE\n"
"  gondola kill NAME [--json]\n"
"\n"
"What the guest has not written to its disks is lost. A process that does not answer\n"
"is killed by a signal after 3 seconds.\n"
"\n"
"EXAMPLES\n"
"  gondola stop vm1 --timeout 30 || gondola kill vm1\n"
"\n"
"EXIT STATUS\n"
"  0 it is gone, 2 usage, 14 error, 20 it has no process\n",
	.run = run_kill,
};
