// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/line_socket.h"
#include "remote.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/terminal.h"

#define ESCAPE	0x01		/* Ctrl-A */
#define ROOM	65536u		/* for keys that the guest has not read */
#define CHUNK	4096u		/* PIPE_BUF: a pipe that can be written to takes so much at once */

/**
 * struct relay - both directions, neither of which may block the other
 * @terminal: keys come from a terminal
 * @escaped: the last key was an ESCAPE
 * @keys: to the VM, not written yet
 * @shown: from the VM, not written yet
 */
struct relay {
	int fd, signal_fd;
	bool terminal, input_ended;
	bool escaped;
	char keys[ROOM], shown[CHUNK];
	size_t nr_keys, nr_shown;
};

/* A terminal's own queue rings the bell, too, when it is full. */
static void queue_key(struct relay *relay, char key)
{
	if (relay->nr_keys < ROOM)
		relay->keys[relay->nr_keys++] = key;
	else if (!relay->nr_shown)
		relay->shown[relay->nr_shown++] = '\a';
}

/* Queue what the user typed, without escapes; false: the user wants to leave. */
static bool typed(struct relay *relay, const char *data, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		bool escaped = relay->escaped;

		relay->escaped = relay->terminal && !escaped && data[i] == ESCAPE;
		if (escaped && (data[i] == 'x' || data[i] == 'X'))
			return false;
		if (!relay->escaped && (!escaped || data[i] == ESCAPE))
			queue_key(relay, data[i]);
	}
	return true;
}

/* False: the user wants to leave, or the terminal is gone. */
static bool take_input(struct relay *relay)
{
	size_t room = relay->terminal ? CHUNK : ROOM - relay->nr_keys;
	char data[ROOM];
	ssize_t count = read(STDIN_FILENO, data, room);

	if (count > 0)
		return typed(relay, data, count);
	if (count < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	/* At the end of the input file the guest may still write. */
	relay->input_ended = true;
	return !relay->terminal;
}

static void send_keys(struct relay *relay)
{
	ssize_t count = send(relay->fd, relay->keys, relay->nr_keys, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* When nobody is there to read them, the end of the connection is near. */
	if (count < 0)
		count = relay->nr_keys;
	relay->nr_keys -= count;
	memmove(relay->keys, relay->keys + count, relay->nr_keys);
}

/* Returns false when the VM has closed the connection. */
static bool take_output(struct relay *relay)
{
	ssize_t count = recv(relay->fd, relay->shown, CHUNK, MSG_DONTWAIT);

	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	relay->nr_shown = count > 0 ? count : 0;
	return count > 0;
}

static void take_signal(int fd)
{
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) == sizeof(info))
		terminal_job_signal(info.ssi_signo);
}

/*
 * The keys of a terminal are read at all times, since one of them leaves; what the VM has no room
 * for is lost then.  Of a file only so much is read as there is room for.
 */
static void run_relay(struct relay *relay)
{
	enum { INPUT, VM, OUTPUT, SIGNALS, COUNT };

	for (;;) {
		bool reads = !relay->input_ended && (relay->terminal || relay->nr_keys < ROOM);
		struct pollfd fds[COUNT] = {
			[INPUT] = { .fd = reads ? STDIN_FILENO : -1, .events = POLLIN },
			[VM] = { .fd = relay->nr_keys || !relay->nr_shown ? relay->fd : -1,
				 .events = (relay->nr_keys ? POLLOUT : 0) |
					   (relay->nr_shown ? 0 : POLLIN) },
			[OUTPUT] = { .fd = relay->nr_shown ? STDOUT_FILENO : -1, .events = POLLOUT },
			[SIGNALS] = { .fd = relay->signal_fd, .events = POLLIN },
		};

		if (poll(fds, COUNT, -1) < 0) {
			if (errno == EINTR)
				continue;
			return;
		}
		if (fds[SIGNALS].revents)
			take_signal(relay->signal_fd);
		if (fds[OUTPUT].revents) {
			if (!file_write(STDOUT_FILENO, relay->shown, relay->nr_shown))
				return;
			relay->nr_shown = 0;
		}
		if (fds[VM].revents && relay->nr_keys)
			send_keys(relay);
		if (fds[VM].revents && !relay->nr_shown && !take_output(relay))
			return;
		if (fds[INPUT].revents && !take_input(relay))
			return;
	}
}

/* A terminal in raw mode, with signals that stop and continue the job. */
static int take_terminal(const char *name)
{
	sigset_t job;

	fprintf(stderr, "The console of %s; Ctrl-A x leaves it, the guest goes on.\n", name);
	sigemptyset(&job);
	terminal_job_signals(&job);
	sigprocmask(SIG_BLOCK, &job, NULL);
	terminal_raw(STDIN_FILENO);
	return signalfd(-1, &job, SFD_CLOEXEC | SFD_NONBLOCK);
}

static const struct option_spec specs[] = {
	{ .name = "NAME", .take = remote_take_name }, { .name = NULL }
};

static int run_console(int argc, char **argv)
{
	struct remote_options options = { NULL };
	static struct relay relay;
	struct registry_vm vm;
	const char *where, *starting;

	remote_find(&command_console, argc, argv, &options, &vm);
	starting = registry_starting(&vm);
	if (starting)
		fail(EXIT_CODE_ERROR, "%s has no console yet: %s", vm.name, starting);
	where = member_string(vm.status, "console", "");
	if (strncmp(where, "unix:", 5))
		fail(EXIT_CODE_ERROR, "the console of %s is no socket: %s%s", vm.name,
		     !strcmp(where, "stdio") ? "it is on the terminal that started it" : where,
		     *where ? "" : "it does not answer");
	relay.fd = line_socket_connect(where + 5, REMOTE_TIMEOUT_MS);
	if (relay.fd < 0)
		fail(EXIT_CODE_ERROR, "%s: %s", where, strerror(-relay.fd));
	relay.terminal = isatty(STDIN_FILENO);
	relay.signal_fd = relay.terminal ? take_terminal(vm.name) : -1;
	run_relay(&relay);
	terminal_restore();
	close(relay.fd);
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
"one connection at a time. Without a connection, the guest's output is lost. A guest that does not read "
"leaves room for 64 KiB of keys; more ring the bell and are lost.",
	.options = specs,
	.examples =
"gondola start vm1 --detach && gondola console vm1",
	.status =
"0 you left the console, or the VM ended; 2 wrong usage, 14 error, 20 the VM has no process",
	.run = run_console,
};
