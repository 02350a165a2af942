// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <string.h>

#include "cmd.h"
#include "base/error.h"

#define WIDTH		80
#define HELP_COLUMN	22	/* column of the words on an option */

/* Print words up to @end in lines of WIDTH, each from column @indent on; the first starts at @column. */
static void put_words(FILE *out, const char *text, const char *end, int indent, int column)
{
	bool first = true;

	while (text < end) {
		int length = (int)strcspn(text, "\n ");

		if (!first && column + 1 + length >= WIDTH) {
			fputc('\n', out);
			column = 0;
			first = true;
		}
		if (first)
			column += fprintf(out, "%*s", column < indent ? indent - column : 0, "");
		else
			column += fprintf(out, " ");
		column += fprintf(out, "%.*s", length, text);
		first = false;
		text += length;
		text += *text == ' ';
	}
	fputc('\n', out);
}

/* Print paragraphs, the first from @column on; @gap: with an empty line between them. */
static void put_text(FILE *out, const char *text, int indent, int column, bool gap)
{
	bool literal = true;

	while (*text) {
		const char *end = strchrnul(text, '\n');
		bool follows = literal;

		literal = !strncmp(text, "  ", 2);
		if (gap && !(follows && literal) && column < 0)
			fputc('\n', out);
		if (literal)
			fprintf(out, "%.*s\n", (int)(end - text), text);
		else
			put_words(out, text, end, indent, column < 0 ? 0 : column);
		text = end + !!*end;
		column = -1;
	}
}

static void put_heading(FILE *out, const char *words)
{
	fputc('\n', out);
	for (; *words; words++)
		fputc(toupper((unsigned char)*words), out);
	fputc('\n', out);
}

/* Print lines, each with @prefix. */
static void put_lines(FILE *out, const char *prefix, const char *lines)
{
	while (*lines) {
		const char *end = strchrnul(lines, '\n');

		fprintf(out, "%s%.*s\n", prefix, (int)(end - lines), lines);
		lines = end + !!*end;
	}
}

static void put_option(FILE *out, const struct option_spec *option)
{
	int column = fprintf(out, "  %s%s%s", option->name, option->argument ? " " : "",
			     option->argument ?: "");

	if (column + 2 > HELP_COLUMN) {
		fputc('\n', out);
		column = 0;
	}
	put_text(out, option->help, HELP_COLUMN, column, false);
}

static void put_options(FILE *out, const struct option_spec *option)
{
	bool begun = false;

	for (; option->name; option++) {
		if (option->kind == OPTION_HEADING || (!begun && option->help))
			put_heading(out, option->kind == OPTION_HEADING ? option->name : "options");
		begun |= option->kind == OPTION_HEADING || option->help;
		if (option->help)
			put_option(out, option);
	}
}

static void put_overview(FILE *out)
{
	put_heading(out, "commands");
	for (const struct command *const *command = commands; *command; command++)
		fprintf(out, "  %-17s %s\n", (*command)->name, (*command)->summary);
}

static void put_statuses(FILE *out)
{
#define PUT_STATUS(name, number, words)	\
	put_text(out, words, 6, fprintf(out, "  %2d", number), false);
	EXIT_CODES(PUT_STATUS)
}

void help_print(FILE *out, const struct command *command)
{
	char prefix[64];

	snprintf(prefix, sizeof(prefix), "  gondola %s%s", command->name,
		 *command->usage ? " " : "");
	fprintf(out, "gondola %s - %s\n", command->name, command->summary);
	put_heading(out, "usage");
	put_lines(out, prefix, *command->usage ? command->usage : "\n");
	if (command == &command_help)
		put_overview(out);
	fputc('\n', out);
	put_text(out, command->about, 0, 0, true);
	if (command->options)
		put_options(out, command->options);
	if (command->notes) {
		fputc('\n', out);
		put_text(out, command->notes, 0, 0, true);
	}
	if (command->examples) {
		put_heading(out, "examples");
		put_lines(out, "  ", command->examples);
	}
	put_heading(out, "exit status");
	put_text(out, command->status, 2, 0, false);
	if (command == &command_help)
		put_statuses(out);
}

static int run_help(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--man"))
		manual_print(stdout);
	else
		help_print(stdout, argc > 1 ? find_command(argv[1]) : &command_help);
	return EXIT_CODE_OK;
}

const struct command command_help = {
	.name = "help",
	.summary = "explain gondola, or one command",
	.usage = "[COMMAND]\n--man",
	.about =
"The kernel module gondola.ko executes guests by an engine: vmx (Intel VT-x), svm (AMD-V), ring3 "
"(only a guest's programs run on the processor) or interp (software). It maps guest memory by "
"shadow page tables, so it needs no nested paging. "
"This program gives a guest its memory, devices and kernel.\n"
"\"gondola COMMAND --help\" prints the same as \"gondola help COMMAND\". With --man this command "
"prints the man page as reStructuredText. \"gondola --version\" prints the version.\n"
"An option's value may follow after a space or after \"=\".",
	.examples =
"insmod gondola.ko; gondola probe\n"
"      The first thing to do on a machine.\n"
"gondola run --kernel /boot/vmlinuz --append \"console=ttyS0 panic=-1\"\n"
"      Boot a stock kernel as far as it comes without a disk; Ctrl-A x ends it.\n"
"gondola create vm1 --kernel vmlinuz --disk vm1.img; gondola start vm1 --detach\n"
"      Run a VM that has a name; \"gondola suspend vm1\" saves it.\n"
"gondola run --kernel vmlinuz --initrd initrd.img --mem 1G --append console=ttyS0\n"
"      Boot a kernel to its userspace.",
	.status =
"Even numbers are the launcher's own. Odd ones come from a guest that wrote v to the debug-exit "
"port: (v << 1) | 1, of which the shell sees the low 8 bits.",
	.run = run_help,
};
