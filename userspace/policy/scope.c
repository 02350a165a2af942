// SPDX-License-Identifier: GPL-2.0-only
/* systemd is asked by its own programs: busctl and systemctl. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/caller.h"
#include "scope.h"

#define MANAGER		"org.freedesktop.systemd1"
#define SAID_MAX	512
/* An older scope of the name may be about to end. */
#define TRIES		20
#define STEP_US		100000

bool scope_is_needed(const char *directory)
{
	char delegated = 0;

	if (access("/run/systemd/system", F_OK))
		return false;
	return getxattr(directory, "user.delegate", &delegated, 1) != 1 || delegated != '1';
}

/* Put the program's words into @said, as many as fit, and return its status or -1. */
static int wait_for(pid_t child, int fd, char *said)
{
	size_t length = 0;
	ssize_t count;
	char rest[64];
	int status;

	while ((count = length < SAID_MAX - 1 ? read(fd, said + length, SAID_MAX - 1 - length) :
			read(fd, rest, sizeof(rest))) > 0 || (count < 0 && errno == EINTR))
		if (count > 0 && length < SAID_MAX - 1)
			length += (size_t)count;
	said[length] = 0;
	said[strcspn(said, "\n")] = 0;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool ask(const char *const *argv, char *said, struct error *error)
{
	posix_spawn_file_actions_t actions;
	int ends[2], ret, status;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC))
		return error_set(error, EXIT_CODE_ERROR, "cannot make a pipe: %s", strerror(errno));
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
	ret = caller_spawn(&child, argv[0], &actions, 0, (char *const *)argv);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	said[0] = 0;
	status = ret ? -1 : wait_for(child, ends[0], said);
	close(ends[0]);
	if (ret)
		return error_set(error, EXIT_CODE_ERROR, "systemd gives shares here, and its program %s cannot be run: %s",
				 argv[0], strerror(ret));
	return !status || error_set(error, EXIT_CODE_ERROR, "systemd does not give this share: %s", said);
}

/* Each user has a manager of one's own. */
static const char *whose(void)
{
	return geteuid() ? "--user" : "--system";
}

bool scope_make(const char *unit, struct error *error)
{
	char pid[24], said[SAID_MAX];
	/* A cluster moves its VMs away before the host's shutdown ends them. */
	const char *const argv[] = {
		"busctl", whose(), "--quiet", "call", MANAGER, "/org/freedesktop/systemd1", MANAGER ".Manager",
		"StartTransientUnit", "ssa(sv)a(sa(sv))", unit, "fail", "5",
		"Description", "s", "A virtual machine of gondola", "Slice", "s", "gondola.slice",
		"CollectMode", "s", "inactive-or-failed", "Before", "as", "1", "pacemaker.service",
		"PIDs", "au", "1", pid, "0", NULL
	};

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	for (int tries = TRIES; !ask(argv, said, error); tries--) {
		if (!tries || !strstr(said, "already"))
			return false;
		usleep(STEP_US);
	}
	return true;
}

bool scope_set(const char *unit, const struct cgroup_limits *limits, struct error *error)
{
	char weight[32], cap[32] = "CPUQuota=", memory[48] = "MemoryMax=infinity", cpus[4200];
	char said[SAID_MAX];
	const char *argv[12] = {
		"systemctl", whose(), "--quiet", "--runtime", "set-property", "--", unit
	};
	unsigned int count = 7;

	if (limits->weight) {
		snprintf(weight, sizeof(weight), "CPUWeight=%u", limits->weight);
		argv[count++] = weight;
	}
	if (limits->cap) {
		if (limits->cap != CGROUP_NO_CAP)
			snprintf(cap, sizeof(cap), "CPUQuota=%u%%", limits->cap);
		argv[count++] = cap;
	}
	if (limits->memory) {
		if (limits->memory != CGROUP_NO_LIMIT)
			snprintf(memory, sizeof(memory), "MemoryMax=%llu", (unsigned long long)limits->memory);
		argv[count++] = memory;
	}
	if (limits->cpus) {
		if (snprintf(cpus, sizeof(cpus), "AllowedCPUs=%s", limits->cpus) >= (int)sizeof(cpus))
			return error_set(error, EXIT_CODE_USAGE, "--cpus-pinned: the list is too long");
		argv[count++] = cpus;
	}
	return ask(argv, said, error);
}
