/* SPDX-License-Identifier: GPL-2.0-only */
/* Debugging: GDB, attached to a running guest by its remote protocol. */
#ifndef DEBUG_DEBUG_H
#define DEBUG_DEBUG_H

#include <stdbool.h>
#include "base/error.h"

struct vm;

/**
 * debug_listen() - wait for clients at "tcp:127.0.0.1:PORT" or "unix:PATH"
 *
 * To be called before the sandbox is entered.  False with @error.
 */
bool debug_listen(struct vm *vm, const char *address, struct error *error);
/** debug_listen_check() - check the form of @address, without opening anything */
bool debug_listen_check(const char *address, struct error *error);
/** debug_add_commands() - add "gdb" to the control socket; before control_open() and debug_listen() */
void debug_add_commands(struct vm *vm);
/** debug_end() - disconnect the debugger, after the VM's end */
void debug_end(void);

#endif
