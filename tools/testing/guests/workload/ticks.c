// SPDX-License-Identifier: GPL-2.0-only
/*
 * ticks: prints the time-stamp counter.
 * ticks COMMAND [ARG...]: runs the command, puts the counter in front of every
 * line of its output, and adds the lines "TICKS begin" and "TICKS end STATUS".
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

static void copy_lines(int fd)
{
	unsigned long long stamp = 0;
	char buf[4096];
	int at_start = 1;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			if (at_start) {
				stamp = __rdtsc();
				printf("%llu ", stamp);
			}
			putchar(buf[i]);
			at_start = buf[i] == '\n';
		}
		fflush(stdout);
	}
	if (!at_start)
		putchar('\n');
}

int main(int argc, char **argv)
{
	int status, fds[2];
	pid_t pid;

	if (argc < 2) {
		printf("%llu\n", (unsigned long long)__rdtsc());
		return 0;
	}
	if (pipe(fds)) {
		perror("ticks: pipe");
		return 1;
	}
	printf("%llu TICKS begin\n", (unsigned long long)__rdtsc());
	fflush(stdout);
	pid = fork();
	if (!pid) {
		dup2(fds[1], STDOUT_FILENO);
		close(fds[0]);
		close(fds[1]);
		execvp(argv[1], argv + 1);
		fprintf(stderr, "ticks: %s: %s\n", argv[1], strerror(errno));
		_exit(127);
	}
	close(fds[1]);
	if (pid > 0)
		copy_lines(fds[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		perror("ticks");
		return 1;
	}
	status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	printf("%llu TICKS end %d\n", (unsigned long long)__rdtsc(), status);
	return status;
}
