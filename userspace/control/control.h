/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The control socket of a running VM: requests and answers are JSON objects, a
 * line each (Documentation/control.rst).  Every part of the launcher
 * adds its commands to one table.
 *
 * Clients are untrusted: lines have a bound, what is not JSON is answered, and
 * a client that does not read loses events, but holds nobody up.
 */
#ifndef VM_CONTROL_H
#define VM_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <json-c/json.h>
#include "base/error.h"

#define CONTROL_PROTOCOL	1
#define CONTROL_LINE_MAX	65536	/* bytes of a request, its newline included */
#define CONTROL_MAX_CLIENTS	12
#define CONTROL_MAX_COMMANDS	48

struct vm;
struct control_client;

/**
 * struct control_request - one request under way
 * @vm: whose
 * @command: its name
 * @in: the request as it came; arguments are its members
 * @out: members of the answer, to be added to
 * @fd: a descriptor that came along with it (SCM_RIGHTS), or -1.  Closed with the request, unless
 *      the handler takes it and sets this to -1
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
 * control_fn - does what a command asks for
 *
 * Called by the loop's thread with no lock held.  It adds to request->out, or
 * calls control_fail(), or says by control_later() that the answer will come.
 */
typedef void (*control_fn)(struct control_request *request);

/**
 * control_add() - a command; before or after control_open(), but by the main thread
 *
 * If states.c has a rule for it, requests in another state never reach @fn.
 */
void control_add(const char *name, control_fn fn);
/** control_set_guard() - @fn sees each command that the state allows, and may control_fail() it */
void control_set_guard(control_fn fn);
typedef void (*control_status_fn)(struct vm *vm, struct json_object *status);
/** control_add_status() - @fn adds members to what "status" answers */
void control_add_status(control_status_fn fn);

/** control_open() - listen at @path, and at another one if called again; false with @error */
bool control_open(struct vm *vm, const char *path, struct error *error);
/** control_close() - tell all clients, disconnect them, and remove the socket */
void control_close(void);

/**
 * control_fail() - the answer is an error
 * @code: for programs: "wrong-state", "bad-argument", "busy", "failed" … (Documentation/control.rst)
 */
void control_fail(struct control_request *request, const char *code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/** control_fail_with() - add a member to the error, besides code and message; takes @value over */
void control_fail_with(struct control_request *request, const char *member,
		       struct json_object *value);
/**
 * control_later() - the handler returns without an answer; control_done() must follow
 *
 * From here on @request is that of the thread that answers, also if the handler fails afterwards.
 */
void control_later(struct control_request *request);

/* Jobs beside the loop, each in its turn. */
enum control_lane {
	LANE_VCPUS,		/* waits for vCPUs to stand */
	LANE_DEVICES,		/* takes a device's lock */
	LANE_MIGRATE,		/* takes the lock of what sends and receives */
	CONTROL_LANES
};

/**
 * control_aside() - a thread runs @fn, which may wait, and then answers
 *
 * Requests of a lane are done one by one in the order in which they came.  False if too many wait
 * there: the request has failed.
 */
bool control_aside(struct control_request *request, enum control_lane lane, control_fn fn);
/** control_done() - answer now, after control_later(); any thread.  @request is freed */
void control_done(struct control_request *request);

/** control_string() - a member that is a string, or @otherwise; fails the request if it is not one */
const char *control_string(struct control_request *request, const char *member,
			   const char *otherwise);
/** control_number() - likewise a whole number from @min to @max */
int64_t control_number(struct control_request *request, const char *member, int64_t otherwise,
		       int64_t min, int64_t max);
bool control_flag(struct control_request *request, const char *member, bool otherwise);

/**
 * control_event() - tell all subscribers; any thread, also when there is no socket
 * @data: members of the event, or NULL; taken over
 */
void control_event(const char *name, struct json_object *data);
/** control_state_event() - the event "state", if the state is another than last time */
void control_state_event(struct vm *vm);

#endif
