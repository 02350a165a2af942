// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "remote.h"
#include "share.h"
#include "base/fail.h"
#include "base/tell.h"

/* Sizes and times for people; the objects of --json have bytes and nanoseconds. */
static const char *words_of(struct json_object *object, const char *member,
			    struct json_object *value)
{
	static const char *const sizes[] = {
		"memory", "target", "rate", "floor", "held", "keep", "discarded", "reported",
		"memory_limit",
	};
	static char text[32];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (!strcmp(member, sizes[i]) && !json_object_is_type(value, json_type_string))
			return remote_size(member_count(object, member), text, sizeof(text));
	return json_object_get_string(value) ?: "-";
}

static void show(const char *name, struct json_object *value)
{
	if (json_object_is_type(value, json_type_array)) {
		tell("%-14s ", name);
		for (size_t i = 0; i < json_object_array_length(value); i++)
			tell(" %s", json_object_get_string(json_object_array_get_idx(value, i)) ?: "-");
		tell("\n");
	} else if (json_object_is_type(value, json_type_object)) {
		tell("%s:\n", name);
		json_object_object_foreach(value, key, member)
			tell("  %-12s  %s\n", key, words_of(value, key, member));
	} else {
		tell("%-14s  %s\n", name, json_object_get_string(value) ?: "-");
	}
}

/* Describe a VM without a process by its files. */
static struct json_object *passive(const struct registry_vm *vm)
{
	struct json_object *status = json_object_new_object(), *arguments;

	json_object_object_add(status, "name", json_object_new_string(vm->name));
	json_object_object_add(status, "state", json_object_new_string(vm_state_name(vm->state)));
	if (vm->pid)
		json_object_object_add(status, "pid", json_object_new_int(vm->pid));
	if (vm->state == VM_STATE_SUSPENDED)
		json_object_object_add(status, "saved_state", json_object_new_string(
			registry_path(REGISTRY_SAVED, vm->name)));
	if (vm->state == VM_STATE_AWAY)
		json_object_object_add(status, "moved_to", json_object_new_string(vm->moved_to));
	arguments = member_array(vm->config, "arguments");
	if (arguments)
		json_object_object_add(status, "arguments", json_object_get(arguments));
	return status;
}

static int run_status(int argc, char **argv)
{
	struct remote_options options = { NULL };
	struct json_object *status, *share;
	struct registry_vm vm;
	char text[32];

	remote_find(&command_status, argc, argv, &options, &vm);
	status = vm.answers ? json_object_get(vm.status) : passive(&vm);
	json_object_object_del(status, "ok");
	share = vm.pid ? share_show(vm.name, vm.pid) : NULL;
	if (share)
		json_object_object_add(status, "share", share);
	if (options.json) {
		remote_print(status);
	} else {
		json_object_object_foreach(status, key, value) {
			if (!strcmp(key, "memory"))
				tell("%-14s  %s\n", key,
				       remote_size(member_count(status, key), text, sizeof(text)));
			else if (!strcmp(key, "uptime_ns"))
				tell("%-14s  %s\n", "uptime",
				       remote_time(member_count(status, key), text, sizeof(text)));
			else
				show(key, value);
		}
	}
	json_object_put(status);
	registry_put(&vm);
	return EXIT_CODE_OK;
}

const struct command command_status = {
	.name = "status",
	.summary = "show all that is known of a VM",
	.usage = "NAME [--json]",
	.about =
"The states are inactive (there is a configuration), suspended (there is a saved state), "
"away (it moved to another host, or was about to when its process ended), "
"starting, waiting (for its source, as \"gondola receive\" does), running, paused (with the "
"reasons), suspending, dumping (\"gondola dump\" writes its memory to a file), receiving (the VM comes from another host), committing (it has come, and is about to run here), migrating (it goes to "
"another host), migrated, and unresponsive (its process does not answer). A VM with a share of its "
"own (see \"gondola help set\") shows what it has now.",
	.options = remote_specs,
	.examples =
"gondola status vm1 --json | jq -r .state",
	.status =
"0 done, 2 wrong usage, 14 error, 20 there is no VM of that name",
	.run = run_status,
};
