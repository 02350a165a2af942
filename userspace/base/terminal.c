// SPDX-License-Identifier: GPL-2.0-only
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "signals.h"
#include "terminal.h"

static int terminal_fd = -1;
static pid_t job;
static volatile sig_atomic_t raw;
static struct termios cooked;

bool terminal_is_raw(void)
{
	return raw;
}

bool terminal_in_background(void)
{
	pid_t front = tcgetpgrp(terminal_fd);

	/* It fails if this is not the terminal of our session: then there are no jobs. */
	return front > 0 && front != job;
}

void terminal_restore(void)
{
	if (!raw)
		return;
	raw = 0;
	if (!terminal_in_background())
		tcsetattr(terminal_fd, TCSADRAIN, &cooked);
}

void terminal_again(void)
{
	struct termios modes;

	/* Another job has the terminal, and SIGTTOU would stop who changes its modes. */
	if (terminal_fd < 0 || terminal_in_background())
		return;
	if (!raw && tcgetattr(terminal_fd, &cooked))
		return;
	modes = cooked;
	cfmakeraw(&modes);
	raw = 1;
	tcsetattr(terminal_fd, TCSADRAIN, &modes);
}

/* The handler is reset on entry, so raising the signal again ends the process. */
static void on_end(int signal)
{
	terminal_restore();
	raise(signal);
}

void terminal_raw(int fd)
{
	static const int crashes[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS };
	static const int ends[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE };
	struct sigaction action = { .sa_handler = on_end, .sa_flags = SA_RESETHAND | SA_NODEFER };

	terminal_fd = fd;
	job = getpgrp();
	for (unsigned int i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++)
		sigaction(crashes[i], &action, NULL);
	for (unsigned int i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (!signals_ignored(ends[i]))
			sigaction(ends[i], &action, NULL);
	atexit(terminal_restore);
	terminal_again();
}
