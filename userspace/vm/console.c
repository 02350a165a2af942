// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "base/line_socket.h"
#include "console.h"
#include "base/fail.h"
#include "base/terminal.h"
#include "sandbox/keeper.h"
#include "vm.h"

#define ESCAPE		0x01		/* Ctrl-A */
#define TYPED_ROOM	65536		/* pasted text, that the guest reads slowly */
#define OUTPUT_ROOM	512
#define OUTPUT_DELAY_NS	10000000ull	/* a line without its end is shown after this long */

/**
 * struct console - see console.h
 * @in, @out: descriptors, or -1
 * @listener: a socket that waits for someone to connect, or -1
 * @patient: writes wait for the reader; else it loses what it does not take
 * @escapes: the user's keyboard, on which Ctrl-A means something
 * @escaped: Ctrl-A was the last key
 * @typed, @waiting: what was typed and the guest has no room for: the keyboard is always read,
 *                   since Ctrl-A has a meaning also for a guest that does not listen
 * @typed_timer: the guest has room again
 */
struct console {
	struct vm *vm;
	int in;
	int out;
	int listener;
	bool patient;
	bool escapes;
	bool escaped;
	char typed[TYPED_ROOM];
	size_t waiting;
	int typed_timer;
	int timer;
	size_t used;
	char output[OUTPUT_ROOM];
	const struct console_guest *guest;
	void *device;
};

/* ---- output: device lock held ------------------------------------------------- */

void console_flush(struct console *console)
{
	const char *data = console->output;
	size_t left = console->used;

	while (left && console->out >= 0) {
		ssize_t written = console->listener >= 0 ?
			send(console->out, data, left, MSG_NOSIGNAL | MSG_DONTWAIT) :
			write(console->out, data, left);

		if (written >= 0) {
			data += written;
			left -= written;
		} else if (errno == EINTR && vm_ending(console->vm)) {
			/* Kicked: console_close() tries once more. */
			memmove(console->output, data, left);
			break;
		} else if (errno == EAGAIN && console->patient) {
			/* Someone else made our terminal or pipe non-blocking. */
			struct pollfd fd = { .fd = console->out, .events = POLLOUT };

			if (vm_ending(console->vm))
				left = 0;
			else
				poll(&fd, 1, -1);
		} else if (errno != EINTR) {
			left = 0;
		}
	}
	console->used = left;
}

void console_put(struct console *console, char c)
{
	if (console->out < 0)
		return;
	if (!console->used)
		loop_timer_set(console->timer, OUTPUT_DELAY_NS, 0);
	if (console->used == OUTPUT_ROOM)
		return;
	console->output[console->used++] = c;
	if (c == '\n' || console->used == OUTPUT_ROOM)
		console_flush(console);
}

static void on_timer(void *argument, int fd, short events)
{
	struct console *console = argument;

	(void)events;
	loop_timer_ack(fd);
	pthread_mutex_lock(&console->vm->devices);
	console_flush(console);
	pthread_mutex_unlock(&console->vm->devices);
}

/* ---- input: the loop's thread --------------------------------------------------- */

/* Takes the escapes out; returns how many characters are for the guest. */
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
	loop_remove(&console->vm->loop, console->in);
	pthread_mutex_lock(&console->vm->devices);
	if (console->listener >= 0) {
		close(console->in);
		console->out = -1;
	}
	console->in = -1;
	pthread_mutex_unlock(&console->vm->devices);
}

/* Device lock held. What there is no room for is lost, as with any keyboard's buffer. */
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

static void on_room(void *argument, int fd, short events)
{
	struct console *console = argument;

	(void)events;
	loop_timer_ack(fd);
	pthread_mutex_lock(&console->vm->devices);
	type(console, "", 0);
	pthread_mutex_unlock(&console->vm->devices);
}

static void on_key(void *argument, int fd, short events)
{
	struct console *console = argument;
	char data[256];
	ssize_t count = read(fd, data, sizeof(data));

	(void)events;
	if (count < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (count <= 0) {
		end_of_input(console);
		return;
	}
	count = unescape(console, data, count);
	pthread_mutex_lock(&console->vm->devices);
	type(console, data, count);
	pthread_mutex_unlock(&console->vm->devices);
}

static void on_input(void *argument, int fd, short events)
{
	struct console *console = argument;
	char data[256];
	ssize_t count;
	size_t room;

	(void)events;
	pthread_mutex_lock(&console->vm->devices);
	room = console->guest->room(console->device);
	if (!room)
		loop_watch(&console->vm->loop, fd, 0);
	pthread_mutex_unlock(&console->vm->devices);
	if (!room)
		return;
	count = read(fd, data, room < sizeof(data) ? room : sizeof(data));
	if (count < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (count <= 0) {
		end_of_input(console);
		return;
	}
	pthread_mutex_lock(&console->vm->devices);
	console->guest->input(console->device, data, count);
	pthread_mutex_unlock(&console->vm->devices);
}

void console_more(struct console *console)
{
	if (console->escapes && console->waiting)
		loop_timer_set(console->typed_timer, 1, 0);
	else if (console->in >= 0)
		loop_watch(&console->vm->loop, console->in, POLLIN);
}

static void on_connection(void *argument, int fd, short events)
{
	struct console *console = argument;
	int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	(void)events;
	if (peer < 0)
		return;
	if (console->in >= 0) {
		static const char busy[] = "This console is in use.\r\n";

		send(peer, busy, sizeof(busy) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		close(peer);
		return;
	}
	pthread_mutex_lock(&console->vm->devices);
	console->in = peer;
	console->out = peer;
	pthread_mutex_unlock(&console->vm->devices);
	loop_add(&console->vm->loop, peer, POLLIN, on_input, console);
}

/* ---- opening ---------------------------------------------------------------------- */

static void open_stdio(struct console *console)
{
	console->in = STDIN_FILENO;
	console->out = STDOUT_FILENO;
	console->patient = true;
	if (isatty(STDIN_FILENO)) {
		console->escapes = true;
		console->typed_timer = loop_timer(&console->vm->loop, on_room, console);
		terminal_raw(STDIN_FILENO);
	}
}

static void open_pty(struct console *console)
{
	char name[128];
	struct termios modes;
	int other;

	if (openpty(&console->in, &other, name, NULL, NULL))
		fail(EXIT_CODE_ERROR, "cannot make a pseudo-terminal: %s", strerror(errno));
	/* @other stays open: without it each read fails until someone opens the terminal. */
	cfmakeraw(&modes);
	if (!tcgetattr(other, &modes)) {
		cfmakeraw(&modes);
		tcsetattr(other, TCSANOW, &modes);
	}
	fcntl(other, F_SETFD, FD_CLOEXEC);
	fcntl(console->in, F_SETFD, FD_CLOEXEC);
	fcntl(console->in, F_SETFL, O_NONBLOCK);
	console->out = console->in;
	say("the console is %s", name);
}

static void open_socket(struct console *console, const char *path)
{
	const size_t most = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

	if (!*path || strlen(path) > most)
		fail(EXIT_CODE_USAGE, "--console unix:%s: a socket's path has 1 to %zu characters",
		     path, most);
	/* The keeper removes it, also if the launcher ends by fail(). */
	console->listener = keeper_listen(keeper_note(KEEPER_SOCKET, path));
	if (console->listener < 0)
		fail(EXIT_CODE_USAGE, "--console unix:%s: %s", path, strerror(-console->listener));
	loop_add(&console->vm->loop, console->listener, POLLIN, on_connection, console);
}

static void open_file(struct console *console, const char *path, bool more)
{
	console->out = open(path, O_WRONLY | O_CREAT | (more ? O_APPEND : O_TRUNC) | O_CLOEXEC,
			    0666);
	console->patient = true;
	if (console->out < 0)
		fail(EXIT_CODE_USAGE, "--console %s: %s", path, strerror(errno));
}

struct console *console_open(struct vm *vm, const char *where, bool more)
{
	struct console *console = calloc(1, sizeof(*console));

	if (!console)
		fail(EXIT_CODE_ERROR, "out of memory");
	console->vm = vm;
	console->in = -1;
	console->out = -1;
	console->listener = -1;
	console->timer = loop_timer(&vm->loop, on_timer, console);
	if (!strcmp(where, "stdio"))
		open_stdio(console);
	else if (!strcmp(where, "pty"))
		open_pty(console);
	else if (!strncmp(where, "unix:", 5))
		open_socket(console, where + 5);
	else
		open_file(console, where, more);
	return console;
}

void console_connect(struct console *console, const struct console_guest *guest, void *device)
{
	console->guest = guest;
	console->device = device;
	if (console->in >= 0)
		loop_add(&console->vm->loop, console->in, POLLIN,
			 console->escapes ? on_key : on_input, console);
}

void console_close(struct console *console)
{
	struct pollfd ready = { .fd = console->out, .events = POLLOUT };

	/* All threads are gone. A reader that takes nothing does not keep us for ever. */
	if (console->used && poll(&ready, 1, 1000) > 0)
		console_flush(console);
	terminal_restore();
	free(console);
}
