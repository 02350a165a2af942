// SPDX-License-Identifier: GPL-2.0-only
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "caller.h"

static mode_t mask;
static struct rlimit descriptors;
static bool raised;

void caller_adapt(void)
{
	struct rlimit all;

	/* Other threads may make files meanwhile: never with more rights than the caller gives. */
	mask = umask(0077);
	umask(mask & 0077);
	if (getrlimit(RLIMIT_NOFILE, &descriptors))
		return;
	all = (struct rlimit){ descriptors.rlim_max, descriptors.rlim_max };
	raised = !setrlimit(RLIMIT_NOFILE, &all);
}

void caller_give_back(void)
{
	umask(mask);
	if (raised)
		setrlimit(RLIMIT_NOFILE, &descriptors);
}
