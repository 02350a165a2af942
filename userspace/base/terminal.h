/* SPDX-License-Identifier: GPL-2.0-only */
/* The launcher's terminal in raw mode, restored at any end of the launcher. */
#ifndef VM_TERMINAL_H
#define VM_TERMINAL_H

#include <stdbool.h>

/** terminal_raw() - set raw mode; undone at exit and on a crash */
void terminal_raw(int fd);
/** terminal_restore() - restore the modes; safe in signal handlers, any number of times */
void terminal_restore(void);
/** terminal_again() - set raw mode again after SIGCONT, since a shell may have changed it */
void terminal_again(void);
bool terminal_is_raw(void);

#endif
