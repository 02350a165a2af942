// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "remote.h"
#include "base/fail.h"
#include "base/tell.h"

void remote_take_name(void *to, const char *option, const char *value)
{
	struct remote_options *options = to;

	(void)option;
	if (options->name)
		fail(EXIT_CODE_USAGE, "one VM at a time: \"%s\" or \"%s\"?", options->name, value);
	if (!registry_name_is_good(value))
		fail(EXIT_CODE_USAGE, "\"%s\" is not the name of a VM", value);
	options->name = value;
}

const struct option_spec remote_specs[] = { REMOTE_OPTIONS, { .name = NULL } };

void remote_registry(void)
{
	struct error error;

	if (!registry_init(&error))
		fail(error.status, "%s", error.words);
}

void remote_check(const char *command, const struct registry_vm *vm)
{
	char words[256];

	if (!vm_state_allows(command, vm->name, vm->state, words, sizeof(words)))
		return;
	if (vm->state == VM_STATE_AWAY)
		fail(EXIT_CODE_STATE, "%s has moved to %s, or was about to: if it is not there any more, gondola delete %s --away, and it is inactive here",
		     vm->name, vm->moved_to, vm->name);
	fail(EXIT_CODE_STATE, "%s", words);
}

void remote_parse(const struct command *command, int argc, char **argv,
		  struct remote_options *options, struct registry_vm *vm)
{
	parse_options(command, argc, argv, options);
	if (!options->name)
		fail(EXIT_CODE_USAGE, "%s: which VM? (see gondola help %s)", command->name,
		     command->name);
	remote_registry();
	if (registry_find(options->name, vm))
		fail(EXIT_CODE_STATE, "there is no VM %s (see gondola list)", options->name);
}

void remote_find(const struct command *command, int argc, char **argv,
		 struct remote_options *options, struct registry_vm *vm)
{
	remote_parse(command, argc, argv, options, vm);
	remote_check(command->name, vm);
}

void remote_connect(const struct registry_vm *vm, struct control_link *link)
{
	const char *starting = registry_starting(vm);

	if (starting || control_connect(link, registry_path(REGISTRY_CONTROL, vm->name),
					REMOTE_TIMEOUT_MS))
		fail(EXIT_CODE_ERROR, "%s cannot be asked (process %d): %s", vm->name,
		     (int)vm->pid, starting ?: link->error.words);
}

struct json_object *remote_ask_with(const struct registry_vm *vm, const char *command,
				    struct json_object *arguments, int fd, int timeout_ms)
{
	struct json_object *answer;
	struct control_link link;

	remote_connect(vm, &link);
	answer = control_ask(&link, command, arguments, fd, timeout_ms, NULL, NULL);
	if (!answer)
		fail(link.error.status, link.code[0] ? "%s" : "the process of the VM: %s",
		     link.error.words);
	control_disconnect(&link);
	return answer;
}

struct json_object *remote_ask(const struct registry_vm *vm, const char *command,
			       struct json_object *arguments, int timeout_ms)
{
	return remote_ask_with(vm, command, arguments, -1, timeout_ms);
}

int remote_fd(const char *address)
{
	int fd;

	if (strncmp(address, "fd:", 3))
		return -1;
	fd = atoi(address + 3);
	if (fcntl(fd, F_GETFD) < 0)
		fail(EXIT_CODE_USAGE, "%s: this command was given no such descriptor", address);
	return fd;
}

void remote_print(struct json_object *object)
{
	json_object_object_del(object, "ok");
	tell("%s\n", json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN |
						    JSON_C_TO_STRING_NOSLASHESCAPE));
}

int remote_simple(const struct command *command, int argc, char **argv)
{
	return remote_simple_within(command, argc, argv, REMOTE_TIMEOUT_MS);
}

int remote_simple_within(const struct command *command, int argc, char **argv, int timeout_ms)
{
	struct remote_options options = { NULL };
	struct json_object *answer;
	struct registry_vm vm;

	remote_find(command, argc, argv, &options, &vm);
	answer = remote_ask(&vm, command->name, NULL, timeout_ms);
	if (options.json)
		remote_print(answer);
	json_object_put(answer);
	registry_put(&vm);
	return EXIT_CODE_OK;
}

const char *remote_size(uint64_t bytes, char *buffer, size_t room)
{
	static const char units[] = "KMGT";
	unsigned int unit = 0;

	bytes >>= 10;
	while (bytes >= 1024 && bytes % 1024 == 0 && units[unit + 1]) {
		bytes >>= 10;
		unit++;
	}
	snprintf(buffer, room, "%llu%c", (unsigned long long)bytes, units[unit]);
	return buffer;
}

const char *remote_time(uint64_t ns, char *buffer, size_t room)
{
	unsigned long long s = ns / 1000000000ull;

	if (s >= 86400)
		snprintf(buffer, room, "%llud%02lluh", s / 86400, s / 3600 % 24);
	else if (s >= 3600)
		snprintf(buffer, room, "%lluh%02llum", s / 3600, s / 60 % 60);
	else
		snprintf(buffer, room, "%llum%02llus", s / 60, s % 60);
	return buffer;
}
