// SPDX-License-Identifier: GPL-2.0-only
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "remote.h"
#include "base/fail.h"
#include "base/wait.h"

#define DEFAULT_SECONDS	60

struct stop_options {
	struct remote_options remote;
	unsigned int seconds;
};

static const struct option_spec specs[] = {
	REMOTE_OPTIONS,
	OPTION("--timeout", "SECONDS", "How long to wait (default 60); 0: do not wait.", NUMBER,
	       struct stop_options, seconds, .max = 86400),
	{ .name = NULL }
};

/* There is no guest yet: end the process. */
static struct json_object *end_wait(const char *name)
{
	int process = registry_open_process(name);

	if (process < 0 || syscall(SYS_pidfd_send_signal, process, SIGTERM, NULL, 0))
		fail(EXIT_CODE_ERROR, "%s waits for a VM, and its process cannot be told to end",
		     name);
	close(process);
	return json_object_new_object();
}

static int run_stop(int argc, char **argv)
{
	struct stop_options options = { .seconds = DEFAULT_SECONDS };
	struct json_object *answer;
	struct registry_vm vm;
	int64_t until_ms;

	remote_find(&command_stop, argc, argv, &options.remote, &vm);
	answer = vm.state == VM_STATE_WAITING ? end_wait(vm.name) :
		 remote_ask(&vm, "stop", NULL, REMOTE_TIMEOUT_MS);
	until_ms = wait_now_ms() + options.seconds * 1000ll;
	while (options.seconds && registry_is_active(vm.name)) {
		if (wait_now_ms() >= until_ms)
			fail(EXIT_CODE_ERROR, "%s was asked to power off and has not within %u seconds",
			     vm.name, options.seconds);
		usleep(100000);
	}
	if (options.remote.json)
		remote_print(answer);
	json_object_put(answer);
	registry_put(&vm);
	return EXIT_CODE_OK;
}

const struct command command_stop = {
	.name = "stop",
	.summary = "press a VM's power button and wait until it is off",
	.usage = "NAME [--timeout SECONDS] [--json]",
	.about =
"ACPI tells the guest, which powers itself off if it listens: Linux needs its module "
"\"button\", and a program that acts on it, such as systemd. If the guest does not listen "
"at all, the command fails at once. One that has halted all its processors with interrupts "
"off, as Linux does without ACPI (acpi=off), is ended. A \"gondola receive\" that still waits for its VM ends.",
	.options = specs,
	.examples =
"gondola stop vm1 || gondola kill vm1",
	.status =
"0 the VM is off, 2 wrong usage, 14 it is not off, 20 it does not run",
	.run = run_stop,
};
