/* SPDX-License-Identifier: GPL-2.0-only */
/* A client of a VM's control socket, for the subcommands and for tests. */
#ifndef CLIENT_CONTROL_CLIENT_H
#define CLIENT_CONTROL_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <json-c/json.h>
#include "base/error.h"

/**
 * struct control_link - a connection
 * @fd: the socket
 * @greeting: the VM's greeting: "protocol", "name", "pid"
 * @error: the error of the last call, with the exit status of a command that ends for it
 * @code: the code of the VM's error answer, or ""
 * @failure: the whole error answer, until the next line is read; or NULL
 * @end: what a VM said as it ended, to one that subscribed; else ""
 *
 * The VM is untrusted: read members of its answers by base/member.h.
 */
struct control_link {
	int fd;
	struct json_object *greeting;
	size_t used;
	size_t room;
	char *buffer;
	struct error error;
	char code[64];
	struct json_object *failure;
	char end[160];
};

/**
 * control_connect() - connect to @path and read the greeting
 * @timeout_ms: for the connection, the greeting, and the sending of each request; -1: no limit
 *
 * 0, or -1 with @error set; then the link is closed.
 */
int control_connect(struct control_link *link, const char *path, int timeout_ms);
void control_disconnect(struct control_link *link);
/**
 * control_ask() - send a command and wait for its answer
 * @arguments: members of the request, taken over, or NULL
 * @fd: a descriptor to send along, or -1
 * @timeout_ms: for the answer, regardless of events before it
 * @event: called for each event meanwhile, or NULL
 *
 * Returns the answer, which the caller puts; NULL with @error (and @code) set.
 */
struct json_object *control_ask(struct control_link *link, const char *command,
				struct json_object *arguments, int fd, int timeout_ms,
				void (*event)(struct json_object *event, void *argument),
				void *argument);
/** control_send() - the first half of control_ask(); @fd may be closed then; 0, or -1 */
int control_send(struct control_link *link, const char *command, struct json_object *arguments,
		 int fd);
/** control_answer() - the second half */
struct json_object *control_answer(struct control_link *link, int timeout_ms,
				   void (*event)(struct json_object *event, void *argument),
				   void *argument);
/**
 * control_read() - read the next line, an event or an answer; NULL with @error, whose words are ""
 * at a clean end
 */
struct json_object *control_read(struct control_link *link, int timeout_ms);

#endif
