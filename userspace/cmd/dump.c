// SPDX-License-Identifier: GPL-2.0-only
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "new_file.h"
#include "remote.h"
#include "base/fail.h"
#include "base/signals.h"
#include "base/tell.h"

struct dump_options {
	struct remote_options remote;
	const char *file;
};

static void take_argument(void *to, const char *option, const char *value)
{
	struct dump_options *options = to;

	if (!options->remote.name)
		remote_take_name(&options->remote, option, value);
	else if (!options->file)
		options->file = value;
	else
		fail(EXIT_CODE_USAGE, "dump: \"%s\" is one argument too many (see gondola help dump)", value);
}

/* The VM's process sees that the file is gone, and lets the guest go on. */
static void on_interrupt(int signal)
{
	new_file_drop();
	_exit(128 + signal);
}

static void tell_dump(struct json_object *answer)
{
	char size[32];

	tell("%s: %s, of which %lld pages hold something; %s\n", new_file_path(),
	     remote_size(member_count(answer, "bytes"), size, sizeof(size)),
	     (long long)member_number(answer, "pages", 0),
	     member_flag(answer, "vmcoreinfo", false) ?
	     "the guest's kernel describes itself, so crash can open it" :
	     "no kernel in it describes itself (VMCOREINFO)");
}

static const struct option_spec specs[] = {
	{ .name = "NAME", .take = take_argument },
	OPTION("--json", NULL, "Print the result as JSON.", FLAG, struct dump_options, remote.json),
	{ .name = NULL }
};

static int run_dump(int argc, char **argv)
{
	struct dump_options options = { { NULL }, NULL };
	struct json_object *answer;
	struct registry_vm vm;
	int fd, ret;

	remote_find(&command_dump, argc, argv, &options.remote, &vm);
	if (!options.file)
		fail(EXIT_CODE_USAGE, "dump: to which file? (see gondola help dump)");
	fd = new_file_open("dump", options.file);
	signals_handle(SIGINT, on_interrupt);
	signals_handle(SIGTERM, on_interrupt);
	signals_handle(SIGHUP, on_interrupt);
	answer = remote_ask_with(&vm, "dump", NULL, fd, -1);
	ret = new_file_name();
	if (ret < 0)
		fail(EXIT_CODE_ERROR, "the dump is in %s.tmp, which cannot get its name: %s",
		     new_file_path(), strerror(-ret));
	json_object_object_add(answer, "file", json_object_new_string(new_file_path()));
	if (options.remote.json)
		remote_print(answer);
	else
		tell_dump(answer);
	json_object_put(answer);
	registry_put(&vm);
	return EXIT_CODE_OK;
}

const struct command command_dump = {
	.name = "dump",
	.summary = "write a guest's memory and registers to a file",
	.usage = "NAME FILE [--json]",
	.about =
"FILE is an ELF core for gdb and crash. It has the registers of each vCPU, all memory by "
"physical address, and by virtual address what a 64-bit kernel has mapped in its half. Pages that the "
"guest never used or gave back are holes, so the file takes less room than its size says.\n"
"If the guest's kernel describes itself, as Linux does with VMCOREINFO, the description is in the file: "
"\"crash vmlinux FILE\" needs it, and finds a kernel that was moved (KASLR).\n"
"The guest and its clocks stand still meanwhile; then it goes on. Ctrl-C gives up, and the guest goes on. "
"The file holds all that the guest knows, keys and passwords too: only its owner can read it. It is written as "
"FILE.tmp and takes its name when it is complete; until then an older FILE stays.\n"
"With --panic-dump FILE \"gondola run\" and \"gondola create\" have a guest dumped when it crashes.",
	.options = specs,
	.examples =
"gondola dump vm1 vm1.core\n"
"crash vmlinux vm1.core\n"
"gdb -ex 'thread apply all x/i $pc' vmlinux vm1.core",
	.status =
"0 done, 2 wrong usage, 14 error, 20 the VM does not run",
	.run = run_dump,
};
