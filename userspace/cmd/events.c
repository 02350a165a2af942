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
	static const struct option_spec specs[] = { REMOTE_OPTIONS, { .name = NULL } };
	struct remote_options options = { NULL };
	struct json_object *line;
	struct control_link link;
	struct registry_vm vm;

	remote_find(&command_events, argc, argv, specs, &options, &vm);
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
	.summary = "tell what happens to a VM, as it happens",
	.help =
"gondola events - tell what happens to a VM, as it happens\n"
"\n"
"USAGE\n"
"  gondola events NAME [--json]\n"
"\n"
"A line for each event, until the VM's process ends: \"state\" when its state changes,\n"
"\"suspend-progress\", \"end\" and those of a migration. With --json a line is an object.\n"
"\n"
"EXAMPLES\n"
"  gondola events vm1 --json | jq -r 'select(.event == \"state\").state'\n"
"\n"
"EXIT STATUS\n"
"  0 its process ended, 2 usage, 14 error, 20 it has no process\n",
	.run = run_events,
};
