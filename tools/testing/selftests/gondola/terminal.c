// SPDX-License-Identifier: GPL-2.0-only
/* The launcher at a terminal: every key reaches the guest, and the modes are given back. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "machine.h"

#define PATIENCE_MS	20000

/* The user's side of a terminal with a launcher at the other. */
static int user = -1, terminal = -1;
static pid_t launcher;
static char screen[8192];
static size_t shown;

static void start(const char *guest, const char *append)
{
	machine_need_engine();
	shown = 0;
	require_equal(openpty(&user, &terminal, NULL, NULL, NULL), 0);
	launcher = fork();
	require(launcher >= 0);
	if (!launcher) {
		setsid();
		ioctl(terminal, TIOCSCTTY, 0);
		for (int fd = 0; fd < 3; fd++)
			dup2(terminal, fd);
		close(user);
		execlp("gondola", "gondola", "run", "--kernel", guest, "--append", append, NULL);
		_exit(127);
	}
}

/* Waits until @words were printed. */
static void await(const char *words)
{
	struct pollfd fd = { .fd = user, .events = POLLIN };

	for (;;) {
		ssize_t count;

		screen[shown] = 0;
		if (strstr(screen, words))
			return;
		if (poll(&fd, 1, PATIENCE_MS) != 1)
			break;
		count = read(user, screen + shown, sizeof(screen) - 1 - shown);
		if (count <= 0)
			break;
		shown += count;
	}
	tap_check(false, true, "no \"%s\" in: %s", words, screen);
}

static void press(const char *keys, size_t count)
{
	require_equal(write(user, keys, count), count);
}

static bool is_raw(void)
{
	struct termios modes;

	require_equal(tcgetattr(terminal, &modes), 0);
	return !(modes.c_lflag & (ICANON | ECHO | ISIG));
}

/* Its exit status, or its signal as a negative number. */
static int finish(void)
{
	int status;

	require_equal(waitpid(launcher, &status, 0), launcher);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void hang_up(void)
{
	close(user);
	close(terminal);
}

static void keys(void)
{
	/* Ctrl-C, Ctrl-D, escape, carriage return, two Ctrl-A for one, a letter. */
	static const char pressed[] = "\003\004\033\r\001\001a";

	start("guests/echo", "");
	await("ready\n");
	expect(is_raw());
	press(pressed, sizeof(pressed) - 1);
	await("03\n04\n1b\n0d\n01\n61\n");
	press("q", 1);
	expect_equal(finish(), 3);
	expect(!is_raw());
	hang_up();
}

/* More than any FIFO holds, at once. */
static void typed_ahead(void)
{
	static char typed[1000];

	start("guests/echo", "");
	await("ready\n");
	memset(typed, 'z', sizeof(typed));
	typed[sizeof(typed) - 1] = 'q';
	press(typed, sizeof(typed));
	expect_equal(finish(), 3);
	await("71\n");
	for (size_t i = 0, lines = 0; i <= shown; i++) {
		lines += !strncmp(screen + i, "7a\n", 3);
		if (i == shown)
			expect_equal(lines, sizeof(typed) - 1);
	}
	hang_up();
}

static void left_by_keys(void)
{
	start("guests/loop", "sti");
	await("looping");
	/* A guest that does not listen must not keep anybody from leaving it. */
	press("hello?\r\r", 8);
	usleep(200000);
	press("\001x", 2);
	expect_equal(finish(), 12);
	await("stopped from the keyboard");
	expect(!is_raw());
	hang_up();
}

static void ended_by(int number, int status)
{
	start("guests/loop", "sti");
	await("looping");
	expect(is_raw());
	require_equal(kill(launcher, number), 0);
	expect_equal(finish(), status);
	tap_check(!is_raw(), false, "raw after signal %d", number);
	hang_up();
}

static void restored(void)
{
	ended_by(SIGTERM, 12);
	ended_by(SIGHUP, 12);
	/* As if it had crashed. */
	ended_by(SIGSEGV, -SIGSEGV);
	ended_by(SIGABRT, -SIGABRT);
}

static void triple_fault(void)
{
	start("guests/triple", "");
	expect_equal(finish(), 8);
	await("idt");
	expect(!is_raw());
	hang_up();
}

static const struct tap_test tests[] = {
	{ "every key reaches the guest", keys },
	{ "what is typed ahead waits", typed_ahead },
	{ "Ctrl-A x leaves", left_by_keys },
	{ "signals and crashes restore the modes", restored },
	{ "so does a triple fault", triple_fault },
};

TAP_MAIN(tests)
