// SPDX-License-Identifier: GPL-2.0-only
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "remote.h"
#include "base/fail.h"
#include "base/tell.h"

struct suspend_options {
	struct remote_options remote;
	const char *file;
};

static void take_file(void *to, const char *option, const char *value)
{
	struct suspend_options *options = to;

	(void)option;
	if (!*value)
		fail(EXIT_CODE_USAGE, "suspend: --file needs a name");
	options->file = value;
}

/* The VM's process is in another directory. */
static struct json_object *arguments_of(const struct suspend_options *options)
{
	struct json_object *arguments = json_object_new_object();
	char directory[PATH_MAX], path[2 * PATH_MAX];

	if (!options->file)
		return arguments;
	if (options->file[0] == '/')
		snprintf(path, sizeof(path), "%s", options->file);
	else if (getcwd(directory, sizeof(directory)))
		snprintf(path, sizeof(path), "%s/%s", directory, options->file);
	else
		fail(EXIT_CODE_ERROR, "cannot ask for the current directory");
	json_object_object_add(arguments, "file", json_object_new_string(path));
	return arguments;
}

static void wait_for_end(const struct registry_vm *vm)
{
	/* It has given its answer; it is gone when its lock is. */
	for (int i = 0; i < 500 && registry_is_active(vm->name); i++)
		usleep(20000);
}

static int run_suspend(int argc, char **argv)
{
	static const struct option_spec specs[] = {
		REMOTE_OPTIONS, { "--file", take_file, false }, { NULL, NULL, false }
	};
	struct suspend_options options = { { NULL }, NULL };
	struct json_object *answer;
	struct registry_vm vm;
	char size[32];

	remote_find(&command_suspend, argc, argv, specs, &options.remote, &vm);
	answer = remote_ask(&vm, "suspend", arguments_of(&options), -1);
	wait_for_end(&vm);
	if (options.remote.json)
		remote_print(answer);
	else
		tell("%s is suspended: %s, %lld pages, %lld more are zero (%.1f s)\n", vm.name,
		       remote_size(member_number(answer, "bytes", 0), size, sizeof(size)),
		       (long long)member_number(answer, "pages", 0),
		       (long long)member_number(answer, "zero_pages", 0),
		       (double)member_number(answer, "ns", 0) / 1e9);
	json_object_put(answer);
	registry_put(&vm);
	return EXIT_CODE_OK;
}

const struct command command_suspend = {
	.name = "suspend",
	.summary = "save a VM's state in a file, and end its process",
	.help =
"gondola suspend - save a VM's state in a file, and end its process\n"
"\n"
"USAGE\n"
"  gondola suspend NAME [--file FILE] [--json]\n"
"\n"
"The guest stands still while its memory and devices are written, compressed, pages\n"
"that are all zero left out. The file appears under its name when it is whole and on\n"
"stable storage; until then an older one stays, and the VM goes on if anything fails.\n"
"Its process then ends with status 18.\n"
"\n"
"  --file FILE   write there. The VM is inactive then: \"gondola resume NAME --file FILE\"\n"
"                finds it. By default it is kept with the configurations\n"
"  --json        print what was written as JSON\n"
"\n"
"EXAMPLES\n"
"  gondola suspend vm1; reboot          (later:) gondola resume vm1 --detach\n"
"\n"
"EXIT STATUS\n"
"  0 done, 2 usage, 14 error (the VM goes on), 20 it neither runs nor is paused\n",
	.run = run_suspend,
};
