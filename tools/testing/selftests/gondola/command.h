/* SPDX-License-Identifier: GPL-2.0-only */
/* Tests of the command itself: run it, and look at its status and its words. */
#ifndef COMMAND_H
#define COMMAND_H

#include <stdbool.h>
#include <sys/types.h>
#include "tap.h"

/** directory - of the test's files, once make_directory() has made it */
extern char directory[64];
/** make_directory() - in /tmp, with @test in its name; false: errno says why not */
bool make_directory(const char *test);
/** path() - of a file in it; good for the next 15 calls */
char *path(const char *name);

/** output - of the last gondola() or finish(): stdout and stderr together */
extern char output[65536];

/** start() - the command, in the background; *@from is where its output comes from */
pid_t start(int *from, char *const *argv);
/** finish() - its exit status, or less than 0: the signal that ended it */
int finish(pid_t child, int from);
int gondola(char *const *argv);

#define ARGUMENTS(...)	((char *[]){ "gondola", __VA_ARGS__, NULL })

#define EXPECT_RUN(status, words, ...)							\
	expect_run(__FILE__, __LINE__, status, words, ARGUMENTS(__VA_ARGS__))
/** expect_run() - its exit status, and words among its output */
void expect_run(const char *file, int line, int status, const char *words, char *const *argv);

#endif
