// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "deaf.h"

#define GUESTS		0	/* the processor that they run on */
#define LOOK_US		500000u
#define PATIENCE	4u	/* looks without a sign */

static bool in_bochs(void)
{
	FILE *file = fopen("/sys/class/dmi/id/bios_version", "re");
	char line[64] = "";
	bool found;

	if (!file)
		return false;
	found = fgets(line, sizeof(line), file) && strstr(line, "Bochs");
	fclose(file);
	return found;
}

static void tell_kernel(const char *path, const char *words)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, words, strlen(words)) < 0)
		perror(path);
	close(fd);
}

static bool stay_on(int processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	return !sched_setaffinity(0, sizeof(set), &set);
}

/* A process of this one's that does @work on @processor. */
static void begin(int processor, void (*work)(atomic_uint *signs), atomic_uint *signs)
{
	pid_t parent = getpid();

	if (fork())
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent && stay_on(processor))
		work(signs);
	_exit(99);
}

static void give_signs(atomic_uint *signs)
{
	for (;;) {
		atomic_fetch_add(signs, 1);
		usleep(LOOK_US);
	}
}

static void look_for_signs(atomic_uint *signs)
{
	unsigned int seen = 0, silent = 0;

	for (;;) {
		usleep(LOOK_US);
		silent = atomic_load(signs) == seen ? silent + 1 : 0;
		seen = atomic_load(signs);
		if (silent >= PATIENCE) {
			tell_kernel("/proc/sysrq-trigger", "l");
			silent = 0;
		}
	}
}

void deaf_begin(void)
{
	atomic_uint *signs;

	if (!in_bochs() || sysconf(_SC_NPROCESSORS_ONLN) < 2)
		return;
	signs = mmap(NULL, sizeof(*signs), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (signs == MAP_FAILED || !stay_on(GUESTS))
		_exit(99);
	/* khugepaged waits on the second processor, with preemption off, for what guests have mapped. */
	tell_kernel("/sys/kernel/mm/transparent_hugepage/enabled", "never");
	begin(GUESTS, give_signs, signs);
	begin(!GUESTS, look_for_signs, signs);
}
