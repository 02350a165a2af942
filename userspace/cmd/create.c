// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "launch.h"
#include "remote.h"
#include "there.h"
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
	/* Check the options now, so that start does not fail for one. */
	launch_parse(&options, &command_create, argc, argv);
	launch_check_files(&options);
	if (!registry_name_is_good(name))
		fail(EXIT_CODE_USAGE, "create: \"%s\" is not a name of 1 to 31 letters, digits, \".\", \"_\" and \"-\"",
		     name);
	if (!options.boot.kernel)
		fail(EXIT_CODE_USAGE, "create: --kernel FILE is missing (see gondola help run)");
	if (options.name)
		fail(EXIT_CODE_USAGE, "create: its name comes first: --name is for run");
	there_check_boot(&options.boot);
	for (unsigned int i = 0; i < options.nr_virtio; i++)
		there_check_device(&options.virtio[i]);
	if (strcmp(options.console, "stdio") && strcmp(options.console, "pty"))
		there_check_place("--console", options.console);
	if (options.control)
		there_check_socket("--control", options.control);
	if (options.gdb && !strncmp(options.gdb, "unix:", 5))
		there_check_place("--gdb", options.gdb);
	if (options.json)
		there_check_place("--json", options.json);
	if (options.panic_dump)
		there_check_place("--panic-dump", options.panic_dump);
	if (!cgroup_check(&options.limits, options.memory, &error))
		fail(error.status, "%s", error.words);
	remote_registry();
	ret = registry_find(name, &vm) ? 0 : -EEXIST;
	/* Remove the mark of an interrupted delete, which does not concern the new VM. */
	if (!ret && !registry_forget(name, REGISTRY_PART_AWAY, &error))
		ret = -EIO;
	if (!ret)
		ret = registry_save_config(name, launch_config(name, &options, argc - 1, argv + 1), true,
					   &error);
	if (ret == -EEXIST)
		fail(EXIT_CODE_STATE, "%s exists already (see gondola status %s)", name, name);
	if (ret)
		fail(error.status, "%s", error.words);
	return EXIT_CODE_OK;
}

const struct command command_create = {
	.name = "create",
	.summary = "make a VM that has a name",
	.usage = "NAME --kernel FILE [OPTION of run]...",
	.about =
"The command checks the options, the kernel, the disks, the taps and where sockets and "
"other files are to be (the program of --vhost-user may start later), and writes them to a "
"configuration in JSON. It starts nothing: the new VM is inactive. A relative path counts "
"from the current directory, also when the VM is started from elsewhere. The options are "
"those of \"gondola run\", except --name.",
	.options = run_specs,
	.examples =
"gondola create vm1 --kernel vmlinuz --initrd initrd.img --mem 1G --disk vm1.img\n"
"gondola start vm1 --detach",
	.status =
"0 done, 2 wrong usage, 6 a file is missing, 14 error, 20 a VM of that name exists",
	.run = run_create,
};
