// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/caller.h"
#include "base/line_socket.h"
#include "internal.h"
#include "keeper.h"
#include "program.h"

#define END_MS		60000	/* to write what it still has */
#define KILL_MS		5000	/* until the kernel has taken it down */
#define TURN_US		5000
#define BEHIND		10	/* descriptors from here on are not the program's */

int program_argument(struct program *program, const char *word)
{
	if (program->argc == PROGRAM_ARGUMENTS)
		return -ENOSPC;
	program->argv[program->argc] = strdup(word);
	return program->argv[program->argc++] ? 0 : -ENOMEM;
}

/* A connection that waits at *@listener.  The path is gone before the program has it. */
static int make_connection(int *listener)
{
	char directory[] = "/tmp/gondola-XXXXXX", path[sizeof(directory) + 8];
	int fd;

	if (!mkdtemp(directory))
		return -errno;
	snprintf(path, sizeof(path), "%s/socket", directory);
	*listener = line_socket_listen(path);
	fd = *listener < 0 ? *listener : line_socket_connect(path, -1);
	if (fd < 0 && *listener >= 0)
		close(*listener);
	unlink(path);
	rmdir(directory);
	return fd;
}

/* What is too long is lost: it never waits for a reader, and takes no more memory. */
static int make_words(void)
{
	int fd = memfd_create("words", MFD_CLOEXEC | MFD_ALLOW_SEALING), ret;

	if (fd < 0)
		return -errno;
	if (!ftruncate(fd, KEEPER_WORDS) && !fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW))
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

static void fresh_signals(void)
{
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the new process. */
__attribute__((noreturn))
static void become(const struct program *program, const char *file, bool write, bool confine,
		   int listener)
{
	int words = fcntl(program->words, F_DUPFD, BEHIND), door = fcntl(listener, F_DUPFD, BEHIND);

	/* Ctrl-C is the launcher's. */
	setpgid(0, 0);
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	if (open("/dev/null", O_RDONLY) || open("/dev/null", O_WRONLY) != STDOUT_FILENO ||
	    dup2(words, STDERR_FILENO) < 0 || dup2(door, KEEPER_LISTENER) < 0 ||
	    close_range(KEEPER_LISTENER + 1, ~0u, 0))
		_exit(EXIT_FAILURE);
	fresh_signals();
	caller_give_back();
	/* A kernel without Landlock: --sandbox says that it lacks it. */
	if (confine)
		leave_files_but(file, write);
	execvp(program->argv[0], program->argv);
	dprintf(STDERR_FILENO, "%s cannot be started: %s\n", program->argv[0], strerror(errno));
	_exit(EXIT_FAILURE);
}

static int start(struct program *program, const char *file, bool write, bool confine, int listener)
{
	pid_t parent = getpid();
	/* Another thread's end is not the process's. */
	bool follows = gettid() == parent;

	program->words = make_words();
	if (program->words < 0) {
		program->words = 0;
		return -EMFILE;
	}
	program->child = fork();
	if (program->child > 0)
		return 0;
	if (program->child < 0) {
		program->child = 0;
		return -errno;
	}
	if (follows)
		prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
	become(program, file, write, confine, listener);
}

int program_run(struct program *program, const char *file, bool write, bool confine)
{
	int listener = -1, fd, ret;

	if (!program->argc)
		return -EINVAL;
	program_end(program);
	fd = make_connection(&listener);
	if (fd < 0)
		return fd;
	ret = start(program, file, write, confine, listener);
	close(listener);
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

int program_words(const struct program *program)
{
	int fd = program->words ? fcntl(program->words, F_DUPFD_CLOEXEC, 0) : -1;

	if (!program->words)
		return -ENOENT;
	return fd < 0 ? -errno : fd;
}

static bool ends_within(pid_t child, int ms)
{
	for (int waited = 0; waited < ms * 1000; waited += TURN_US) {
		if (waitpid(child, NULL, WNOHANG))
			return true;
		usleep(TURN_US);
	}
	return false;
}

void program_end(struct program *program)
{
	if (program->child) {
		kill(program->child, SIGTERM);
		if (!ends_within(program->child, END_MS)) {
			kill(program->child, SIGKILL);
			ends_within(program->child, KILL_MS);
		}
	}
	if (program->words)
		close(program->words);
	program->child = program->words = 0;
}
