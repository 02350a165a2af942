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

/** struct remote_options - their common options; first in a command's own options */
struct remote_options {
	const char *name;
	bool json;
};

/* For option tables: "NAME" and "--json". */
#define REMOTE_OPTIONS	\
	{ .name = "NAME", .take = remote_take_name },	\
	OPTION("--json", NULL, "Print the result as JSON.", FLAG, struct remote_options, json)

/* The table of these options alone. */
extern const struct option_spec remote_specs[];

void remote_take_name(void *to, const char *option, const char *value);

/** remote_registry() - call registry_init() */
void remote_registry(void);
/** remote_parse() - parse the options, and find a VM, whatever its state */
void remote_parse(const struct command *command, int argc, char **argv,
		  struct remote_options *options, struct registry_vm *vm);
/** remote_find() - parse the options, and find a VM whose state allows @command */
void remote_find(const struct command *command, int argc, char **argv,
		 struct remote_options *options, struct registry_vm *vm);
/** remote_check() - does the VM's state allow the command? */
void remote_check(const char *command, const struct registry_vm *vm);
/** remote_connect() - connect to the process of @vm */
void remote_connect(const struct registry_vm *vm, struct control_link *link);
/** remote_ask() - send a command to a VM; the caller puts the answer; @timeout_ms: -1 for no limit */
struct json_object *remote_ask(const struct registry_vm *vm, const char *command,
			       struct json_object *arguments, int timeout_ms);
/** remote_ask_with() - likewise, with a descriptor to send along, or -1 */
struct json_object *remote_ask_with(const struct registry_vm *vm, const char *command,
				    struct json_object *arguments, int fd, int timeout_ms);
/** remote_simple() - do a command that is a request and an answer */
int remote_simple(const struct command *command, int argc, char **argv);
/** remote_simple_within() - likewise, with a longer timeout */
int remote_simple_within(const struct command *command, int argc, char **argv, int timeout_ms);
/** remote_fd() - get the descriptor of an address "fd:N", which must be open; -1: another kind */
int remote_fd(const char *address);
/** remote_print() - print a JSON object as a line */
void remote_print(struct json_object *object);
/** remote_size() - format a size like "256M"; returns @buffer */
const char *remote_size(uint64_t bytes, char *buffer, size_t room);
/** remote_time() - format a time like "3d04h", "2h05m", "1m23s"; returns @buffer */
const char *remote_time(uint64_t ns, char *buffer, size_t room);

#endif
