/* SPDX-License-Identifier: GPL-2.0-only */
/* Where the guest's serial console goes: the terminal, a file, a pseudo-terminal or a socket. */
#ifndef VM_CONSOLE_H
#define VM_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"

struct vm;
struct console;

/**
 * struct console_guest - the device that is connected to it
 * @room: how many characters it takes now
 * @input: gives it some, at most that many
 * @drained: there is room for its output again, after console_room() said no; all three with the
 *	     VM's device lock held
 */
struct console_guest {
	size_t (*room)(void *device);
	void (*input)(void *device, const char *data, size_t count);
	void (*drained)(void *device);
};

/**
 * console_open() - NULL with @error, if it cannot be
 * @where: "stdio", "pty", "unix:PATH" or a file's name
 * @more: the guest goes on: so does the file
 */
struct console *console_open(struct vm *vm, const char *where, bool more, struct error *error);
void console_connect(struct console *console, const struct console_guest *guest, void *device);
/** console_start() - from now on what the guest writes is shown, by a thread of its own; 0 or -errno */
int console_start(struct console *console);
/** console_put() - a character from the guest; never waits. Without room it is lost */
void console_put(struct console *console, char c);
/** console_room() - for what a guest writes at once?  If not, it hears when there is */
bool console_room(struct console *console);
/** console_more() - the guest has room for input again; device lock held */
void console_more(struct console *console);
/** console_close() - what the guest wrote is out, if its reader reads; the terminal is as it was */
void console_close(struct console *console);

#endif
