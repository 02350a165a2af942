// SPDX-License-Identifier: GPL-2.0-only
/* gondola: the launcher. */
#include <signal.h>
#include <string.h>

#include "cmd.h"
#include "lib/libgondola.h"
#include "base/caller.h"
#include "base/fail.h"
#include "base/standard.h"

int main(int argc, char **argv)
{
	standard_occupy();
	standard_check_at_exit();
	caller_adapt();
	/* A file that may not grow (ulimit -f) is an error of the write, and no end of a VM. */
	signal(SIGXFSZ, SIG_IGN);
	if (argc < 2)
		fail(EXIT_CODE_USAGE, "a command is missing (see gondola help)");
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("gondola %s (ABI version %d)\n", GONDOLA_VERSION, GONDOLA_API_VERSION);
		return EXIT_CODE_OK;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		argv[1] = "help";
	return find_command(argv[1])->run(argc - 1, argv + 1);
}
