// SPDX-License-Identifier: GPL-2.0-only
#include "remote.h"

/* It is answered when the VM is here again: the other end may take its time. */
#define PATIENCE_MS	90000

static int run_cancel(int argc, char **argv)
{
	return remote_simple_within(&command_migrate_cancel, argc, argv, PATIENCE_MS);
}

const struct command command_migrate_cancel = {
	.name = "migrate-cancel",
	.summary = "let a VM that is being moved stay",
	.help =
"gondola migrate-cancel - let a VM that is being moved stay where it is\n"
"\n"
"USAGE\n"
"  gondola migrate-cancel NAME [--json]\n"
"\n"
"The VM runs on here, and \"gondola receive\" at the other end gives up. Once the VM is\n"
"changing hands it is too late. Comes back when it is known which of the two it was.\n"
"\n"
"EXIT STATUS\n"
"  0 done, 14 too late, 20 it is not being moved\n",
	.run = run_cancel,
};
