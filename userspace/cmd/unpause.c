// SPDX-License-Identifier: GPL-2.0-only
#include "remote.h"

static int run_unpause(int argc, char **argv)
{
	return remote_simple(&command_unpause, argc, argv);
}

const struct command command_unpause = {
	.name = "unpause",
	.summary = "continue a paused VM",
	.usage = "NAME [--json]",
	.about =
"This ends what \"gondola pause\" began.",
	.options = remote_specs,
	.examples =
"gondola unpause vm1",
	.status =
"0 the VM runs, 2 wrong usage, 14 error, 20 it is not paused, or not by \"gondola pause\"",
	.run = run_unpause,
};
