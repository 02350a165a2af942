// SPDX-License-Identifier: GPL-2.0-only
/* The man page, in reStructuredText: rst2man and Sphinx read it. */
#include <string.h>

#include "cmd.h"
#include "base/error.h"

/* Escape characters with a meaning in reStructuredText. */
static void put(FILE *out, const char *text, const char *end)
{
	for (; text < end; text++) {
		if (strchr("*`|_\\", *text))
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void put_whole(FILE *out, const char *text)
{
	put(out, text, text + strlen(text));
}

static void put_title(FILE *out, const char *prefix, const char *words, char line)
{
	fprintf(out, "\n%s%s\n", prefix, words);
	for (size_t i = 0; i < strlen(prefix) + strlen(words); i++)
		fputc(line, out);
	fputs("\n\n", out);
}

/* Print paragraphs; one that begins with two spaces becomes a literal block. */
static void put_text(FILE *out, const char *text, const char *indent)
{
	bool literal = false;

	while (*text) {
		const char *end = strchrnul(text, '\n');

		if (!strncmp(text, "  ", 2)) {
			fprintf(out, "%s%s%.*s\n", literal ? "" : "\n::\n\n", indent,
				(int)(end - text), text);
			literal = true;
		} else {
			fputs(literal ? "\n" : "", out);
			fputs(indent, out);
			put(out, text, end);
			fputs("\n\n", out);
			literal = false;
		}
		text = end + !!*end;
	}
	if (literal)
		fputc('\n', out);
}

/* "| **gondola run** --kernel FILE", a line for each way to use it. */
static void put_usage(FILE *out, const struct command *command)
{
	const char *usage = command->usage;

	do {
		const char *end = strchrnul(usage, '\n');

		fprintf(out, "| **gondola %s** ", command->name);
		put(out, usage, end);
		fputc('\n', out);
		usage = end + !!*end;
	} while (*usage);
}

static void put_option(FILE *out, const struct option_spec *option)
{
	if (option->kind == OPTION_HEADING) {
		fprintf(out, "%s:\n\n", option->name);
		return;
	}
	if (!option->help)
		return;
	fprintf(out, "**%s**", option->name);
	if (option->argument) {
		fputc(' ', out);
		put_whole(out, option->argument);
	}
	fputc('\n', out);
	put_text(out, option->help, "   ");
}

static void put_lines(FILE *out, const char *lines)
{
	while (*lines) {
		const char *end = strchrnul(lines, '\n');

		fprintf(out, "   %.*s\n", (int)(end - lines), lines);
		lines = end + !!*end;
	}
	fputc('\n', out);
}

static void put_command(FILE *out, const struct command *command)
{
	put_title(out, "gondola ", command->name, '-');
	put_usage(out, command);
	fputc('\n', out);
	put_text(out, command->about, "");
	/* "create" has the options of "run". */
	if (command == &command_run || command->options != command_run.options)
		for (const struct option_spec *option = command->options; option && option->name;
		     option++)
			put_option(out, option);
	if (command->notes)
		put_text(out, command->notes, "");
	if (command->examples) {
		fputs("\nExamples::\n\n", out);
		put_lines(out, command->examples);
	}
	fputs("Exit status: ", out);
	put_text(out, command->status, "");
}

static void put_statuses(FILE *out)
{
#define PUT_STATUS(name, number, words)	\
	fprintf(out, "%d\n", number);	\
	put_text(out, words, "   ");
	EXIT_CODES(PUT_STATUS)
}

void manual_print(FILE *out)
{
	fputs("=======\ngondola\n=======\n\n"
	      "------------------------------------------\n"
	      "run virtual machines by shadow page tables\n"
	      "------------------------------------------\n\n"
	      ":Manual section: 1\n", out);
	put_title(out, "", "Synopsis", '-');
	for (const struct command *const *command = commands; *command; command++)
		put_usage(out, *command);
	fputs("| **gondola** --version\n", out);
	put_title(out, "", "Description", '-');
	put_text(out, command_help.about, "");
	for (const struct command *const *command = commands; *command; command++)
		if (*command != &command_help)
			put_command(out, *command);
	put_title(out, "", "Exit status", '-');
	put_text(out, command_help.status, "");
	put_statuses(out);
	put_title(out, "", "Files", '-');
	fputs("/var/lib/gondola, /run/gondola\n"
	      "   Configurations and saved states; locks, sockets and logs.  $GONDOLA_HOME names\n"
	      "   another directory for all of them.  Those of users other than root are below\n"
	      "   $XDG_STATE_HOME and $XDG_RUNTIME_DIR.\n\n"
	      "/dev/gondola\n"
	      "   The module's device.  It belongs to root; \"setfacl -m u:USER:rw /dev/gondola\" lets a\n"
	      "   user run guests.\n\n"
	      "/sys/kernel/debug/gondola\n"
	      "   How many VMs, vCPUs and shadow pages there are.\n\n"
	      "/sys/kernel/tracing/events/gondola\n"
	      "   Tracepoints.\n", out);
	put_title(out, "", "Examples", '-');
	fputs("::\n\n", out);
	put_lines(out, command_help.examples);
}
