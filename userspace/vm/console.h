/* SPDX-License-Identifier: GPL-2.0-only */
/* Where the guest's serial console goes: the terminal, a file, a pseudo-terminal or a socket. */
#ifndef VM_CONSOLE_H
#define VM_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>

struct vm;
struct console;

/**
 * struct console_guest - the device that is connected to it
 * @room: how many characters it takes now
 * @input: gives it some, at most that many; both with the VM's device lock held
 */
struct console_guest {
	size_t (*room)(void *device);
	void (*input)(void *device, const char *data, size_t count);
};

/**
 * console_open() - fail()s with words
 * @where: "stdio", "pty", "unix:PATH" or a file's name
 * @more: the guest goes on: so does the file
 */
struct console *console_open(struct vm *vm, const char *where, bool more);
void console_connect(struct console *console, const struct console_guest *guest, void *device);
/** console_put() - a character from the guest; device lock held */
void console_put(struct console *console, char c);
/** console_flush() - show what it wrote; device lock held */
void console_flush(struct console *console);
/** console_more() - the guest has room for input again; device lock held */
void console_more(struct console *console);
/** console_close() - what the guest wrote is out, the terminal as it was, the socket gone */
void console_close(struct console *console);

#endif
