// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "launch.h"
#include "remote.h"
#include "base/fail.h"

static int run_create(int argc, char **argv)
{
	static struct run_options options;
	struct registry_vm vm;
	struct error error;
	const char *name = argc > 1 ? argv[1] : "--help";
	int ret;

	if (argc < 2)
		fail(EXIT_CODE_USAGE, "create: which name? (see gondola help create)");
	if (name[0] != '-') {
		argc--;
		argv++;
	}
	/* The options are checked now, so that start does not fail for a word. */
	launch_parse(&options, &command_create, argc, argv);
	if (!registry_name_is_good(name))
		fail(EXIT_CODE_USAGE, "create: \"%s\" is not a name of 1 to 31 letters, digits, \".\", \"_\" and \"-\"",
		     name);
	if (!options.boot.kernel)
		fail(EXIT_CODE_USAGE, "create: --kernel FILE is missing (see gondola help run)");
	if (options.name)
		fail(EXIT_CODE_USAGE, "create: its name comes first: --name is for run");
	remote_registry();
	ret = registry_find(name, &vm) ?
		registry_save_config(name, launch_config(name, &options, argc - 1, argv + 1),
				     true, &error) : -EEXIST;
	if (ret == -EEXIST)
		fail(EXIT_CODE_STATE, "%s exists already (see gondola status %s)", name, name);
	if (ret)
		fail(error.status, "%s", error.words);
	return EXIT_CODE_OK;
}

const struct command command_create = {
	.name = "create",
	.summary = "note how a VM is made, under a name",
	.help =
"gondola create - note how a VM is made, under a name\n"
"\n"
"USAGE\n"
"  gondola create NAME --kernel FILE [OPTION of run]...\n"
"\n"
"The options are those of \"gondola run\", which its help explains; they are checked\n"
"and written to a configuration, JSON. Relative paths hold from this directory.\n"
"Nothing is started: the VM is inactive.\n"
"\n"
"EXAMPLES\n"
"  gondola create vm1 --kernel vmlinuz --initrd initrd.img --mem 1G --disk vm1.img\n"
"  gondola start vm1 --detach\n"
"\n"
"EXIT STATUS\n"
"  0 done, 2 usage, 14 error, 20 there is one of that name\n",
	.run = run_create,
};
