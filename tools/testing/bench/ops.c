// SPDX-License-Identifier: GPL-2.0-only
/*
 * ops: does each of a few operations many times, and writes to the monitor's
 * count port before and after: exits an operation.
 *
 * Each operation is done once before it is counted, so that what happens only
 * the first time does not count.  Prints "OP name value count" for each, where
 * value and value + 1 are what it wrote to the port.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT_PORT	0x5f0
#define PAGE		4096
#define BLOCK		4096

static void must(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static void forks(int count)
{
	for (int i = 0; i < count; i++) {
		pid_t child = fork();

		if (!child)
			_exit(0);
		must(child > 0 && waitpid(child, NULL, 0) == child, "fork");
	}
}

/* One process that executes itself again and again; the fork before it is 1 / count of it. */
static void execs(int count)
{
	char left[16];
	int status;
	pid_t child = fork();

	must(child >= 0, "fork");
	if (!child) {
		snprintf(left, sizeof(left), "%d", count);
		execl("/proc/self/exe", "ops", "exec", left, NULL);
		_exit(1);
	}
	must(waitpid(child, &status, 0) == child && status == 0, "exec");
}

static void exec_again(int left)
{
	char text[16];

	if (left <= 1)
		exit(0);
	snprintf(text, sizeof(text), "%d", left - 1);
	execl("/proc/self/exe", "ops", "exec", text, NULL);
	exit(1);
}

/* Sixteen pages: mapped, each written once, unmapped. */
static void mmaps(int count)
{
	for (int i = 0; i < count; i++) {
		char *p = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		must(p != MAP_FAILED, "mmap");
		for (int j = 0; j < 16; j++)
			p[j * PAGE] = 1;
		munmap(p, 16 * PAGE);
	}
}

/* One new page each, in an area that is there: what a fault alone costs. */
static void faults(int count)
{
	char *p = mmap(NULL, (size_t)count * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(p != MAP_FAILED && !madvise(p, (size_t)count * PAGE, MADV_NOHUGEPAGE), "mmap");
	for (int i = 0; i < count; i++)
		p[(size_t)i * PAGE] = 1;
	munmap(p, (size_t)count * PAGE);
}

/* To another process and back through pipes: two switches each. */
static void switches(int count)
{
	int there[2], back[2];
	char c = 0;
	pid_t child;

	must(!pipe(there) && !pipe(back), "pipe");
	child = fork();
	must(child >= 0, "fork");
	if (!child) {
		close(there[1]);
		while (read(there[0], &c, 1) == 1)
			must(write(back[1], &c, 1) == 1, "write");
		_exit(0);
	}
	close(there[0]);
	for (int i = 0; i < count / 2; i++)
		must(write(there[1], &c, 1) == 1 && read(back[0], &c, 1) == 1, "ping");
	close(there[1]);
	waitpid(child, NULL, 0);
	close(back[0]);
	close(back[1]);
}

/* 4 KiB each from the disk itself, one after the other. */
static void reads(int count)
{
	int fd = open("/dev/vda", O_RDONLY | O_DIRECT);
	void *buffer;

	must(fd >= 0, "/dev/vda");
	must(!posix_memalign(&buffer, BLOCK, BLOCK), "memory");
	for (int i = 0; i < count; i++)
		must(pread(fd, buffer, BLOCK, (off_t)i * BLOCK) == BLOCK, "read");
	free(buffer);
	close(fd);
}

static const struct {
	const char *name;
	void (*run)(int count);
	int count;
} ops[] = {
	{ "fork", forks, 200 },
	{ "exec", execs, 200 },
	{ "mmap", mmaps, 500 },
	{ "fault", faults, 2000 },
	{ "context_switch", switches, 2000 },
	{ "block_read", reads, 500 },
};

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "exec"))
		exec_again(atoi(argv[2]));
	must(!iopl(3), "iopl");
	for (unsigned int i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		ops[i].run(ops[i].count);
		outl(2 * i, COUNT_PORT);
		ops[i].run(ops[i].count);
		outl(2 * i + 1, COUNT_PORT);
		printf("OP %s %u %d\n", ops[i].name, 2 * i, ops[i].count);
	}
	/* An idle second: what a guest costs that does nothing. */
	sleep(1);
	outl(100, COUNT_PORT);
	sleep(10);
	outl(101, COUNT_PORT);
	printf("OP idle_second 100 10\nOP end\n");
	return 0;
}
