// SPDX-License-Identifier: GPL-2.0-only
/* gondola: the launcher. */
#include <string.h>

#include "cmd.h"
#include "lib/libgondola.h"
#include "base/fail.h"

int main(int argc, char **argv)
{
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
