// SPDX-License-Identifier: GPL-2.0-only
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/saved.h"
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

/* The file that is being written, until it has its name. */
static char path[2 * PATH_MAX];

static void drop(void)
{
	if (path[0])
		saved_drop(path);
	path[0] = 0;
}

static void on_interrupt(int signal)
{
	static const char words[] = "\ngondola: it is being suspended, wait for it\n";
	ssize_t unused = write(STDERR_FILENO, words, sizeof(words) - 1);

	(void)signal;
	(void)unused;
}

/* The VM's process opens nothing: it gets the file, and in another directory it is. */
static int open_file(const char *file, struct json_object *arguments)
{
	char directory[PATH_MAX];
	int fd;

	if (file[0] == '/')
		snprintf(path, sizeof(path), "%s", file);
	else if (getcwd(directory, sizeof(directory)))
		snprintf(path, sizeof(path), "%s/%s", directory, file);
	else
		fail(EXIT_CODE_ERROR, "cannot ask for the current directory");
	if (strlen(path) >= PATH_MAX)
		fail(EXIT_CODE_USAGE, "suspend: the name of the file is too long");
	json_object_object_add(arguments, "file", json_object_new_string(path));
	fd = saved_create(path);
	if (fd < 0)
		fail(EXIT_CODE_ERROR, "cannot write %s.tmp: %s", path, strerror(-fd));
	atexit(drop);
	/* Only this process gives the file its name. */
	signal(SIGINT, on_interrupt);
	signal(SIGTERM, on_interrupt);
	return fd;
}

static void name_file(void)
{
	int ret = saved_commit(path);

	if (ret > 0)
		say("%s may be lost if the host loses power now", path);
	if (ret < 0)
		say("the VM is in %s.tmp, which cannot become %s: %s", path, path, strerror(-ret));
	path[0] = 0;
	if (ret < 0)
		exit(EXIT_CODE_ERROR);
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
		REMOTE_OPTIONS, { .name = "--file", .take = take_file }, { .name = NULL }
	};
	struct suspend_options options = { { NULL }, NULL };
	struct json_object *arguments = json_object_new_object(), *answer;
	struct registry_vm vm;
	char size[32];
	int fd = -1;

	remote_find(&command_suspend, argc, argv, specs, &options.remote, &vm);
	if (options.file)
		fd = open_file(options.file, arguments);
	answer = remote_ask_with(&vm, "suspend", arguments, fd, -1);
	if (options.file)
		name_file();
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
