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

static void set_raw(void)
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

/* The default action of all others ends the program. */
static bool ends_program(int number)
{
	static const int others[] = {
		SIGCHLD, SIGCONT, SIGURG, SIGWINCH, SIGTSTP, SIGTTIN, SIGTTOU, SIGSTOP, SIGKILL,
	};

	for (unsigned int i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (number == others[i])
			return false;
	return true;
}

void terminal_raw(int fd)
{
	struct sigaction action = { .sa_handler = on_end, .sa_flags = SA_RESETHAND | SA_NODEFER };
	struct sigaction now;

	terminal_fd = fd;
	job = getpgrp();
	/* A signal that is ignored or handled does not end the program. */
	for (int number = 1; number <= SIGRTMAX; number++)
		if (ends_program(number) && !sigaction(number, NULL, &now) &&
		    now.sa_handler == SIG_DFL)
			sigaction(number, &action, NULL);
	atexit(terminal_restore);
	set_raw();
}

void terminal_job_signals(sigset_t *signals)
{
	sigaddset(signals, SIGCONT);
	if (!signals_ignored(SIGTSTP))
		sigaddset(signals, SIGTSTP);
}

void terminal_job_signal(int number)
{
	sigset_t stop, before;

	if (number == SIGTSTP) {
		terminal_restore();
		/* The default action, which does nothing if no shell could continue us. */
		sigemptyset(&stop);
		sigaddset(&stop, SIGTSTP);
		raise(SIGTSTP);
		pthread_sigmask(SIG_UNBLOCK, &stop, &before);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	set_raw();
}
