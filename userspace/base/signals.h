/* SPDX-License-Identifier: GPL-2.0-only */
/* Signals that end a program, unless its parent had them ignored: as nohup and a shell's & do. */
#ifndef BASE_SIGNALS_H
#define BASE_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

/** signals_ignored() - was the program started with it ignored?  To be asked before it is changed */
static inline bool signals_ignored(int number)
{
	struct sigaction now;

	return !sigaction(number, NULL, &now) && now.sa_handler == SIG_IGN;
}

/**
 * signals_that_end() - *@ends becomes those of SIGTERM, SIGINT, SIGHUP and SIGQUIT that do
 *
 * A signal that is blocked arrives at a signalfd even if it is ignored, so it must not be in the set.
 */
static inline void signals_that_end(sigset_t *ends)
{
	static const int all[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT };

	sigemptyset(ends);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (!signals_ignored(all[i]))
			sigaddset(ends, all[i]);
}

/** signals_handle() - @handler for @number, unless that is ignored */
static inline void signals_handle(int number, void (*handler)(int number))
{
	struct sigaction action = { .sa_handler = handler };

	if (!signals_ignored(number))
		sigaction(number, &action, NULL);
}

#endif
