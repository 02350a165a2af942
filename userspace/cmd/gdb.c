// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "remote.h"
#include "base/fail.h"
#include "base/file.h"

static bool pass(int from, int to)
{
	char data[4096];
	ssize_t bytes = read(from, data, sizeof(data));

	if (bytes < 0 && errno == EINTR)
		return true;
	return bytes > 0 && file_write(to, data, (size_t)bytes);
}

static void relay(int fd)
{
	struct pollfd fds[] = { { .fd = STDIN_FILENO, .events = POLLIN },
				{ .fd = fd, .events = POLLIN } };

	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return;
		if (fds[1].revents && !pass(fd, STDOUT_FILENO))
			return;
		if (fds[0].revents && !pass(STDIN_FILENO, fd))
			return;
	}
}

static int run_gdb(int argc, char **argv)
{
	struct remote_options options = { .name = NULL };
	struct json_object *answer;
	struct registry_vm vm;
	int fds[2];

	remote_find(&command_gdb, argc, argv, &options, &vm);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		fail(EXIT_CODE_ERROR, "gdb: no socket: %s", strerror(errno));
	answer = remote_ask_with(&vm, "gdb", NULL, fds[1], REMOTE_TIMEOUT_MS);
	json_object_put(answer);
	close(fds[1]);
	relay(fds[0]);
	close(fds[0]);
	registry_put(&vm);
	return EXIT_CODE_OK;
}

static const struct option_spec specs[] = {
	{ .name = "NAME", .take = remote_take_name }, { .name = NULL }
};

const struct command command_gdb = {
	.name = "gdb",
	.summary = "let GDB look into a guest",
	.usage = "NAME",
	.about =
"This command speaks GDB's remote protocol on its standard input and output, so that GDB can start it. "
"GDB shows each vCPU as a thread. It reads and writes registers and memory, sets breakpoints, and steps; "
"it sets watchpoints where the processor arms them for guests.\n"
"The guest and its clocks stand still until \"continue\"; Ctrl-C stops them again. However GDB ends, its "
"breakpoints are removed and the guest goes on. A VM with a debugger cannot be suspended or migrated. "
"\"monitor help\" lists what GDB has no command for.\n"
"With the option --gdb of \"gondola run\" or \"gondola create\", GDB connects without this command.",
	.options = specs,
	.examples =
"gdb -ex 'target remote | gondola gdb vm1' vmlinux",
	.status =
"0 GDB has ended, 2 wrong usage, 14 error, 20 the VM does not run",
	.run = run_gdb,
};
