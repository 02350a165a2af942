// SPDX-License-Identifier: GPL-2.0-only
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

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

int caller_spawn(pid_t *child, const char *program, const posix_spawn_file_actions_t *actions, short flags,
		 char *const argv[])
{
	posix_spawnattr_t attributes;
	sigset_t none, defaults;
	int ret;

	posix_spawnattr_init(&attributes);
	sigemptyset(&none);
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	sigaddset(&defaults, SIGXFSZ);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &defaults);
	posix_spawnattr_setflags(&attributes, (short)(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | flags));
	caller_give_back();
	ret = posix_spawnp(child, program, actions, &attributes, argv, environ);
	caller_adapt();
	posix_spawnattr_destroy(&attributes);
	return ret;
}
