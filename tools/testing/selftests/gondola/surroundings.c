// SPDX-License-Identifier: GPL-2.0-only
/* The launcher where its caller left it less than usual: closed streams, limits, pipes, another job's terminal. */
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "command.h"
#include "machine.h"

#define PATIENCE_MS	60000
#define LINES		1000
#define LINE		16

static void make_lines(const char *name)
{
	int fd = open(path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char line[LINE + 1];

	require(fd >= 0);
	for (unsigned int i = 0; i < LINES; i++) {
		snprintf(line, sizeof(line), "line %10u\n", i);
		require_equal(write(fd, line, LINE), LINE);
	}
	close(fd);
}

static off_t size_of(const char *name)
{
	struct stat st;

	return stat(path(name), &st) ? 0 : st.st_size;
}

/* Until the file has more than @bytes. */
static void await_more(const char *name, off_t bytes)
{
	for (int i = 0; i < PATIENCE_MS / 20 && size_of(name) <= bytes; i++)
		usleep(20000);
	tap_check(size_of(name) > bytes, true, "%s does not grow", name);
}

/* ---- closed streams ------------------------------------------------------------------------ */

/* Nothing that the launcher opens may get the number of a stream. */
static void streams_closed(void)
{
	char link[64], target[64];
	char *log = path("log");
	pid_t child;
	int status;

	machine_need_engine();
	unlink(log);
	child = fork();
	require(child >= 0);
	if (!child) {
		for (int fd = 0; fd < 3; fd++)
			close(fd);
		execvp("gondola", ARGUMENTS("run", "--kernel", "guests/walk", "--append", "pages=4 hot=1",
					    "--console", log));
		_exit(127);
	}
	await_more("log", 0);
	for (int fd = 0; fd < 3; fd++) {
		memset(target, 0, sizeof(target));
		snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)child, fd);
		expect(readlink(link, target, sizeof(target) - 1) > 0);
		tap_check(!strcmp(target, "/dev/null"), false, "descriptor %d is %s", fd, target);
	}
	kill(child, SIGTERM);
	require_equal(waitpid(child, &status, 0), child);
	expect_equal(status, 12 << 8);
}

/* ---- files of the console -------------------------------------------------------------------- */

/* A file that may not grow is an error of the write, and not the end of the VM (SIGXFSZ). */
static void file_limit(void)
{
	struct rlimit old, limit;

	machine_need_engine();
	make_lines("lines");
	unlink(path("log"));
	require_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = old;
	limit.rlim_cur = 8192;
	require_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	EXPECT_RUN(0, "console is lost: File too large", "run", "--kernel", "guests/hello", "--append",
		   "patient=1", "--module", path("lines"), "--console", path("log"));
	require_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	expect_equal(size_of("log"), 8192);
}

/* A user empties the file to get room. Later output begins at its start. */
static void file_emptied(void)
{
	char *log = path("log"), first = 'x';
	pid_t child;
	int from, fd;

	machine_need_engine();
	unlink(log);
	child = start(&from, ARGUMENTS("run", "--kernel", "guests/walk", "--append", "pages=4 hot=1",
				       "--console", log));
	await_more("log", 4096);
	require_equal(truncate(log, 0), 0);
	await_more("log", 0);
	kill(child, SIGTERM);
	expect_equal(finish(child, from), 12);
	fd = open(log, O_RDONLY | O_CLOEXEC);
	require_equal(read(fd, &first, 1), 1);
	close(fd);
	expect(first);
}

/* A pipe that nobody reads yet is waited for, in words. */
static void console_pipe(void)
{
	char *pipe = path("pipe"), words[128] = "", text[4096];
	struct pollfd said;
	size_t used = 0;
	pid_t child;
	int from, fd;

	machine_need_engine();
	child = start(&from, ARGUMENTS("run", "--kernel", "guests/hello", "--console", pipe));
	said = (struct pollfd){ .fd = from, .events = POLLIN };
	if (poll(&said, 1, PATIENCE_MS) == 1)
		expect(read(from, words, sizeof(words) - 1) > 0);
	tap_check(strstr(words, "waiting for a program that reads it"), false, "it says: %s", words);
	fd = open(pipe, O_RDONLY | O_CLOEXEC);
	require(fd >= 0);
	for (ssize_t got; (got = read(fd, text + used, sizeof(text) - 1 - used)) > 0; used += got)
		;
	text[used] = 0;
	close(fd);
	expect_equal(finish(child, from), 0);
	expect(strstr(text, "hello from the guest"));
}

/* A disk needs a file, and the launcher does not wait for a writer to find that out. */
static void disk_pipe(void)
{
	char disk[160];

	snprintf(disk, sizeof(disk), "%s,ro", path("pipe"));
	machine_need_engine();
	alarm(PATIENCE_MS / 1000);
	EXPECT_RUN(2, "neither a file nor", "run", "--kernel", "guests/hello", "--disk", disk);
	alarm(0);
}

/* A kernel's pipe that nobody writes yet is waited for, in words. */
static void kernel_pipe(void)
{
	char *pipe = path("pipe"), words[128] = "", data[65536];
	struct pollfd said;
	int from, fd, kernel;
	ssize_t count;
	pid_t child;

	machine_need_engine();
	child = start(&from, ARGUMENTS("run", "--kernel", pipe));
	said = (struct pollfd){ .fd = from, .events = POLLIN };
	if (poll(&said, 1, PATIENCE_MS) == 1)
		expect(read(from, words, sizeof(words) - 1) > 0);
	tap_check(strstr(words, "waiting for a program that writes it"), false, "it says: %s", words);
	kernel = open("guests/hello", O_RDONLY | O_CLOEXEC);
	fd = open(pipe, O_WRONLY | O_CLOEXEC);
	require(kernel >= 0 && fd >= 0);
	while ((count = read(kernel, data, sizeof(data))) > 0)
		require_equal(write(fd, data, count), count);
	close(kernel);
	close(fd);
	expect_equal(finish(child, from), 0);
	expect(strstr(output, "hello from the guest"));
}

/* ---- few descriptors -------------------------------------------------------------------------- */

#define PORTS	14

/* A VM with many devices, of a process that may have @soft descriptors, and raise that to @hard. */
static void run_with(rlim_t soft, rlim_t hard, int status, const char *words)
{
	static char *arguments[6 + 2 * PORTS] = { "gondola", "run", "--kernel", "guests/hello" };
	static char ports[PORTS][160];
	struct rlimit old, limit = { soft, hard };

	for (unsigned int i = 0; i < PORTS; i++) {
		snprintf(ports[i], sizeof(ports[i]), "p%u=%s", i, path("log"));
		arguments[4 + 2 * i] = "--port";
		arguments[5 + 2 * i] = ports[i];
	}
	require_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	require_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	expect_run(__FILE__, __LINE__, status, words, arguments);
	/* Root may. */
	require_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
}

static void few_descriptors(void)
{
	machine_need_engine();
	run_with(24, 1024, 0, "hello from the guest");
	run_with(24, 24, 14, "Too many open files (this process may have more");
}

/* ---- another job's terminal -------------------------------------------------------------------- */

static int user = -1, terminal = -1;

static bool is_raw(void)
{
	struct termios modes;

	require_equal(tcgetattr(terminal, &modes), 0);
	return !(modes.c_lflag & (ICANON | ECHO | ISIG));
}

/* In the test's session, whose terminal another job has. */
static pid_t start_job(char *const *argv)
{
	pid_t child = fork();

	require(child >= 0);
	if (child)
		return child;
	setpgid(0, 0);
	for (int fd = 0; fd < 3; fd++)
		dup2(terminal, fd);
	execvp("gondola", argv);
	_exit(127);
}

static char screen[65536];

/* Waits for @words on the screen; false: they do not come. */
static bool shows(const char *words)
{
	static size_t shown;
	struct pollfd fd = { .fd = user, .events = POLLIN };

	for (;;) {
		ssize_t count;

		screen[shown] = 0;
		if (strstr(screen, words))
			return true;
		if (shown == sizeof(screen) - 1 || poll(&fd, 1, PATIENCE_MS) != 1)
			return false;
		count = read(user, screen + shown, sizeof(screen) - 1 - shown);
		if (count <= 0)
			return false;
		shown += count;
	}
}

static bool stopped(pid_t child)
{
	int status;

	return waitpid(child, &status, WNOHANG | WUNTRACED) == child && WIFSTOPPED(status);
}

/* A shell that does not set the modes itself must find them as they were. */
static bool stops_cooked(pid_t child)
{
	int status;

	kill(child, SIGTSTP);
	if (waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status) || is_raw())
		return false;
	kill(child, SIGCONT);
	for (int i = 0; i < 500 && !is_raw(); i++)
		usleep(20000);
	return is_raw();
}

/* The body of a session of its own: 0, or the number of the expectation that failed. */
static int in_session(void)
{
	pid_t child;
	int status;

	setsid();
	if (ioctl(terminal, TIOCSCTTY, 0))
		return 1;
	/* It writes, as a job may; it neither changes the terminal nor takes its keys. */
	child = start_job(ARGUMENTS("run", "--kernel", "guests/echo"));
	if (!shows("ready"))
		return stopped(child) ? 2 : 3;
	if (is_raw())
		return 4;
	if (write(user, "q\n", 2) != 2)
		return 5;
	usleep(500000);
	if (stopped(child))
		return 6;
	if (waitpid(child, &status, WNOHANG))
		return 7;
	/* The shell's "fg". */
	tcflush(terminal, TCIFLUSH);
	signal(SIGTTOU, SIG_IGN);
	if (tcsetpgrp(terminal, child) || kill(child, SIGCONT))
		return 8;
	for (int i = 0; i < 500 && !is_raw(); i++)
		usleep(20000);
	if (!is_raw())
		return 9;
	if (!stops_cooked(child) || !stops_cooked(child))
		return 10;
	if (write(user, "q", 1) != 1)
		return 11;
	if (waitpid(child, &status, 0) != child || status != 3 << 8)
		return 12;
	return is_raw() ? 13 : 0;
}

static void background(void)
{
	pid_t session;
	int status;

	machine_need_engine();
	require_equal(openpty(&user, &terminal, NULL, NULL, NULL), 0);
	session = fork();
	require(session >= 0);
	if (!session) {
		status = in_session();
		if (status)
			printf("# %d: %s\n", status, screen);
		fflush(stdout);
		_exit(status);
	}
	require_equal(waitpid(session, &status, 0), session);
	close(user);
	close(terminal);
	expect_equal(status >> 8, 0);
}

static const struct tap_test tests[] = {
	{ "streams that are closed stay so", streams_closed },
	{ "a file that may not grow ends nobody", file_limit },
	{ "a console's file that is emptied begins anew", file_emptied },
	{ "a console's pipe is waited for in words", console_pipe },
	{ "a disk's pipe is refused", disk_pipe },
	{ "a kernel's pipe is waited for in words", kernel_pipe },
	{ "descriptors are used up to the hard limit", few_descriptors },
	{ "in the background the terminal is left alone", background },
};

int main(void)
{
	static const char *const files[] = { "lines", "log", "pipe" };
	int status;

	if (!make_directory("around") || mkfifo(path("pipe"), 0600)) {
		perror("/tmp");
		return 1;
	}
	status = tap_run(tests, sizeof(tests) / sizeof(tests[0]));
	for (unsigned int i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(path(files[i]));
	rmdir(directory);
	return status;
}
