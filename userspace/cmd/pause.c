// SPDX-License-Identifier: GPL-2.0-only
#include "remote.h"

static int run_pause(int argc, char **argv)
{
	/* No timeout: a device or a busy host may delay a vCPU for any time. */
	return remote_simple_within(&command_pause, argc, argv, -1);
}

const struct command command_pause = {
	.name = "pause",
	.summary = "stop a VM for a while",
	.usage = "NAME [--json]",
	.about =
"The guest's processors stop, and so do its clocks: the guest does not notice. Its memory "
"stays where it is. \"gondola unpause\" continues it.",
	.options = remote_specs,
	.examples =
"gondola pause vm1; cp vm1.img backup.img; gondola unpause vm1",
	.status =
"0 the VM is paused, 2 wrong usage, 14 error, 20 it does not run",
	.run = run_pause,
};
