/* SPDX-License-Identifier: GPL-2.0-only */
/* Subcommands of gondola: one file each, listed in main.c. */
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include <stdbool.h>
#include <stddef.h>
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
 * enum option_kind - what an option's value is, and what is stored for it
 * @OPTION_CALL: its row's @take sees to it; the default
 * @OPTION_CALL_FLAG: likewise, and there is no value
 * @OPTION_FLAG: none; a bool
 * @OPTION_SWITCH: on or off; a bool
 * @OPTION_TEXT: anything; a const char *
 * @OPTION_NUMBER: from the row's @min to its @max; an unsigned number
 * @OPTION_SIZE: parse_size(); a uint64_t
 */
enum option_kind {
	OPTION_CALL,
	OPTION_CALL_FLAG,
	OPTION_FLAG,
	OPTION_SWITCH,
	OPTION_TEXT,
	OPTION_NUMBER,
	OPTION_SIZE,
};

/**
 * struct option_spec - "--NAME VALUE" or "--NAME=VALUE"; a row without a name ends the table
 * @name: with "--"; without it stands for an argument that is no option
 * @at, @bytes: where to in the command's structure, see OPTION()
 * @member: store in the struct json_object that lies there, under this name
 */
struct option_spec {
	const char *name;
	enum option_kind kind;
	void (*take)(void *to, const char *name, const char *value);
	size_t at;
	size_t bytes;
	uint64_t min;
	uint64_t max;
	const char *member;
};

/** OPTION() - a row that stores in @field of a @type; further members may follow */
#define OPTION(option, what, type, field, ...)	\
	{ .name = option, .kind = OPTION_##what, .at = offsetof(type, field),	\
	  .bytes = sizeof(((type *)NULL)->field), ##__VA_ARGS__ }

/** parse_options() - stores every option in @to; knows --help of @command */
void parse_options(const struct command *command, int argc, char **argv,
		   const struct option_spec *specs, void *to);
/** parse_size() - bytes; with K, M or G behind the number */
uint64_t parse_size(const char *option, const char *value);
/** parse_number() - decimal or 0x…, @min to @max */
uint64_t parse_number(const char *option, const char *value, uint64_t min, uint64_t max);

#endif
