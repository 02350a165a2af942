// SPDX-License-Identifier: GPL-2.0-only
#include <signal.h>
#include <stdlib.h>
#include <termios.h>

#include "terminal.h"

static int terminal_fd = -1;
static volatile sig_atomic_t raw;
static struct termios cooked;

bool terminal_is_raw(void)
{
	return raw;
}

void terminal_restore(void)
{
	if (!raw)
		return;
	raw = 0;
	tcsetattr(terminal_fd, TCSADRAIN, &cooked);
}

static void set_raw(void)
{
	struct termios modes = cooked;

	cfmakeraw(&modes);
	raw = 1;
	tcsetattr(terminal_fd, TCSADRAIN, &modes);
}

void terminal_again(void)
{
	if (raw)
		set_raw();
}

/* The handler is reset on entry, so raising the signal again ends the process. */
static void on_crash(int signal)
{
	terminal_restore();
	raise(signal);
}

void terminal_raw(int fd)
{
	static const int crashes[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS };
	struct sigaction action = { .sa_handler = on_crash };

	if (tcgetattr(fd, &cooked))
		return;
	terminal_fd = fd;
	action.sa_flags = SA_RESETHAND | SA_NODEFER;
	for (unsigned int i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++)
		sigaction(crashes[i], &action, NULL);
	atexit(terminal_restore);
	set_raw();
}
