// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "remote.h"
#include "base/fail.h"
#include "base/tell.h"

static const struct option_spec specs[] = {
	OPTION("--json", NULL,
	       "Print an object for each VM, a line each; a value that is not known is null.", FLAG,
	       struct remote_options, json),
	{ .name = NULL }
};

static struct json_object *describe(const struct registry_vm *vm)
{
	struct json_object *row = json_object_new_object();
	int64_t memory = member_number(vm->answers ? vm->status : vm->config, "memory", 0);
	int64_t vcpus = member_number(vm->answers ? vm->status : vm->config, "vcpus", 0);

	json_object_object_add(row, "name", json_object_new_string(vm->name));
	json_object_object_add(row, "state", json_object_new_string(vm_state_name(vm->state)));
	json_object_object_add(row, "memory", memory ? json_object_new_int64(memory) : NULL);
	json_object_object_add(row, "vcpus", vcpus ? json_object_new_int64(vcpus) : NULL);
	json_object_object_add(row, "uptime_ns", vm->answers ? json_object_new_int64(
			       member_number(vm->status, "uptime_ns", 0)) : NULL);
	json_object_object_add(row, "balloon", vm->answers ?
			       json_object_get(member_object(vm->status, "balloon")) : NULL);
	json_object_object_add(row, "pid", vm->pid ? json_object_new_int(vm->pid) : NULL);
	return row;
}

/* The pages in the balloon; -1: there is none. */
static int64_t balloon_bytes(struct json_object *row)
{
	return member_number(member_object(row, "balloon"), "held", -1);
}

static void print_row(struct json_object *row)
{
	char memory[32] = "-", uptime[32] = "-", balloon[32] = "-", vcpus[16] = "-";
	int64_t value = member_number(row, "memory", -1);

	if (value >= 0)
		remote_size(value, memory, sizeof(memory));
	value = member_number(row, "vcpus", -1);
	if (value >= 0)
		snprintf(vcpus, sizeof(vcpus), "%d", (int)value);
	value = member_number(row, "uptime_ns", -1);
	if (value >= 0)
		remote_time(value, uptime, sizeof(uptime));
	value = balloon_bytes(row);
	if (value >= 0)
		remote_size(value, balloon, sizeof(balloon));
	tell("%-20s  %-10s  %7s  %5s  %8s  %8s\n", member_string(row, "name", "?"),
	       member_string(row, "state", "?"), memory, vcpus, uptime, balloon);
}

static int run_list(int argc, char **argv)
{
	struct remote_options options = { NULL };
	struct registry_vm *vms;
	struct json_object *row;
	char **names;

	parse_options(&command_list, argc, argv, &options);
	remote_registry();
	names = registry_list();
	vms = registry_find_all(names, NULL);
	if (!names || !vms)
		fail(EXIT_CODE_ERROR, "out of memory");
	if (!options.json)
		tell("%-20s  %-10s  %7s  %5s  %8s  %8s\n", "NAME", "STATE", "MEMORY", "VCPUS",
		       "UPTIME", "BALLOON");
	for (size_t i = 0; names[i]; i++) {
		/* It may have vanished since the directory was read. */
		if (!vms[i].name[0])
			continue;
		row = describe(&vms[i]);
		if (options.json)
			remote_print(row);
		else
			print_row(row);
		json_object_put(row);
		registry_put(&vms[i]);
	}
	free(vms);
	registry_free_list(names);
	return EXIT_CODE_OK;
}

const struct command command_list = {
	.name = "list",
	.summary = "show all VMs and their states",
	.usage = "[--json]",
	.about =
"There is a line for each VM that was created or has a process: its state, memory and "
"processors, how long its process has run, and how much memory its balloon holds. \"-\" "
"stands for a value that is not known.",
	.options = specs,
	.examples =
"gondola list --json | jq -r 'select(.state == \"running\").name'",
	.status =
"0 done, 2 wrong usage, 14 error",
	.run = run_list,
};
