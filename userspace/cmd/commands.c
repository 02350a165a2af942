// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "cmd.h"
#include "base/closest.h"
#include "base/fail.h"

const struct command *const commands[] = {
	&command_run, &command_create, &command_clone, &command_start, &command_list, &command_status,
	&command_metrics, &command_console, &command_events, &command_pause, &command_unpause, &command_stop,
	&command_kill, &command_suspend, &command_resume, &command_delete,
	&command_balloon, &command_balance, &command_set, &command_inspect, &command_dump, &command_gdb, &command_migrate, &command_receive,
	&command_migrate_cancel, &command_migrate_recover, &command_probe, &command_help, NULL
};

/* Other programs' names for our commands. */
static const char *other_name(const char *name)
{
	static const struct {
		const char *theirs;
		const char *ours;
	} others[] = {
		{ "ls", "list" }, { "ps", "list" }, { "info", "status" }, { "show", "status" },
		{ "rm", "delete" }, { "remove", "delete" }, { "undefine", "delete" },
		{ "define", "create" }, { "new", "create" }, { "boot", "start" }, { "launch", "run" },
		{ "shutdown", "stop" }, { "poweroff", "stop" }, { "halt", "stop" },
		{ "destroy", "kill" }, { "terminate", "kill" },
		{ "save", "suspend" }, { "restore", "resume" }, { "freeze", "pause" }, { "thaw", "unpause" },
		{ "attach", "console" }, { "copy", "clone" }, { "cp", "clone" }, { "stats", "metrics" },
		{ "incoming", "receive" }, { "debug", "gdb" }, { "version", "--version" },
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (!strcmp(others[i].theirs, name))
			return others[i].ours;
	return NULL;
}

const struct command *find_command(const char *name)
{
	const char *names[sizeof(commands) / sizeof(commands[0])], *meant;
	size_t count = 0;

	for (; commands[count]; count++) {
		if (!strcmp(commands[count]->name, name))
			return commands[count];
		names[count] = commands[count]->name;
	}
	meant = other_name(name) ?: closest(name, names, count);
	if (meant)
		fail(EXIT_CODE_USAGE, "\"%s\" is not a command; did you mean \"%s\"?", name, meant);
	fail(EXIT_CODE_USAGE, "\"%s\" is not a command (see gondola help)", name);
}
