// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/line_socket.h"
#include "remote.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/signals.h"
#include "base/terminal.h"

#define ESCAPE	0x01		/* Ctrl-A */

/* Handle and remove escapes in what the user typed; false: the user wants to leave. */
static bool typed(int fd, char *data, size_t bytes, bool *escaped)
{
	size_t kept = 0;

	for (size_t i = 0; i < bytes; i++) {
		if (*escaped) {
			*escaped = false;
			if (data[i] == 'x' || data[i] == 'X')
				return false;
			if (data[i] == ESCAPE)
				data[kept++] = ESCAPE;
		} else if (data[i] == ESCAPE) {
			*escaped = true;
		} else {
			data[kept++] = data[i];
		}
	}
	file_write(fd, data, kept);
	return true;
}

static void relay(int fd, bool terminal)
{
	struct pollfd fds[] = { { .fd = STDIN_FILENO, .events = POLLIN },
				{ .fd = fd, .events = POLLIN } };
	bool escaped = false;
	char data[4096];

	for (;;) {
		ssize_t count;

		if (poll(fds, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return;
		}
		if (fds[1].revents) {
			count = read(fd, data, sizeof(data));
			if (count <= 0)
				return;
			file_write(STDOUT_FILENO, data, count);
		}
		if (fds[0].revents) {
			count = read(STDIN_FILENO, data, sizeof(data));
			/* At the end of the input file the guest may still write. */
			if (count <= 0)
				fds[0].fd = -1;
			else if (terminal && !typed(fd, data, count, &escaped))
				return;
			else if (!terminal)
				file_write(fd, data, count);
		}
	}
}

static void on_continue(int signal)
{
	(void)signal;
	terminal_again();
}

static const struct option_spec specs[] = {
	{ .name = "NAME", .take = remote_take_name }, { .name = NULL }
};

static int run_console(int argc, char **argv)
{
	struct remote_options options = { NULL };
	bool terminal = isatty(STDIN_FILENO);
	struct registry_vm vm;
	const char *where, *starting;
	int fd;

	remote_find(&command_console, argc, argv, &options, &vm);
	starting = registry_starting(&vm);
	if (starting)
		fail(EXIT_CODE_ERROR, "%s has no console yet: %s", vm.name, starting);
	where = member_string(vm.status, "console", "");
	if (strncmp(where, "unix:", 5))
		fail(EXIT_CODE_ERROR, "the console of %s is no socket: %s%s", vm.name,
		     !strcmp(where, "stdio") ? "it is on the terminal that started it" : where,
		     *where ? "" : "it does not answer");
	fd = line_socket_connect(where + 5, REMOTE_TIMEOUT_MS);
	if (fd < 0)
		fail(EXIT_CODE_ERROR, "%s: %s", where, strerror(-fd));
	if (terminal) {
		fprintf(stderr, "The console of %s; Ctrl-A x leaves it, the guest goes on.\n",
			vm.name);
		terminal_raw(STDIN_FILENO);
		signals_handle(SIGCONT, on_continue);
	}
	relay(fd, terminal);
	terminal_restore();
	close(fd);
	registry_put(&vm);
	return EXIT_CODE_OK;
}

const struct command command_console = {
	.name = "console",
	.summary = "connect this terminal to a VM's console",
	.usage = "NAME",
	.about =
"This is for a VM that was started with --detach, or whose --console is a socket. Ctrl-A x "
"leaves the console, and the guest goes on; Ctrl-A Ctrl-A sends one Ctrl-A. There can be "
"one connection at a time. Without a connection, the guest's output is lost.",
	.options = specs,
	.examples =
"gondola start vm1 --detach && gondola console vm1",
	.status =
"0 you left the console, or the VM ended; 2 wrong usage, 14 error, 20 the VM has no process",
	.run = run_console,
};
