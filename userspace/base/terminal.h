/* SPDX-License-Identifier: GPL-2.0-only */
/* The launcher's terminal in raw mode, given back however the launcher ends. */
#ifndef VM_TERMINAL_H
#define VM_TERMINAL_H

#include <stdbool.h>

/** terminal_raw() - pass every key on; undone at exit and on a crash */
void terminal_raw(int fd);
/** terminal_restore() - safe in signal handlers, any number of times */
void terminal_restore(void);
/** terminal_again() - after SIGCONT: a shell may have changed the modes meanwhile */
void terminal_again(void);
bool terminal_is_raw(void);

#endif
