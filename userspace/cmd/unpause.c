// SPDX-License-Identifier: GPL-2.0-only
#include "remote.h"

static int run_unpause(int argc, char **argv)
{
	return remote_simple(&command_unpause, argc, argv);
}

const struct command command_unpause = {
	.name = "unpause",
	.summary = "let a paused VM go on",
	.help =
"gondola unpause - let a paused VM go on\n"
"\n"
"USAGE\n"
"  gondola unpause NAME [--json]\n"
"\n"
"EXAMPLES\n"
"  gondola unpause vm1\n"
"\n"
"EXIT STATUS\n"
"  0 it runs, 2 usage, 14 error, 20 it is not paused, or not by \"gondola pause\"\n",
	.run = run_unpause,
};
