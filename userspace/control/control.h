/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The control socket of a running VM: requests and answers are JSON objects, a
 * line each (Documentation/control.rst).  Every part of the launcher
 * adds its commands to one table.
 *
 * Clients are untrusted: lines are bounded, a line that is not JSON gets an error, and a client
 * that does not read loses events but does not block others.
 */
#ifndef VM_CONTROL_H
#define VM_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <json-c/json.h>
#include "base/error.h"

#define CONTROL_PROTOCOL	1
#define CONTROL_LINE_MAX	65536	/* bytes of a request, including its newline */
#define CONTROL_MAX_CLIENTS	12
#define CONTROL_MAX_COMMANDS	48

struct vm;
struct control_client;

/**
 * struct control_request - a request in progress
 * @vm: the VM
 * @command: its name
 * @in: the request, whose members are arguments
 * @out: the answer; handlers add members
 * @fd: a descriptor sent along (SCM_RIGHTS), or -1.  It is closed with the request, unless the
 *	handler takes it and sets this to -1
 */
struct control_request {
	struct vm *vm;
	const char *command;
	struct json_object *in;
	struct json_object *out;
	int fd;
	/* control.c's own */
	struct json_object *id;
	struct control_client *client;
	uint64_t serial;
	bool failed;
	bool later;
	unsigned int users;
	struct json_object *error;
};

/**
 * control_fn - handles a command
 *
 * The loop's thread calls it without locks.  It adds to request->out, or calls control_fail(), or
 * control_later() to answer later.
 */
typedef void (*control_fn)(struct control_request *request);

/**
 * control_add() - add a command; before or after control_open(), in the main thread
 *
 * If states.c has a rule for the command, requests in other states do not reach @fn.
 */
void control_add(const char *name, control_fn fn);
/** control_set_guard() - let @fn check each command that the state allows, and control_fail() it */
void control_set_guard(control_fn fn);
typedef void (*control_status_fn)(struct vm *vm, struct json_object *status);
/** control_add_status() - let @fn add members to the answer of "status" */
void control_add_status(control_status_fn fn);

/** control_open() - listen at @path; a second call changes the path; false with @error */
bool control_open(struct vm *vm, const char *path, struct error *error);
/** control_close() - tell all clients, disconnect them, and remove the socket */
void control_close(void);

/**
 * control_fail() - answer with an error
 * @code: for programs: "wrong-state", "bad-argument", "busy", "failed" …
 *	(Documentation/control.rst)
 */
void control_fail(struct control_request *request, const char *code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/** control_fail_with() - add a member to the error, besides code and message; takes @value over */
void control_fail_with(struct control_request *request, const char *member,
		       struct json_object *value);
/**
 * control_later() - let the handler return without an answer; control_done() must follow
 *
 * From now on @request belongs to the thread that answers, even if the handler fails afterwards.
 */
void control_later(struct control_request *request);

/* Lanes of requests beside the loop; each does one at a time. */
enum control_lane {
	LANE_VCPUS,		/* waits until vCPUs have stopped */
	LANE_DEVICES,		/* takes a device's lock */
	LANE_MIGRATE,		/* takes the lock of a migration */
	CONTROL_LANES
};

/**
 * control_aside() - run @fn, which may wait, in a thread that then answers
 *
 * Requests of a lane are done one by one in their order.  False, with the request failed, if too
 * many wait.
 */
bool control_aside(struct control_request *request, enum control_lane lane, control_fn fn);
/** control_done() - answer now, after control_later(); any thread.  @request is freed */
void control_done(struct control_request *request);

/** control_string() - get a string member, or @otherwise; fails the request if it is no string */
const char *control_string(struct control_request *request, const char *member,
			   const char *otherwise);
/** control_number() - likewise get a whole number from @min to @max */
int64_t control_number(struct control_request *request, const char *member, int64_t otherwise,
		       int64_t min, int64_t max);
bool control_flag(struct control_request *request, const char *member, bool otherwise);

/**
 * control_event() - send an event to all subscribers; any thread, also without a socket
 * @data: members of the event, or NULL; taken over
 */
void control_event(const char *name, struct json_object *data);
/** control_state_event() - send the event "state", if the state has changed since the last time */
void control_state_event(struct vm *vm);

#endif
