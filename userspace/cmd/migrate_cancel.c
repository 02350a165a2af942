// SPDX-License-Identifier: GPL-2.0-only
#include "remote.h"

/* The answer comes when the VM is here again; the other end may take long. */
#define PATIENCE_MS	90000

static int run_cancel(int argc, char **argv)
{
	return remote_simple_within(&command_migrate_cancel, argc, argv, PATIENCE_MS);
}

const struct command command_migrate_cancel = {
	.name = "migrate-cancel",
	.summary = "cancel the migration of a VM",
	.usage = "NAME [--json]",
	.about =
"The VM runs on here, and \"gondola receive\" at the other end gives up. Once the VM is "
"changing hands it is too late. The command returns when it is known which of the two "
"happened.",
	.options = remote_specs,
	.status =
"0 the VM stays, 14 too late, 20 the VM is not being migrated",
	.run = run_cancel,
};
