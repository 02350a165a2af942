// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "remote.h"
#include "base/fail.h"
#include "base/wait.h"

#define PATIENCE_MS	3000

static bool gone(const char *name, int64_t until_ms)
{
	while (registry_is_active(name)) {
		if (wait_now_ms() >= until_ms)
			return false;
		usleep(20000);
	}
	return true;
}

/* A process that still answers ends properly, with its report, and removes its sockets. */
static bool ask(const char *name, int64_t until_ms)
{
	int64_t left = until_ms - wait_now_ms();
	struct control_link link;

	if (left > 0 &&
	    !control_connect(&link, registry_path(REGISTRY_CONTROL, name), (int)left)) {
		left = until_ms - wait_now_ms();
		json_object_put(control_ask(&link, "kill", NULL, -1, left > 0 ? (int)left : 0,
					    NULL, NULL));
		control_disconnect(&link);
	}
	return gone(name, until_ms);
}

static void kill_process(const char *name, int process)
{
	if (process < 0)
		fail(EXIT_CODE_ERROR, "cannot find out which process %s has", name);
	if (syscall(SYS_pidfd_send_signal, process, SIGKILL, NULL, 0) && errno != ESRCH)
		fail(EXIT_CODE_ERROR, "the process of %s cannot be killed: %s", name,
		     strerror(errno));
	/* The process ends when its memory is freed. */
	if (!gone(name, wait_now_ms() + 10 * PATIENCE_MS))
		fail(EXIT_CODE_ERROR, "the process of %s was killed and does not end", name);
}

static int run_kill(int argc, char **argv)
{
	struct remote_options options = { NULL };
	int64_t until_ms;
	bool hard = false;
	int process;

	parse_options(&command_kill, argc, argv, &options);
	if (!options.name)
		fail(EXIT_CODE_USAGE, "kill: which VM? (see gondola help kill)");
	remote_registry();
	/* Do not ask for its status, which would wait a second time for a process that does not answer. */
	if (!registry_is_active(options.name)) {
		struct registry_vm vm;

		if (registry_find(options.name, &vm))
			fail(EXIT_CODE_STATE, "there is no VM %s (see gondola list)", options.name);
		remote_check("kill", &vm);
		registry_put(&vm);
	}
	until_ms = wait_now_ms() + PATIENCE_MS;
	/* Hold a descriptor from now on, so that no other process of this name is killed. */
	process = registry_open_process(options.name);
	if (!ask(options.name, until_ms)) {
		hard = true;
		kill_process(options.name, process);
	}
	if (process >= 0)
		close(process);
	if (options.json)
		printf("{\"name\":\"%s\",\"by_signal\":%s}\n", options.name, hard ? "true" : "false");
	return EXIT_CODE_OK;
}

const struct command command_kill = {
	.name = "kill",
	.summary = "end a VM at once",
	.usage = "NAME [--json]",
	.about =
"This is like pulling the plug: what the guest has not written to its disks is lost. A "
"process that does not answer within 3 seconds is killed by a signal.",
	.options = remote_specs,
	.examples =
"gondola stop vm1 --timeout 30 || gondola kill vm1",
	.status =
"0 the VM's process is gone, 2 wrong usage, 14 error, 20 the VM has no process",
	.run = run_kill,
};
