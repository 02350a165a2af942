// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "cmd.h"
#include "base/fail.h"

const struct command *const commands[] = {
	&command_run, &command_create, &command_clone, &command_start, &command_list, &command_status,
	&command_metrics, &command_console, &command_events, &command_pause, &command_unpause, &command_stop,
	&command_kill, &command_suspend, &command_resume, &command_delete,
	&command_balloon, &command_balance, &command_set, &command_inspect, &command_dump, &command_gdb, &command_migrate, &command_receive,
	&command_migrate_cancel, &command_migrate_recover, &command_probe, &command_help, NULL
};

const struct command *find_command(const char *name)
{
	const char *names[sizeof(commands) / sizeof(commands[0])], *meant;
	size_t count = 0;

	for (; commands[count]; count++) {
		if (!strcmp(commands[count]->name, name))
			return commands[count];
		names[count] = commands[count]->name;
	}
	meant = closest(name, names, count);
	if (meant)
		fail(EXIT_CODE_USAGE, "\"%s\" is not a command; did you mean \"%s\"?", name, meant);
	fail(EXIT_CODE_USAGE, "\"%s\" is not a command (see gondola help)", name);
}
