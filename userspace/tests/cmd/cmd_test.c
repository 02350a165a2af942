// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of help and man page against the tables of options, and of the hints for slips; and of
 * what needs all of the launcher.
 */
#include <stdlib.h>

#include "cmd/cmd.h"
#include "cmd/incoming.h"
#include "base/closest.h"
#include "base/error.h"
#include "metrics_test.h"
#include "precopy_test.h"
#include "tap.h"

#define MAX_OPTIONS	64

static char *printed(const struct command *command)
{
	static char *text;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	if (command)
		help_print(out, command);
	else
		manual_print(out);
	fclose(out);
	return text;
}

static bool is_row(const struct option_spec *option)
{
	return option->kind != OPTION_HEADING && option->name[0] == '-';
}

/* @text has this whole line, or one that goes on after @line with a space. */
static bool has_line(const char *text, const char *line)
{
	size_t length = strlen(line);

	for (const char *at = text; (at = strstr(at, line)); at++)
		if ((at == text || at[-1] == '\n') && (at[length] == '\n' || at[length] == ' '))
			return true;
	return false;
}

static void options_have_help(void)
{
	char line[256];

	for (const struct command *const *command = commands; *command; command++) {
		const struct option_spec *option = (*command)->options;
		char *text = printed(*command);

		for (; option && option->name; option++) {
			if (!is_row(option))
				continue;
			if (!option->help) {
				tap_check(false, false, "%s %s: no help", (*command)->name,
					  option->name);
				continue;
			}
			snprintf(line, sizeof(line), "  %s%s%s", option->name,
				 option->argument ? " " : "", option->argument ?: "");
			tap_check(has_line(text, line), false, "help of %s lacks \"%s\"",
				  (*command)->name, line);
		}
		free(text);
	}
}

static void options_take_what_help_says(void)
{
	for (const struct command *const *command = commands; *command; command++)
		for (const struct option_spec *option = (*command)->options; option && option->name;
		     option++) {
			bool flag = option->kind == OPTION_FLAG || option->kind == OPTION_CALL_FLAG;

			if (is_row(option))
				tap_check(flag == !option->argument, false, "%s %s: %s",
					  (*command)->name, option->name,
					  option->argument ?: "a value without a name");
		}
}

static void help_fits_a_terminal(void)
{
	for (const struct command *const *command = commands; *command; command++) {
		char *text = printed(*command), *line = strtok(text, "\n");

		expect(strstr((*command)->summary, "\n") == NULL);
		for (; line; line = strtok(NULL, "\n"))
			/* Examples are shown as they are. */
			tap_check(strlen(line) <= 84, false, "help of %s: \"%s\"",
				  (*command)->name, line);
		free(text);
	}
}

/* The options of a command stand between its title and the next one. */
static void manual_has_all(void)
{
	char *text = printed(NULL), line[256];

	for (const struct command *const *command = commands; *command; command++) {
		const struct option_spec *option = (*command)->options;
		char *from;

		if (*command == &command_help ||
		    (option == command_run.options && *command != &command_run))
			continue;
		snprintf(line, sizeof(line), "\ngondola %s\n---", (*command)->name);
		from = strstr(text, line);
		tap_check(from, true, "the man page has no section on %s", (*command)->name);
		for (; option && option->name; option++) {
			char *at, *end = strstr(from + 1, "\ngondola ") ?: text + strlen(text);

			snprintf(line, sizeof(line), "\n**%s**", option->name);
			at = strstr(from, line);
			if (is_row(option))
				tap_check(at && at < end, false, "the man page lacks %s of %s",
					  option->name, (*command)->name);
		}
	}
#define EXPECT_STATUS(name, number, words) \
	expect(strstr(text, "\n" #number "\n   ") != NULL);
	EXIT_CODES(EXPECT_STATUS)
	free(text);
}

static const char *meant(const struct command *command, const char *word)
{
	const char *names[MAX_OPTIONS];
	size_t count = 0;

	for (const struct option_spec *option = command->options; option->name; option++)
		if (is_row(option))
			names[count++] = option->name;
	return closest(word, names, count) ?: "";
}

static void hints(void)
{
	expect(!strcmp(meant(&command_run, "--kernal"), "--kernel"));
	expect(!strcmp(meant(&command_run, "--disc=a.img"), "--disk"));
	expect(!strcmp(meant(&command_run, "-mem"), "--mem"));
	expect(!strcmp(meant(&command_run, "--ballon"), "--balloon"));
	expect(!strcmp(meant(&command_migrate, "--max-round"), "--max-rounds"));
	expect(!strcmp(meant(&command_run, "--frob"), ""));
	expect(!strcmp(meant(&command_run, "-k"), ""));
	expect(!strcmp(meant(&command_run, "--"), ""));
	expect(!strcmp(meant(&command_run, "a word that is longer than all names that there are"), ""));
}

/* closest() keeps a row of so many letters. */
static void names_are_short(void)
{
	for (const struct command *const *command = commands; *command; command++) {
		unsigned int count = 0;

		for (const struct option_spec *option = (*command)->options; option && option->name;
		     option++, count++)
			expect(!is_row(option) || strlen(option->name) <= CLOSEST_MAX);
		expect(count <= MAX_OPTIONS);
		expect(strlen((*command)->name) <= CLOSEST_MAX);
	}
}

/* What another host's configuration names is none of this host's files and sockets. */
static void senders_name_nothing(void)
{
	static struct run_options run;
	struct json_object *theirs = json_tokener_parse("{\"name\": \"vm\", \"arguments\": [\"--kernel\", \"k\","
		"\"--console\", \"/x/1\", \"--json\", \"/x/2\", \"--control\", \"/x/3\","
		"\"--panic-dump\", \"/x/4\", \"--gdb\", \"unix:/x/5\"]}");
	struct error error;

	require(theirs);
	require(incoming_make(&run, &command_receive, theirs, NULL, false, "vm", NULL, &error));
	expect(!strcmp(run.console, "stdio"));
	expect(!run.json);
	expect(!run.control);
	expect(!run.panic_dump);
	expect(!run.gdb);
	json_object_put(theirs);
}

static const struct tap_test tests[] = {
	{ "every option is in its command's help", options_have_help },
	{ "an option takes a value where help names one", options_take_what_help_says },
	{ "help fits a terminal", help_fits_a_terminal },
	{ "the man page has every command, option and exit status", manual_has_all },
	{ "a slip gets a hint", hints },
	{ "names fit the tables of the parser", names_are_short },
	{ "the sender of a VM names no file or socket here", senders_name_nothing },
	{ "metrics in both formats", metrics_formats },
	{ "labels of metrics are escaped, harmless and short", metrics_labels },
	{ "a file of metrics is replaced at once, or stays", metrics_saved_at_once },
	{ "a log that misses what a device wrote ends a migration", precopy_log_misses },
	{ "progress in the first round tells its rate, and nothing unknown", precopy_first_progress },
};

int main(void)
{
	return tap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
