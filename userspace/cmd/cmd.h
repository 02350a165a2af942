/* SPDX-License-Identifier: GPL-2.0-only */
/* Subcommands of gondola: one file each, listed in commands.c. */
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define GONDOLA_VERSION	"0.1"

/**
 * struct command - a subcommand
 * @usage: the arguments; a line for each way to use it
 * @about: paragraphs, see below
 * @options: its arguments, or NULL; ends with a row without a name
 * @notes: paragraphs after the options, or NULL
 * @examples: a line each, or NULL
 * @status: its exit statuses
 * @run: gets the command's name as argv[0], returns an exit code
 *
 * Help and the man page are made from this, so texts have no line breaks: a newline ends a
 * paragraph, and two spaces at the start of one keep its layout.
 */
struct command {
	const char *name;
	const char *summary;
	const char *usage;
	const char *about;
	const struct option_spec *options;
	const char *notes;
	const char *examples;
	const char *status;
	int (*run)(int argc, char **argv);
};

extern const struct command command_run, command_probe, command_help;
extern const struct command command_create, command_clone, command_start, command_list, command_status;
extern const struct command command_pause, command_unpause, command_suspend, command_resume;
extern const struct command command_stop, command_kill, command_delete, command_console;
extern const struct command command_events, command_balloon, command_balance, command_inspect;
extern const struct command command_dump, command_gdb, command_metrics, command_set;
extern const struct command command_migrate, command_receive, command_migrate_cancel;
extern const struct command command_migrate_recover;

/* All commands, in the order of the man page, with NULL at the end. */
extern const struct command *const commands[];

/** find_command() - find a command by name; fail()s with a hint if there is none */
const struct command *find_command(const char *name);

/* ---- help.c, manual.c: what the tables say ---------------------------------------- */

/** help_print() - print "gondola help COMMAND" */
void help_print(FILE *out, const struct command *command);
/** manual_print() - print the man page, in reStructuredText */
void manual_print(FILE *out);

/* ---- options.c: arguments, checked; each fail()s with one line -------------------- */

/**
 * enum option_kind - the kind of an option's value, and the type stored
 * @OPTION_CALL: handled by the row's @take; the default
 * @OPTION_CALL_FLAG: likewise, without a value
 * @OPTION_FLAG: no value; a bool
 * @OPTION_SWITCH: on or off; a bool
 * @OPTION_TEXT: anything; a const char *
 * @OPTION_NUMBER: from the row's @min to its @max; an unsigned number
 * @OPTION_SIZE: parse_size(); a uint64_t
 * @OPTION_HEADING: not an option, but a heading for the following rows
 */
enum option_kind {
	OPTION_CALL,
	OPTION_CALL_FLAG,
	OPTION_FLAG,
	OPTION_SWITCH,
	OPTION_TEXT,
	OPTION_NUMBER,
	OPTION_SIZE,
	OPTION_HEADING,
};

/**
 * struct option_spec - "--NAME VALUE" or "--NAME=VALUE"; a row without a name ends the table
 * @name: with "--"; without it the row is for an argument that is no option
 * @argument: the value's name in help; NULL: no value
 * @help: paragraphs; NULL for an argument that the command's @about explains
 * @at, @bytes: the field in the command's structure, see OPTION()
 * @member: store it in the struct json_object in that field, under this name
 */
struct option_spec {
	const char *name;
	const char *argument;
	const char *help;
	enum option_kind kind;
	void (*take)(void *to, const char *name, const char *value);
	size_t at;
	size_t bytes;
	uint64_t min;
	uint64_t max;
	const char *member;
};

/** OPTION() - a row that stores to @field of a @type; further members may follow */
#define OPTION(option, value, words, what, type, field, ...)	\
	{ .name = option, .argument = value, .help = words, .kind = OPTION_##what,	\
	  .at = offsetof(type, field), .bytes = sizeof(((type *)NULL)->field), ##__VA_ARGS__ }
/** OPTION_TAKEN() - a row with a function that checks and stores; without @value it is a flag */
#define OPTION_TAKEN(option, value, words, function)	\
	{ .name = option, .argument = value, .help = words, .take = function,	\
	  .kind = (value) ? OPTION_CALL : OPTION_CALL_FLAG }
/** OPTIONS_OF() - a heading */
#define OPTIONS_OF(words)	{ .name = words, .kind = OPTION_HEADING }

/** parse_options() - store every option of @command to @to; handles --help */
void parse_options(const struct command *command, int argc, char **argv, void *to);
/** parse_options_by() - likewise, by the table of another command */
void parse_options_by(const struct option_spec *specs, const struct command *command, int argc,
		      char **argv, void *to);
/** parse_size() - parse a size in bytes, or with K, M, G, T and perhaps iB; also "1.5G" */
uint64_t parse_size(const char *option, const char *value);
/** parse_number() - parse a number from @min to @max, decimal or 0x… */
uint64_t parse_number(const char *option, const char *value, uint64_t min, uint64_t max);
/** current_directory() - in @directory, of PATH_MAX bytes; it is UTF-8, as all words are */
void current_directory(char *directory);

#endif
