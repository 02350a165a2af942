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
 * @usage: what follows the name; a line for each way to use it
 * @about: paragraphs, see below
 * @options: its arguments, or NULL; ends with a row without a name
 * @notes: paragraphs after the options, or NULL
 * @examples: a line each, or NULL
 * @status: its exit statuses
 * @run: gets the command's name as argv[0], returns an exit code
 *
 * Help and the man page are made from this, so a text has no line breaks of its own: a newline
 * ends a paragraph, and two spaces begin one that is shown as it is.
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
extern const struct command command_dump, command_gdb, command_metrics;
extern const struct command command_migrate, command_receive, command_migrate_cancel;
extern const struct command command_migrate_recover;

/* All of them, in the order of the man page; NULL ends it. */
extern const struct command *const commands[];

/** find_command() - by name; fail()s with a hint if there is none */
const struct command *find_command(const char *name);

/* ---- help.c, manual.c: what the tables say ---------------------------------------- */

/** help_print() - "gondola help COMMAND" */
void help_print(FILE *out, const struct command *command);
/** manual_print() - the man page, in reStructuredText */
void manual_print(FILE *out);

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
 * @OPTION_HEADING: this row is no option, but the heading of those that follow
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
 * @name: with "--"; without it stands for an argument that is no option
 * @argument: what help calls its value; NULL: it has none
 * @help: paragraphs; NULL for an argument that the command's @about explains
 * @at, @bytes: where to in the command's structure, see OPTION()
 * @member: store in the struct json_object that lies there, under this name
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

/** OPTION() - a row that stores in @field of a @type; further members may follow */
#define OPTION(option, value, words, what, type, field, ...)	\
	{ .name = option, .argument = value, .help = words, .kind = OPTION_##what,	\
	  .at = offsetof(type, field), .bytes = sizeof(((type *)NULL)->field), ##__VA_ARGS__ }
/** OPTION_TAKEN() - a row of a function that checks and stores; without @value it is a flag */
#define OPTION_TAKEN(option, value, words, function)	\
	{ .name = option, .argument = value, .help = words, .take = function,	\
	  .kind = (value) ? OPTION_CALL : OPTION_CALL_FLAG }
/** OPTIONS_OF() - a heading */
#define OPTIONS_OF(words)	{ .name = words, .kind = OPTION_HEADING }

/** parse_options() - stores every option of @command in @to; knows --help */
void parse_options(const struct command *command, int argc, char **argv, void *to);
/** parse_options_by() - likewise, by the table of another command */
void parse_options_by(const struct option_spec *specs, const struct command *command, int argc,
		      char **argv, void *to);
#define OPTION_NAME_MAX	32
/** closest() - the one of @count names that was meant by @word, a slip of the keyboard, or NULL */
const char *closest(const char *word, const char *const *names, size_t count);
/** parse_size() - bytes; with K, M, G or T behind the number, and perhaps iB; "1.5G" too */
uint64_t parse_size(const char *option, const char *value);
/** parse_number() - decimal or 0x…, @min to @max */
uint64_t parse_number(const char *option, const char *value, uint64_t min, uint64_t max);

#endif
