/* SPDX-License-Identifier: GPL-2.0-only */
/* Another program that works for the VM, and ends with it; see keeper_connect(). */
#ifndef SANDBOX_PROGRAM_H
#define SANDBOX_PROGRAM_H

#include <stdbool.h>
#include <sys/types.h>

#define PROGRAM_ARGUMENTS	16

/**
 * struct program - a program
 * @argv: its command, @argc words
 * @child: it, or 0
 * @words: the file with what it says, or 0
 */
struct program {
	char *argv[PROGRAM_ARGUMENTS + 1];
	unsigned int argc;
	pid_t child;
	int words;
};

/** program_argument() - add a word to the command; 0 or -errno */
int program_argument(struct program *program, const char *word);
/** program_run() - start it, for @file alone if @confine says so; a connection to it, or -errno */
int program_run(struct program *program, const char *file, bool write, bool confine);
/** program_words() - a descriptor of what it has said, or -errno */
int program_words(const struct program *program);
/** program_end() - ask it to end, and wait for that */
void program_end(struct program *program);

#endif
