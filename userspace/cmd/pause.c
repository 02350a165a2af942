// SPDX-License-Identifier: GPL-2.0-only
#include "remote.h"

static int run_pause(int argc, char **argv)
{
	return remote_simple(&command_pause, argc, argv);
}

const struct command command_pause = {
	.name = "pause",
	.summary = "let a VM stand still",
	.help =
"gondola pause - let a VM stand still\n"
"\n"
"USAGE\n"
"  gondola pause NAME [--json]\n"
"\n"
"Its processors stop, and so do its clocks: the guest does not notice. Memory stays\n"
"where it is. \"gondola unpause\" lets it go on.\n"
"\n"
"EXAMPLES\n"
"  gondola pause vm1; cp vm1.img backup.img; gondola unpause vm1\n"
"\n"
"EXIT STATUS\n"
"  0 it stands, 2 usage, 14 error, 20 it does not run\n",
	.run = run_pause,
};
