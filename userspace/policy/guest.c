// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "base/member.h"
#include "guest.h"
#include "control/registry.h"

/* Get the control socket of a VM with a process, or NULL with words in @guest. */
static const char *path_of(struct guest *guest, const char *name)
{
	struct error *error = &guest->link.error;
	const char *starting;
	struct registry_vm vm;
	bool runs;

	if (!registry_name_is_good(name)) {
		error_set(error, EXIT_CODE_USAGE, "that is not the name of a VM");
		return NULL;
	}
	if (!registry_init(error))
		return NULL;
	if (registry_find(name, &vm)) {
		error_set(error, EXIT_CODE_STATE, "there is no such VM (see gondola list)");
		return NULL;
	}
	starting = registry_starting(&vm);
	runs = vm.pid && !starting;
	if (starting)
		error_set(error, EXIT_CODE_ERROR, "%s", starting);
	else
		error_set(error, EXIT_CODE_STATE, "it is %s", vm_state_name(vm.state));
	registry_put(&vm);
	return runs ? registry_path(REGISTRY_CONTROL, name) : NULL;
}

int guest_connect(struct guest *guest, const char *name)
{
	const char *path = name;

	memset(guest, 0, sizeof(*guest));
	/* Without a connection there is nothing to close. */
	guest->link.fd = -1;
	guest->error = guest->link.error.words;
	snprintf(guest->name, sizeof(guest->name), "%s", strchr(name, '/') ?
		 strrchr(name, '/') + 1 : name);
	if (!strchr(name, '/')) {
		path = path_of(guest, name);
		if (!path)
			return -1;
	}
	if (control_connect(&guest->link, path, GUEST_TIMEOUT_MS))
		return -1;
	return 0;
}

void guest_disconnect(struct guest *guest)
{
	json_object_put(guest->stats);
	guest->stats = NULL;
	control_disconnect(&guest->link);
}

static void take_status(struct guest *guest, struct json_object *from)
{
	guest->memory = member_count(from, "memory");
	guest->held = member_count(from, "held");
	guest->target = member_count(from, "target");
	guest->goal = member_count(from, "goal");
	guest->floor = member_count(from, "floor");
	guest->keep = member_count(from, "keep");
	guest->backoffs = member_count(from, "backoffs");
	guest->reported = member_count(from, "reported");
	guest->discarded = member_count(from, "discarded");
	snprintf(guest->reason, sizeof(guest->reason), "%s", member_string(from, "reason", ""));
	snprintf(guest->driver, sizeof(guest->driver), "%s", member_string(from, "driver", ""));
}

static struct json_object *ask(struct guest *guest, const char *command,
			       struct json_object *arguments)
{
	struct json_object *answer = control_ask(&guest->link, command, arguments, -1,
						 GUEST_TIMEOUT_MS, NULL, NULL);

	if (answer)
		take_status(guest, answer);
	else if (!strcmp(guest->link.code, "unknown-command"))
		error_set(&guest->link.error, EXIT_CODE_ERROR, "it was started without --balloon");
	return answer;
}

int guest_status(struct guest *guest)
{
	struct json_object *answer = ask(guest, "balloon-status", NULL);

	json_object_put(answer);
	return answer ? 0 : -1;
}

int guest_stats(struct guest *guest)
{
	struct json_object *answer = ask(guest, "balloon-stats", NULL), *stats;

	guest->has_stats = false;
	if (!answer)
		return -1;
	json_object_put(guest->stats);
	guest->stats = NULL;
	stats = member_object(answer, "stats");
	if (stats) {
		guest->stats = json_object_get(stats);
		guest->available = member_count(stats, "available-memory");
		guest->free = member_count(stats, "free-memory");
		guest->total = member_count(stats, "total-memory");
		if (guest->available > guest->memory)
			guest->available = guest->memory;
		guest->has_stats = json_object_object_get_ex(stats, "available-memory", NULL);
	}
	json_object_put(answer);
	if (!guest->stats)
		error_set(&guest->link.error, EXIT_CODE_ERROR, "its process told no statistics");
	return guest->stats ? 0 : -1;
}

static void add(struct json_object *to, const char *name, uint64_t value)
{
	if (value)
		json_object_object_add(to, name, json_object_new_uint64(value));
}

int guest_ask(struct guest *guest, const struct guest_request *request)
{
	struct json_object *arguments = json_object_new_object(), *answer;

	json_object_object_add(arguments, "size", json_object_new_uint64(request->size));
	add(arguments, "rate", request->rate);
	add(arguments, "deadline_ms", request->deadline_ms);
	add(arguments, "floor", request->floor);
	if (request->why)
		json_object_object_add(arguments, "why", json_object_new_string(request->why));
	answer = ask(guest, "balloon", arguments);
	json_object_put(answer);
	return answer ? 0 : -1;
}

int guest_cancel(struct guest *guest)
{
	struct json_object *arguments = json_object_new_object(), *answer;

	json_object_object_add(arguments, "cancel", json_object_new_boolean(true));
	answer = ask(guest, "balloon", arguments);
	json_object_put(answer);
	return answer ? 0 : -1;
}

int guest_watch(struct guest *guest)
{
	struct json_object *answer = control_ask(&guest->link, "subscribe", NULL, -1, GUEST_TIMEOUT_MS,
						 NULL, NULL);

	json_object_put(answer);
	return answer ? 0 : -1;
}

bool guest_ended(const struct guest *guest, uint32_t goal)
{
	return guest->goal != goal || strcmp(guest->reason, "running");
}
