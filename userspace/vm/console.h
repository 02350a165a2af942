/* SPDX-License-Identifier: GPL-2.0-only */
/* The guest's serial console: on the terminal, in a file, on a pseudo-terminal or a socket. */
#ifndef VM_CONSOLE_H
#define VM_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"

struct vm;
struct console;

/**
 * struct console_guest - the device connected to the console
 * @room: returns the number of characters that it takes now
 * @input: gives it characters, at most that many
 * @drained: called when there is room for output again, after console_room() returned false; all
 *	three are called with the VM's device lock held
 */
struct console_guest {
	size_t (*room)(void *device);
	void (*input)(void *device, const char *data, size_t count);
	void (*drained)(void *device);
};

/**
 * console_open() - open a console; NULL with @error
 * @where: "stdio", "pty", "unix:PATH" or a file's name
 * @more: the guest continues, so append to the file
 */
struct console *console_open(struct vm *vm, const char *where, bool more, struct error *error);
void console_connect(struct console *console, const struct console_guest *guest, void *device);
/** console_start() - start the thread that writes output; 0 or -errno */
int console_start(struct console *console);
/** console_put() - write a character of the guest; does not wait: without room it is lost */
void console_put(struct console *console, char c);
/** console_room() - is there room for a burst of the guest?  If not, @drained is called later */
bool console_room(struct console *console);
/** console_more() - tell that the guest has room for input again; device lock held */
void console_more(struct console *console);
/** console_close() - write the rest of the output, if the reader reads, and restore the terminal */
void console_close(struct console *console);

#endif
