// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs the command inside a test machine and accounts for it: exit status, TSC
 * ticks, and busy ticks (those in which no processor idled).
 *
 * usage: agent CHANNEL OUTPUT-DIR PORT COMMAND [ARG...]
 *
 * CHANNEL is the serial line to the machine's owner. The command's output goes
 * there as it comes, then one record "\x1e{JSON}\n", then, if OUTPUT-DIR is not
 * empty, that directory as a tar archive until the end of the stream. The archive
 * goes to PORT if there is such a device, since a serial line is slow.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

struct sample {
	uint64_t tsc;
	uint64_t ns;
	uint64_t idle_jiffies;	/* USER_HZ, summed over all processors */
};

static void die(const char *what)
{
	fprintf(stderr, "agent: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void take_sample(struct sample *s)
{
	unsigned long long idle = 0, iowait = 0;
	struct timespec ts;
	FILE *f;

	f = fopen("/proc/stat", "re");
	if (!f || fscanf(f, "cpu %*u %*u %*u %llu %llu", &idle, &iowait) != 2)
		die("/proc/stat");
	fclose(f);
	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	s->tsc = __rdtsc();
	s->ns = ts.tv_sec * 1000000000ULL + ts.tv_nsec;
	s->idle_jiffies = idle + iowait;
}

static uint64_t idle_ticks(const struct sample *begin, const struct sample *end)
{
	uint64_t ns = end->ns - begin->ns;
	double ticks_per_ns = ns ? (double)(end->tsc - begin->tsc) / ns : 0;
	double idle_ns = (end->idle_jiffies - begin->idle_jiffies) * 1e9 / sysconf(_SC_CLK_TCK);

	return idle_ns * ticks_per_ns;
}

static int open_channel(const char *path)
{
	struct termios tio;
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || tcgetattr(fd, &tio))
		die(path);
	cfmakeraw(&tio);
	cfsetspeed(&tio, B115200);
	tio.c_cflag |= CLOCAL;
	if (tcsetattr(fd, TCSANOW, &tio))
		die(path);
	return fd;
}

static pid_t spawn(int out, int err, const char * const *argv)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid)
		return pid;
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	setsid();
	execvp(argv[0], (char * const *)argv);
	fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/* The exit status as a shell gives it. */
static int wait_status(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void write_record(int channel, int status, long cpus, uint64_t ticks, uint64_t busy,
			 uint64_t ns)
{
	dprintf(channel, "\x1e{\"status\": %d, \"cpus\": %ld, ", status, cpus);
	dprintf(channel, "\"ticks\": %llu, \"busy_ticks\": %llu, \"ns\": %llu}\n",
		(unsigned long long)ticks, (unsigned long long)busy, (unsigned long long)ns);
}

int main(int argc, char **argv)
{
	struct sample begin, end;
	uint64_t ticks, idle;
	int channel, port, status;
	long cpus;

	if (argc < 5) {
		fprintf(stderr, "usage: agent CHANNEL OUTPUT-DIR PORT COMMAND [ARG...]\n");
		return 2;
	}
	channel = open_channel(argv[1]);
	cpus = sysconf(_SC_NPROCESSORS_ONLN);

	take_sample(&begin);
	status = wait_status(spawn(channel, channel, (const char * const *)argv + 4));
	take_sample(&end);

	ticks = end.tsc - begin.tsc;
	idle = idle_ticks(&begin, &end);
	if (idle > ticks * cpus)
		idle = ticks * cpus;
	write_record(channel, status, cpus, ticks, ticks * cpus - idle, end.ns - begin.ns);

	/* rmdir() is the shortest way to ask whether a directory is empty. */
	if (rmdir(argv[2]) && (errno == ENOTEMPTY || errno == EEXIST)) {
		const char * const tar[] = { "tar", "-C", argv[2], "-cf", "-", ".", NULL };

		port = open(argv[3], O_WRONLY | O_CLOEXEC);
		if (wait_status(spawn(port < 0 ? channel : port, STDERR_FILENO, tar)))
			fprintf(stderr, "agent: tar failed\n");
	}
	tcdrain(channel);
	return 0;
}
