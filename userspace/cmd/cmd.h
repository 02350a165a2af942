/* SPDX-License-Identifier: GPL-2.0-only */
/* Subcommands of gondola: one file each, listed in main.c. */
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include <stdbool.h>
#include <stdint.h>

#define GONDOLA_VERSION	"0.1"

/** struct command - a subcommand; @run gets its own name as argv[0] and returns an exit code */
struct command {
	const char *name;
	const char *summary;
	const char *help;
	int (*run)(int argc, char **argv);
};

extern const struct command command_run, command_probe, command_help;
extern const struct command command_create, command_start, command_list, command_status;
extern const struct command command_pause, command_unpause, command_suspend, command_resume;
extern const struct command command_stop, command_kill, command_delete, command_console;
extern const struct command command_events, command_balloon, command_balance;
extern const struct command command_migrate, command_receive, command_migrate_cancel;
extern const struct command command_migrate_recover;

/** find_command() - by name, or NULL */
const struct command *find_command(const char *name);

/* ---- options.c: arguments, checked; each fail()s with one line -------------------- */

/**
 * struct option_spec - "--NAME VALUE" or "--NAME=VALUE"
 * @name: with "--"; without it stands for an argument that is no option
 * @flag: it is "--NAME" alone; @take gets NULL
 */
struct option_spec {
	const char *name;
	void (*take)(void *to, const char *name, const char *value);
	bool flag;
};

/** parse_options() - hands every option to its @take; knows --help of @command */
void parse_options(const struct command *command, int argc, char **argv,
		   const struct option_spec *specs, void *to);
/** parse_size() - bytes; with K, M or G behind the number */
uint64_t parse_size(const char *option, const char *value);
/** parse_number() - decimal or 0x…, @min to @max */
uint64_t parse_number(const char *option, const char *value, uint64_t min, uint64_t max);

#endif
