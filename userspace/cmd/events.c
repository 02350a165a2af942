// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "remote.h"
#include "base/fail.h"
#include "base/tell.h"

static void print_event(struct json_object *event)
{
	int64_t ns = member_number(event, "time_ns", 0);
	time_t seconds = ns / 1000000000;
	char stamp[32];
	struct tm tm;

	localtime_r(&seconds, &tm);
	strftime(stamp, sizeof(stamp), "%H:%M:%S", &tm);
	tell("%s.%03d  %s", stamp, (int)(ns / 1000000 % 1000),
	       member_string(event, "event", "?"));
	json_object_object_foreach(event, key, value)
		if (strcmp(key, "event") && strcmp(key, "time_ns"))
			tell("  %s=%s", key, json_object_get_string(value) ?: "-");
	tell("\n");
}

static int run_events(int argc, char **argv)
{
	struct remote_options options = { NULL };
	struct json_object *line;
	struct control_link link;
	struct registry_vm vm;

	remote_find(&command_events, argc, argv, &options, &vm);
	setvbuf(stdout, NULL, _IOLBF, 0);
	remote_connect(&vm, &link);
	line = control_ask(&link, "subscribe", NULL, -1, REMOTE_TIMEOUT_MS, NULL, NULL);
	if (!line)
		fail(EXIT_CODE_ERROR, "%s cannot be asked: %s", vm.name, link.error.words);
	json_object_put(line);
	while ((line = control_read(&link, -1))) {
		if (options.json)
			remote_print(line);
		else
			print_event(line);
		json_object_put(line);
	}
	if (link.error.words[0])
		fail(EXIT_CODE_ERROR, "%s: %s", vm.name, link.error.words);
	control_disconnect(&link);
	registry_put(&vm);
	return EXIT_CODE_OK;
}

const struct command command_events = {
	.name = "events",
	.summary = "show what happens to a VM, as it happens",
	.usage = "NAME [--json]",
	.about =
"There is a line for each event until the VM's process ends: \"state\" when its state "
"changes, \"suspend-progress\", \"end\", and the events of a migration.",
	.options = remote_specs,
	.examples =
"gondola events vm1 --json | jq -r 'select(.event == \"state\").state'",
	.status =
"0 the VM's process ended, 2 wrong usage, 14 error, 20 the VM has no process",
	.run = run_events,
};
