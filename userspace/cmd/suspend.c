// SPDX-License-Identifier: GPL-2.0-only
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "new_file.h"
#include "remote.h"
#include "base/fail.h"
#include "base/signals.h"
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

static void on_interrupt(int signal)
{
	static const char words[] = "\ngondola: it is being suspended, wait for it\n";
	ssize_t unused = write(STDERR_FILENO, words, sizeof(words) - 1);

	(void)signal;
	(void)unused;
}

static int open_file(const char *file, struct json_object *arguments)
{
	int fd = new_file_open("suspend", file);

	json_object_object_add(arguments, "file", json_object_new_string(new_file_path()));
	/* Only this process gives the file its final name. */
	signals_handle(SIGINT, on_interrupt);
	signals_handle(SIGTERM, on_interrupt);
	return fd;
}

/* True if the name is on stable storage. */
static bool name_file(void)
{
	const char *path = new_file_path();
	int ret = new_file_name();

	if (ret < 0)
		fail(EXIT_CODE_ERROR, "the VM is in %s.tmp, which cannot become %s: %s", path, path,
		     strerror(-ret));
	return !ret;
}

static void wait_for_end(const struct registry_vm *vm)
{
	/* The process has answered; it has ended when its lock is free. */
	for (int i = 0; i < 500 && registry_is_active(vm->name); i++)
		usleep(20000);
}

static const struct option_spec specs[] = {
	REMOTE_OPTIONS,
	OPTION_TAKEN("--file", "FILE",
		     "Write to this file, and leave the VM inactive: \"gondola resume NAME --file "
		     "FILE\" reads it. By default the saved state is kept with the "
		     "configurations.", take_file),
	{ .name = NULL }
};

static int run_suspend(int argc, char **argv)
{
	struct suspend_options options = { { NULL }, NULL };
	struct json_object *arguments = json_object_new_object(), *answer;
	struct registry_vm vm;
	char size[32];
	bool durable;
	int fd = -1;

	remote_find(&command_suspend, argc, argv, &options.remote, &vm);
	if (options.file)
		fd = open_file(options.file, arguments);
	answer = remote_ask_with(&vm, "suspend", arguments, fd, -1);
	durable = options.file ? name_file() : member_flag(answer, "durable", true);
	json_object_object_add(answer, "durable", json_object_new_boolean(durable));
	wait_for_end(&vm);
	if (options.remote.json)
		remote_print(answer);
	else
		tell("%s is suspended: %s, %lld pages, %lld more are zero (%.1f s)\n", vm.name,
		       remote_size(member_number(answer, "bytes", 0), size, sizeof(size)),
		       (long long)member_number(answer, "pages", 0),
		       (long long)member_number(answer, "zero_pages", 0),
		       (double)member_number(answer, "ns", 0) / 1e9);
	if (!durable)
		say("%s is suspended, but its saved state may be lost if the host loses power now",
		    vm.name);
	json_object_put(answer);
	registry_put(&vm);
	return durable ? EXIT_CODE_OK : EXIT_CODE_ERROR;
}

const struct command command_suspend = {
	.name = "suspend",
	.summary = "save a VM's state in a file and end its process",
	.usage = "NAME [--file FILE] [--json]",
	.about =
"The guest stands still while its memory and devices are written, compressed and without "
"the pages that are all zero. The file appears under its name when it is complete and on "
"stable storage. Until then an older one stays, and the VM goes on if anything fails. The "
"VM's process then ends with status 18.",
	.options = specs,
	.examples =
"gondola suspend vm1; reboot          (later:) gondola resume vm1 --detach",
	.status =
"0 done, 2 wrong usage, 14 error (the VM goes on, unless the words say that it is suspended), "
"20 the VM neither runs nor is paused",
	.run = run_suspend,
};
