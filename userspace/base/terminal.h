/* SPDX-License-Identifier: GPL-2.0-only */
/* The launcher's terminal in raw mode, restored at any end of the launcher. */
#ifndef BASE_TERMINAL_H
#define BASE_TERMINAL_H

#include <signal.h>
#include <stdbool.h>

/**
 * terminal_raw() - set raw mode; undone at exit, on a crash and by a signal that ends the program
 *
 * In the background the terminal is left alone, until terminal_again() in the foreground.
 */
void terminal_raw(int fd);
/** terminal_restore() - restore the modes; safe in signal handlers, any number of times */
void terminal_restore(void);
/**
 * terminal_job_signals() - add the signals that stop and continue a job, unless they are ignored
 *
 * The caller blocks them in all threads, and passes them to terminal_job_signal().
 */
void terminal_job_signals(sigset_t *signals);
/**
 * terminal_job_signal() - restore the modes and stop, or set raw mode when the job continues
 *
 * A shell may have changed the modes meanwhile, or brought us to the foreground.
 */
void terminal_job_signal(int number);
/** terminal_in_background() - does another job have the terminal?  It gets the keys then */
bool terminal_in_background(void);
bool terminal_is_raw(void);

#endif
