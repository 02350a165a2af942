// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pty.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "base/line_socket.h"
#include "console.h"
#include "base/fail.h"
#include "base/output_file.h"
#include "base/terminal.h"
#include "output.h"
#include "sandbox/keeper.h"
#include "vm.h"

#define ESCAPE		0x01		/* Ctrl-A */
#define TYPED_ROOM	65536		/* for pasted text, which the guest reads slowly */
#define AGAIN_NS	200000000ull	/* between checks whether there is input for us */

/**
 * struct console - see console.h
 * @in: the input, or -1
 * @output: the output
 * @listener: the listening socket, or -1
 * @pty: a pseudo-terminal, which others open and close
 * @escapes: it is the user's keyboard, where Ctrl-A has a meaning
 * @escaped: Ctrl-A was the last key
 * @typed, @waiting: input for which the guest has no room; the keyboard is always read, since
 *	Ctrl-A must work even if the guest does not listen
 * @typed_timer: fires when the guest has room again, and to check whether a pseudo-terminal was
 *	opened or the user's terminal is ours again
 */
struct console {
	struct vm *vm;
	int in;
	struct output *output;
	int listener;
	bool pty;
	bool escapes;
	bool escaped;
	char typed[TYPED_ROOM];
	size_t waiting;
	int typed_timer;
	const struct console_guest *guest;
	void *device;
};

/* ---- output ------------------------------------------------------------------- */

void console_put(struct console *console, char c)
{
	output_put(console->output, c);
}

bool console_room(struct console *console)
{
	return output_room(console->output);
}

/* Called by the output's thread. */
static void drained(void *argument)
{
	struct console *console = argument;

	vm_lock_devices(console->vm);
	if (console->guest)
		console->guest->drained(console->device);
	vm_unlock_devices(console->vm);
}

/* ---- input: the device loop's thread --------------------------------------------------- */

/* Handle and remove escapes; returns the number of characters for the guest. */
static size_t unescape(struct console *console, char *data, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (console->escaped) {
			console->escaped = false;
			if (data[i] == 'x' || data[i] == 'X') {
				vm_end(console->vm, VM_STOPPED, "stopped from the keyboard");
				return kept;
			}
			if (data[i] == ESCAPE)
				data[kept++] = ESCAPE;
		} else if (data[i] == ESCAPE) {
			console->escaped = true;
		} else {
			data[kept++] = data[i];
		}
	}
	return kept;
}

static void end_of_input(struct console *console)
{
	bool waits;

	loop_remove(&console->vm->device_loop, console->in);
	vm_lock_devices(console->vm);
	waits = !output_room(console->output);
	if (console->listener >= 0) {
		output_to(console->output, -1, OUTPUT_SOCKET);
		close(console->in);
	}
	console->in = -1;
	/* A guest that waited for the reader continues without one. */
	if (waits)
		console->guest->drained(console->device);
	vm_unlock_devices(console->vm);
}

/* No program has the terminal open, or another job has it: check again later. */
static void look_again(struct console *console)
{
	loop_watch(&console->vm->device_loop, console->in, 0);
	loop_timer_set(console->typed_timer, AGAIN_NS, 0);
}

/* Device lock held.  Input without room is lost, as with any keyboard's buffer. */
static void type(struct console *console, const char *data, size_t count)
{
	size_t left = sizeof(console->typed) - console->waiting, room;

	if (count > left)
		count = left;
	memcpy(console->typed + console->waiting, data, count);
	console->waiting += count;
	room = console->guest->room(console->device);
	if (room > console->waiting)
		room = console->waiting;
	if (!room)
		return;
	console->guest->input(console->device, console->typed, room);
	console->waiting -= room;
	memmove(console->typed, console->typed + room, console->waiting);
}

static void on_timer(void *argument, int fd, short events)
{
	struct console *console = argument;

	(void)events;
	loop_timer_ack(fd);
	if (console->in >= 0)
		loop_watch(&console->vm->device_loop, console->in, POLLIN);
	if (!console->escapes)
		return;
	vm_lock_devices(console->vm);
	type(console, "", 0);
	vm_unlock_devices(console->vm);
}

static void on_key(void *argument, int fd, short events)
{
	struct console *console = argument;
	char data[256];
	ssize_t count = read(fd, data, sizeof(data));

	(void)events;
	if (count < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (count < 0 && errno == EIO && terminal_in_background()) {
		look_again(console);
		return;
	}
	if (count <= 0) {
		end_of_input(console);
		return;
	}
	count = unescape(console, data, count);
	vm_lock_devices(console->vm);
	type(console, data, count);
	vm_unlock_devices(console->vm);
}

static void on_input(void *argument, int fd, short events)
{
	struct console *console = argument;
	char data[256];
	ssize_t count;
	size_t room;

	(void)events;
	vm_lock_devices(console->vm);
	room = console->guest->room(console->device);
	if (!room)
		loop_watch(&console->vm->device_loop, fd, 0);
	vm_unlock_devices(console->vm);
	if (!room)
		return;
	count = read(fd, data, room < sizeof(data) ? room : sizeof(data));
	if (count < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (count < 0 && errno == EIO && console->pty) {
		look_again(console);
		return;
	}
	if (count <= 0) {
		end_of_input(console);
		return;
	}
	vm_lock_devices(console->vm);
	console->guest->input(console->device, data, count);
	vm_unlock_devices(console->vm);
}

void console_more(struct console *console)
{
	if (console->escapes && console->waiting)
		loop_timer_set(console->typed_timer, 1, 0);
	else if (console->in >= 0)
		loop_watch(&console->vm->device_loop, console->in, POLLIN);
}

/* The peer left while the guest did not listen. */
static bool peer_is_gone(const struct console *console)
{
	struct pollfd peer = { .fd = console->in };

	return poll(&peer, 1, 0) > 0 && peer.revents & (POLLHUP | POLLERR);
}

static void on_connection(void *argument, int fd, short events)
{
	struct console *console = argument;
	int peer = line_socket_accept(fd, SOCK_CLOEXEC);

	(void)events;
	if (peer < 0)
		return;
	if (console->in >= 0 && peer_is_gone(console))
		end_of_input(console);
	if (console->in >= 0) {
		static const char busy[] = "This console is in use.\r\n";

		send(peer, busy, sizeof(busy) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		close(peer);
		return;
	}
	vm_lock_devices(console->vm);
	console->in = peer;
	output_to(console->output, peer, OUTPUT_SOCKET);
	vm_unlock_devices(console->vm);
	loop_add(&console->vm->device_loop, peer, POLLIN, on_input, console);
}

/* ---- opening ---------------------------------------------------------------------- */

static void open_stdio(struct console *console)
{
	console->in = STDIN_FILENO;
	output_to(console->output, STDOUT_FILENO, OUTPUT_FILE);
	if (isatty(STDIN_FILENO)) {
		console->escapes = true;
		console->typed_timer = loop_timer(&console->vm->device_loop, on_timer, console);
		terminal_raw(STDIN_FILENO);
	}
}

static bool open_pty(struct console *console, struct error *error)
{
	char name[128];
	struct termios modes;
	int other;

	if (openpty(&console->in, &other, name, NULL, NULL))
		return error_set(error, EXIT_CODE_ERROR, "cannot make a pseudo-terminal: %s",
				 strerror(errno));
	if (!tcgetattr(other, &modes)) {
		cfmakeraw(&modes);
		tcsetattr(other, TCSANOW, &modes);
	}
	/* The terminal keeps its modes.  While no program has it open reads fail, and output is dropped. */
	close(other);
	fcntl(console->in, F_SETFD, FD_CLOEXEC);
	fcntl(console->in, F_SETFL, O_NONBLOCK);
	console->pty = true;
	console->typed_timer = loop_timer(&console->vm->device_loop, on_timer, console);
	output_to(console->output, console->in, OUTPUT_PTY);
	say("the console is %s", name);
	return true;
}

static bool open_socket(struct console *console, const char *path, struct error *error)
{
	int note;

	if (!*path || strlen(path) >= PATH_MAX)
		return error_set(error, EXIT_CODE_USAGE,
				 "--console unix:%s: a socket's path has 1 to %d characters", path,
				 PATH_MAX - 1);
	/* The keeper removes it even if the launcher is killed. */
	note = keeper_note(KEEPER_SOCKET, path, error);
	if (note < 0)
		return false;
	console->listener = keeper_listen(note);
	if (console->listener < 0)
		return error_set(error, error_status(-console->listener), "--console unix:%s: %s",
				 path, line_socket_reason(path, -console->listener));
	loop_add(&console->vm->device_loop, console->listener, POLLIN, on_connection, console);
	return true;
}

static bool open_file(struct console *console, const char *path, bool more, struct error *error)
{
	/* With O_APPEND a file that is emptied while the guest runs gets no hole. */
	int fd = output_file_open(path, more ? O_APPEND : O_APPEND | O_TRUNC);

	if (fd < 0)
		return error_set(error, error_status(-fd), "--console %s: %s%s", path, strerror(-fd),
				 fd == -ENXIO ? " (for a socket: unix:PATH)" : "");
	output_to(console->output, fd, OUTPUT_FILE);
	return true;
}

static bool open_console(struct console *console, const char *where, bool more, struct error *error)
{
	if (!strcmp(where, "stdio")) {
		open_stdio(console);
		return true;
	}
	if (!strcmp(where, "pty"))
		return open_pty(console, error);
	if (!strncmp(where, "unix:", 5))
		return open_socket(console, where + 5, error);
	return open_file(console, where, more, error);
}

struct console *console_open(struct vm *vm, const char *where, bool more, struct error *error)
{
	struct console *console = calloc(1, sizeof(*console));

	if (console)
		console->output = output_create(drained, console);
	if (!console || !console->output) {
		error_set(error, EXIT_CODE_ERROR, "out of memory");
		free(console);
		return NULL;
	}
	console->vm = vm;
	console->in = -1;
	console->listener = -1;
	if (open_console(console, where, more, error))
		return console;
	free(console->output);
	free(console);
	return NULL;
}

void console_connect(struct console *console, const struct console_guest *guest, void *device)
{
	bool watched = console->guest;

	console->guest = guest;
	console->device = device;
	/* Once: whoever reads twice after one event waits for the next, and with it all devices. */
	if (console->in >= 0 && !watched)
		loop_add(&console->vm->device_loop, console->in, POLLIN,
			 console->escapes ? on_key : on_input, console);
}

/* The console whose output is written at the launcher's end. */
static struct console *opened;

static void finish(void)
{
	size_t lost = opened ? output_finish(opened->output) : 0;

	opened = NULL;
	if (lost)
		say("the console's reader did not take the last %zu bytes", lost);
}

int console_start(struct console *console)
{
	int ret = output_start(console->output);

	if (ret)
		return -ret;
	opened = console;
	atexit(finish);
	return 0;
}

void console_close(struct console *console)
{
	(void)console;
	finish();
	terminal_restore();
}
