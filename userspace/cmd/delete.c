// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "launch.h"
#include "remote.h"
#include "base/fail.h"

struct delete_options {
	struct remote_options remote;
	bool saved_only;
};

static void forget(const char *path)
{
	if (unlink(path) && errno != ENOENT)
		fail(EXIT_CODE_ERROR, "cannot remove %s: %s", path, strerror(errno));
}

static int run_delete(int argc, char **argv)
{
	static const struct option_spec specs[] = {
		REMOTE_OPTIONS, OPTION("--saved-state", FLAG, struct delete_options, saved_only),
		{ .name = NULL }
	};
	struct delete_options options = { { NULL }, false };
	char temporary[REGISTRY_PATH_MAX + 8];
	struct registry_vm vm;

	remote_find(&command_delete, argc, argv, specs, &options.remote, &vm);
	if (options.saved_only && vm.state != VM_STATE_SUSPENDED)
		fail(EXIT_CODE_STATE, "%s is %s; delete --saved-state needs a suspended VM", vm.name,
		     vm_state_name(vm.state));
	/* So that nobody starts it meanwhile. */
	launch_lock(vm.name);
	snprintf(temporary, sizeof(temporary), "%s.tmp", registry_path(REGISTRY_SAVED, vm.name));
	forget(temporary);
	forget(registry_path(REGISTRY_SAVED, vm.name));
	if (!options.saved_only) {
		forget(registry_path(REGISTRY_CONFIG, vm.name));
		forget(registry_path(REGISTRY_LOG, vm.name));
	}
	if (options.remote.json)
		printf("{\"name\":\"%s\",\"saved_state_only\":%s}\n", vm.name,
		       options.saved_only ? "true" : "false");
	registry_put(&vm);
	return EXIT_CODE_OK;
}

const struct command command_delete = {
	.name = "delete",
	.summary = "forget a VM",
	.help =
"gondola delete - forget a VM: its configuration and its saved state\n"
"\n"
"USAGE\n"
"  gondola delete NAME [--saved-state] [--json]\n"
"\n"
"Its disks are files of yours and stay.\n"
"\n"
"  --saved-state   only the state of a suspended VM: it is inactive then, and starts anew\n"
"\n"
"EXAMPLES\n"
"  gondola delete vm1 --saved-state; gondola start vm1\n"
"\n"
"EXIT STATUS\n"
"  0 done, 2 usage, 14 error, 20 it is neither inactive nor suspended\n",
	.run = run_delete,
};
