/* SPDX-License-Identifier: GPL-2.0-only */
/* Signals that end a program, unless its parent ignored them, as nohup and a shell's & do. */
#ifndef BASE_SIGNALS_H
#define BASE_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

/** signals_ignored() - was the program started with the signal ignored?  Call it before a change */
static inline bool signals_ignored(int number)
{
	struct sigaction now;

	return !sigaction(number, NULL, &now) && now.sa_handler == SIG_IGN;
}

/**
 * signals_that_end() - set *@ends to those of SIGTERM, SIGINT, SIGHUP and SIGQUIT that end the
 * program
 *
 * A signalfd gets blocked signals even if they are ignored, so these must not be in the set.
 */
static inline void signals_that_end(sigset_t *ends)
{
	static const int all[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT };

	sigemptyset(ends);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (!signals_ignored(all[i]))
			sigaddset(ends, all[i]);
}

/** signals_handle() - set @handler for @number, unless the signal is ignored */
static inline void signals_handle(int number, void (*handler)(int number))
{
	struct sigaction action = { .sa_handler = handler };

	if (!signals_ignored(number))
		sigaction(number, &action, NULL);
}

#endif
