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

#define PROCESSORS	2	/* of a Bochs machine */
#define LOOK_US		500000u
#define PATIENCE	4u	/* looks without a sign of the other processor */

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

static void send_nmis(void)
{
	int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "l", 1) != 1)
		perror("/proc/sysrq-trigger");
	close(fd);
}

static void look_after(int other, atomic_uint *signs, int self)
{
	unsigned int seen = 0, silent = 0;

	for (;;) {
		atomic_fetch_add(&signs[self], 1);
		usleep(LOOK_US);
		silent = atomic_load(&signs[other]) == seen ? silent + 1 : 0;
		seen = atomic_load(&signs[other]);
		if (silent >= PATIENCE) {
			send_nmis();
			silent = 0;
		}
	}
}

void deaf_begin(void)
{
	pid_t parent = getpid();
	atomic_uint *signs;

	if (!in_bochs() || sysconf(_SC_NPROCESSORS_ONLN) != PROCESSORS)
		return;
	signs = mmap(NULL, PROCESSORS * sizeof(*signs), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (signs == MAP_FAILED)
		_exit(99);
	for (int i = 0; i < PROCESSORS; i++) {
		cpu_set_t set;

		if (fork())
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		CPU_ZERO(&set);
		CPU_SET(i, &set);
		if (getppid() != parent || sched_setaffinity(0, sizeof(set), &set))
			_exit(99);
		look_after(!i, signs, i);
	}
}
