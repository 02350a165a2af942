/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by the subcommands that name a VM. Each function fail()s with one line. */
#ifndef CMD_REMOTE_H
#define CMD_REMOTE_H

#include <stdbool.h>
#include "control/client.h"
#include "base/member.h"
#include "cmd.h"
#include "control/registry.h"

#define REMOTE_TIMEOUT_MS	10000

/** struct remote_options - options that all of them know; first in a command's own */
struct remote_options {
	const char *name;
	bool json;
};

/* For option tables: "NAME" and "--json". */
#define REMOTE_OPTIONS	\
	{ .name = "NAME", .take = remote_take_name },	\
	OPTION("--json", NULL, "Print the result as JSON.", FLAG, struct remote_options, json)

/* Nothing but these. */
extern const struct option_spec remote_specs[];

void remote_take_name(void *to, const char *option, const char *value);

/** remote_registry() - registry_init() */
void remote_registry(void);
/** remote_find() - parse, and find the VM: it exists, and its state allows @command */
void remote_find(const struct command *command, int argc, char **argv,
		 struct remote_options *options, struct registry_vm *vm);
/** remote_check() - does the VM's state allow the command? */
void remote_check(const char *command, const struct registry_vm *vm);
/** remote_connect() - to the process of @vm */
void remote_connect(const struct registry_vm *vm, struct control_link *link);
/** remote_ask() - a command to a VM; the answer is to be put. @timeout_ms: -1: it may take long */
struct json_object *remote_ask(const struct registry_vm *vm, const char *command,
			       struct json_object *arguments, int timeout_ms);
/** remote_ask_with() - likewise, with a descriptor that goes along, or -1 */
struct json_object *remote_ask_with(const struct registry_vm *vm, const char *command,
				    struct json_object *arguments, int fd, int timeout_ms);
/** remote_simple() - all of a command that is a request and an answer */
int remote_simple(const struct command *command, int argc, char **argv);
/** remote_simple_within() - likewise, of one that takes its time */
int remote_simple_within(const struct command *command, int argc, char **argv, int timeout_ms);
/** remote_fd() - of an address "fd:N"; -1: of another kind. It must be open here */
int remote_fd(const char *address);
/** remote_print() - one JSON object, a line */
void remote_print(struct json_object *object);
/** remote_size() - "256M"; returns @buffer */
const char *remote_size(uint64_t bytes, char *buffer, size_t room);
/** remote_time() - "3d04h", "2h05m", "1m23s"; returns @buffer */
const char *remote_time(uint64_t ns, char *buffer, size_t room);

#endif
