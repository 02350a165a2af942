// SPDX-License-Identifier: GPL-2.0-only
/*
 * faults N SECONDS: N processes, each on a processor of its own and with memory
 * of its own, do nothing but fault new pages in.  Prints how many they got.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE	4096
#define PAGES	256

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void work(int cpu, double end, int out)
{
	unsigned long pages = 0;
	cpu_set_t set;
	char *p;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	p = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (sched_setaffinity(0, sizeof(set), &set) || p == MAP_FAILED ||
	    madvise(p, PAGES * PAGE, MADV_NOHUGEPAGE))
		_exit(1);
	while (now() < end) {
		for (int i = 0; i < PAGES; i++)
			p[i * PAGE] = 1;
		if (madvise(p, PAGES * PAGE, MADV_DONTNEED))
			_exit(1);
		pages += PAGES;
	}
	_exit(write(out, &pages, sizeof(pages)) != sizeof(pages));
}

int main(int argc, char **argv)
{
	int count = argc == 3 ? atoi(argv[1]) : 0, status, pipes[2];
	double end = now() + (argc == 3 ? atoi(argv[2]) : 0);
	unsigned long pages, sum = 0;

	if (count < 1 || pipe(pipes)) {
		fprintf(stderr, "usage: faults N SECONDS\n");
		return 2;
	}
	for (int i = 0; i < count; i++)
		if (!fork())
			work(i, end, pipes[1]);
	for (int i = 0; i < count; i++) {
		if (wait(&status) < 0 || status)
			return 1;
		if (read(pipes[0], &pages, sizeof(pages)) != sizeof(pages))
			return 1;
		sum += pages;
	}
	printf("FAULTS processes=%d pages=%lu\n", count, sum);
	return 0;
}
