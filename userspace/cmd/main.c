// SPDX-License-Identifier: GPL-2.0-only
/* gondola: the launcher. */
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "lib/libgondola.h"
#include "base/fail.h"

static const struct command *const commands[] = {
	&command_run, &command_probe, &command_help,
	&command_create, &command_start, &command_list, &command_status, &command_pause,
	&command_unpause, &command_suspend, &command_resume, &command_stop, &command_kill,
	&command_delete, &command_console, &command_events, &command_balloon,
	&command_balance,
	&command_migrate, &command_receive, &command_migrate_cancel, &command_migrate_recover,
};

const struct command *find_command(const char *name)
{
	for (unsigned int i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

int main(int argc, char **argv)
{
	const struct command *command;

	if (argc < 2)
		fail(EXIT_CODE_USAGE, "what shall it do? (see gondola help)");
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("gondola %s (ABI version %d)\n", GONDOLA_VERSION, GONDOLA_API_VERSION);
		return EXIT_CODE_OK;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		argv[1] = "help";
	command = find_command(argv[1]);
	if (!command)
		fail(EXIT_CODE_USAGE, "\"%s\" is not a command (see gondola help)", argv[1]);
	return command->run(argc - 1, argv + 1);
}
