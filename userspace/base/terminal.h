/* SPDX-License-Identifier: GPL-2.0-only */
/* The launcher's terminal in raw mode, restored at any end of the launcher. */
#ifndef BASE_TERMINAL_H
#define BASE_TERMINAL_H

#include <stdbool.h>

/**
 * terminal_raw() - set raw mode; undone at exit, on a crash and by a signal that ends the program
 *
 * In the background the terminal is left alone, until terminal_again() in the foreground.
 */
void terminal_raw(int fd);
/** terminal_restore() - restore the modes; safe in signal handlers, any number of times */
void terminal_restore(void);
/** terminal_again() - set raw mode after SIGCONT: a shell may have changed it, or brought us here */
void terminal_again(void);
/** terminal_in_background() - does another job have the terminal?  It gets the keys then */
bool terminal_in_background(void);
bool terminal_is_raw(void);

#endif
