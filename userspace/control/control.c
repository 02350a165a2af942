// SPDX-License-Identifier: GPL-2.0-only
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "aside.h"
#include "control.h"
#include "sandbox/keeper.h"
#include "base/error.h"
#include "base/line_socket.h"
#include "base/member.h"
#include "base/tell.h"
#include "base/wait.h"
#include "vm/vm.h"

#define OUTPUT_MAX	(1u << 20)	/* a client with more unread bytes loses events */
#define ANSWERS_MAX	(2 * OUTPUT_MAX)	/* more unread answers end the connection */
#define JSON_DEPTH	16
#define CONTROL_MAX_LISTENERS 2

/**
 * struct control_client - a connection
 * @fd: the socket; -1: the place is free
 * @serial: number of the connection, so that a late answer does not go to the next one
 * @subscribed: it wants events
 * @lost: number of events that it missed
 * @skipping: skip the rest of a line that is too long
 * @cut: it did not read its answers: it gets no more, and the loop removes it
 * @passed_fd: a descriptor for the next request, or -1
 */
struct control_client {
	int fd;
	uint64_t serial;
	bool subscribed;
	bool skipping;
	bool cut;
	unsigned int lost;
	int passed_fd;
	size_t in_used;
	char *in;
	size_t out_used;
	size_t out_room;
	char *out;
};

static struct {
	struct vm *vm;
	pthread_mutex_t lock;		/* for the output and lifetime of all clients */
	struct control_listener {
		int fd;
		int note;		/* the path's note, see sandbox/keeper.h */
	} listeners[CONTROL_MAX_LISTENERS];
	unsigned int nr_listeners;
	struct control_client clients[CONTROL_MAX_CLIENTS];
	uint64_t serial;
	struct {
		const char *name;
		control_fn fn;
	} commands[CONTROL_MAX_COMMANDS];
	unsigned int nr_commands;
	control_fn guard;

	control_status_fn status[CONTROL_MAX_COMMANDS];
	unsigned int nr_status;
	enum vm_state last_state;
} control = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- output: control.lock is held ---------------------------------------------------- */

static void flush(struct control_client *client)
{
	size_t done = 0;

	while (done < client->out_used) {
		ssize_t sent = send(client->fd, client->out + done, client->out_used - done,
				    MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno != EAGAIN)
			done = client->out_used;	/* it has left; the loop will notice */
		if (sent < 0)
			break;
		done += sent;
	}
	client->out_used -= done;
	memmove(client->out, client->out + done, client->out_used);
	loop_watch(&control.vm->loop, client->fd, POLLIN | (client->out_used ? POLLOUT : 0));
}

/* Only the loop's thread removes a client; shutdown() makes it notice. */
static void cut_off(struct control_client *client)
{
	free(client->out);
	client->out = NULL;
	client->out_used = 0;
	client->out_room = 0;
	client->subscribed = false;
	__atomic_store_n(&client->cut, true, __ATOMIC_RELAXED);
	shutdown(client->fd, SHUT_RDWR);
}

/* A peer's words and names of files are any bytes, and a client refuses a line that is not UTF-8. */
static bool put_line(struct control_client *client, struct json_object *line)
{
	const char *text = json_object_to_json_string_ext(line, JSON_C_TO_STRING_PLAIN |
							  JSON_C_TO_STRING_NOSLASHESCAPE);
	size_t bytes = strlen(text);

	if (client->out_used + bytes + 1 > client->out_room) {
		size_t room = client->out_used + bytes + 4096;
		char *more = realloc(client->out, room);

		if (!more)
			return false;
		client->out = more;
		client->out_room = room;
	}
	memcpy(client->out + client->out_used, text, bytes + 1);
	tell_harmless(client->out + client->out_used);
	client->out[client->out_used + bytes] = '\n';
	client->out_used += bytes + 1;
	flush(client);
	return true;
}

static bool is_cut(const struct control_client *client)
{
	return __atomic_load_n(&client->cut, __ATOMIC_RELAXED);
}

/* Unlike an event an answer cannot be dropped: without room the client is disconnected. */
static void send_answer(struct control_client *client, struct json_object *answer)
{
	if (is_cut(client))
		return;
	if (client->out_used > ANSWERS_MAX || !put_line(client, answer))
		cut_off(client);
}

static void send_event(struct control_client *client, struct json_object *event)
{
	if (client->lost) {
		struct json_object *note;

		if (client->out_used > OUTPUT_MAX / 2) {
			client->lost++;
			return;
		}
		note = json_object_new_object();
		json_object_object_add(note, "event", json_object_new_string("lost"));
		json_object_object_add(note, "count", json_object_new_int64(client->lost));
		put_line(client, note);
		json_object_put(note);
		client->lost = 0;
	}
	if (client->out_used > OUTPUT_MAX || !put_line(client, event))
		client->lost++;
}

static void drop(struct control_client *client)
{
	loop_remove(&control.vm->loop, client->fd);
	close(client->fd);
	if (client->passed_fd >= 0)
		close(client->passed_fd);
	free(client->in);
	free(client->out);
	*client = (struct control_client){ .fd = -1, .passed_fd = -1 };
}

/* ---- requests ------------------------------------------------------------------------------ */

/* The loop holds a request while its handler runs, and the answering thread until it has answered. */
static void put_request(struct control_request *request)
{
	if (__atomic_sub_fetch(&request->users, 1, __ATOMIC_ACQ_REL))
		return;
	if (request->fd >= 0)
		close(request->fd);
	json_object_put(request->in);
	json_object_put(request->out);
	json_object_put(request->id);
	json_object_put(request->error);
	free(request);
}

void control_done(struct control_request *request)
{
	struct json_object *answer = request->failed ? json_object_new_object() : request->out;

	if (request->id)
		json_object_object_add(answer, "id", json_object_get(request->id));
	if (request->failed)
		json_object_object_add(answer, "error", json_object_get(request->error));
	else
		json_object_object_add(answer, "ok", json_object_new_boolean(true));
	pthread_mutex_lock(&control.lock);
	/* The client may have left meanwhile, and another may be in its place. */
	if (request->client->fd >= 0 && request->client->serial == request->serial)
		send_answer(request->client, answer);
	pthread_mutex_unlock(&control.lock);
	if (request->failed)
		json_object_put(answer);
	put_request(request);
}

void control_later(struct control_request *request)
{
	request->later = true;
	__atomic_add_fetch(&request->users, 1, __ATOMIC_RELAXED);
}

void control_fail(struct control_request *request, const char *code, const char *format, ...)
{
	char words[1024];
	va_list args;

	if (request->failed)
		return;
	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	request->failed = true;
	request->error = json_object_new_object();
	json_object_object_add(request->error, "code", json_object_new_string(code));
	json_object_object_add(request->error, "message", json_object_new_string(words));
}

void control_fail_with(struct control_request *request, const char *member,
		       struct json_object *value)
{
	json_object_object_add(request->error, member, value);
}

const char *control_string(struct control_request *request, const char *member,
			   const char *otherwise)
{
	struct json_object *value;

	if (!json_object_object_get_ex(request->in, member, &value))
		return otherwise;
	if (json_object_is_type(value, json_type_string) &&
	    strlen(json_object_get_string(value)) == (size_t)json_object_get_string_len(value))
		return json_object_get_string(value);
	control_fail(request, "bad-argument", "\"%s\" of \"%s\" is not a string", member,
		     request->command);
	return otherwise;
}

int64_t control_number(struct control_request *request, const char *member, int64_t otherwise,
		       int64_t min, int64_t max)
{
	struct json_object *value;

	if (!json_object_object_get_ex(request->in, member, &value))
		return otherwise;
	if (json_object_is_type(value, json_type_int) && json_object_get_int64(value) >= min &&
	    json_object_get_int64(value) <= max)
		return json_object_get_int64(value);
	control_fail(request, "bad-argument", "\"%s\" of \"%s\" is not a whole number from %lld to %lld",
		     member, request->command, (long long)min, (long long)max);
	return otherwise;
}

bool control_flag(struct control_request *request, const char *member, bool otherwise)
{
	struct json_object *value;

	if (!json_object_object_get_ex(request->in, member, &value))
		return otherwise;
	if (json_object_is_type(value, json_type_boolean))
		return json_object_get_boolean(value);
	control_fail(request, "bad-argument", "\"%s\" of \"%s\" is neither true nor false", member,
		     request->command);
	return otherwise;
}

static void dispatch(struct control_request *request)
{
	char words[256];

	for (unsigned int i = 0; i < control.nr_commands; i++) {
		if (strcmp(control.commands[i].name, request->command))
			continue;
		if (vm_state_allows(request->command, request->vm->name, vm_state(request->vm),
				    words, sizeof(words)))
			control_fail(request, "wrong-state", "%s", words);
		else if (control.guard)
			control.guard(request);
		if (!request->failed)
			control.commands[i].fn(request);
		return;
	}
	control_fail(request, "unknown-command", "\"%.64s\" is not a command", request->command);
}

/* Returns the mistake in a line, or NULL and the request. */
static const char *parse(const char *line, size_t bytes, struct control_request *request)
{
	struct json_tokener *tokener = member_tokener(JSON_DEPTH, JSON_TOKENER_ALLOW_TRAILING_CHARS);
	struct json_object *command;
	const char *wrong = NULL;

	if (!tokener)
		return "out of memory";
	/* The newline ends numbers too, so the object is complete here. */
	request->in = json_tokener_parse_ex(tokener, line, (int)bytes);
	if (!request->in)
		wrong = json_tokener_get_error(tokener) == json_tokener_continue ?
			"it ends too early" :
			json_tokener_error_desc(json_tokener_get_error(tokener));
	else
		for (size_t at = json_tokener_get_parse_end(tokener); at < bytes; at++)
			if (!strchr(" \t\r\n", line[at]) || !line[at])
				wrong = "something follows the object";
	json_tokener_free(tokener);
	if (wrong) {
		json_object_put(request->in);
		request->in = NULL;
		return wrong;
	}
	if (!json_object_is_type(request->in, json_type_object))
		return "it is not an object";
	if (json_object_object_get_ex(request->in, "id", &request->id))
		json_object_get(request->id);
	if (!json_object_object_get_ex(request->in, "command", &command) ||
	    !json_object_is_type(command, json_type_string))
		return "it has no \"command\"";
	request->command = json_object_get_string(command);
	return NULL;
}

static struct control_request *new_request(struct control_client *client)
{
	struct control_request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	request->vm = control.vm;
	request->client = client;
	request->serial = client->serial;
	request->fd = -1;
	request->users = 1;
	request->command = "";
	request->out = json_object_new_object();
	return request;
}

static void on_line(struct control_client *client, const char *line, size_t bytes, bool whole)
{
	struct control_request *request = new_request(client);
	const char *wrong;

	if (!request)
		return;
	if (whole) {
		request->fd = client->passed_fd;
		client->passed_fd = -1;
		wrong = parse(line, bytes, request);
		if (wrong)
			control_fail(request, request->in ? "bad-request" : "bad-json",
				     "this line is not a request: %s", wrong);
		else
			dispatch(request);
	} else {
		control_fail(request, "too-long", "a line has %d bytes at most", CONTROL_LINE_MAX);
	}
	if (request->later)
		put_request(request);
	else
		control_done(request);
}

/* Handle all complete lines.  Only the loop's thread removes clients. */
static void take_lines(struct control_client *client)
{
	uint64_t serial = client->serial;
	char *newline;

	while (client->fd >= 0 && client->serial == serial && !is_cut(client) &&
	       (newline = memchr(client->in, '\n', client->in_used))) {
		size_t bytes = newline + 1 - client->in;
		char *line = client->in;

		if (client->skipping) {
			client->skipping = false;
		} else if (strspn(line, " \t\r") != bytes - 1) {
			on_line(client, line, bytes, true);
			if (client->fd < 0 || client->serial != serial || is_cut(client))
				return;
		}
		client->in_used -= bytes;
		memmove(client->in, client->in + bytes, client->in_used);
	}
	if (client->in_used < CONTROL_LINE_MAX)
		return;
	if (!client->skipping)
		on_line(client, NULL, 0, false);
	client->skipping = true;
	client->in_used = 0;
}

static void on_client(void *argument, int fd, short events)
{
	struct control_client *client = argument;
	ssize_t count;

	/* A source that was removed in this iteration of the loop may still be called once. */
	if (client->fd != fd)
		return;
	if (events & POLLOUT) {
		pthread_mutex_lock(&control.lock);
		flush(client);
		pthread_mutex_unlock(&control.lock);
	}
	if (!(events & (POLLIN | POLLHUP | POLLERR)))
		return;
	count = line_socket_receive(fd, client->in + client->in_used,
				    CONTROL_LINE_MAX - client->in_used, &client->passed_fd);
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count <= 0 || is_cut(client)) {
		pthread_mutex_lock(&control.lock);
		drop(client);
		pthread_mutex_unlock(&control.lock);
		return;
	}
	client->in_used += count;
	take_lines(client);
}

/* ---- connections ------------------------------------------------------------------------------ */

static void greet(struct control_client *client)
{
	struct json_object *line = json_object_new_object(), *greeting = json_object_new_object();

	json_object_object_add(greeting, "protocol", json_object_new_int(CONTROL_PROTOCOL));
	json_object_object_add(greeting, "name", json_object_new_string(control.vm->name));
	json_object_object_add(greeting, "pid", json_object_new_int(getpid()));
	json_object_object_add(line, "gondola", greeting);
	put_line(client, line);
	json_object_put(line);
}

static void on_connection(void *argument, int fd, short events)
{
	static const char full[] = "{\"error\":{\"code\":\"busy\",\"message\":\"this VM has as many "
				   "clients as it takes\"}}\n";
	struct control_client *client = NULL;
	int peer = line_socket_accept(fd, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)argument;
	(void)events;
	if (peer < 0)
		return;
	for (int i = 0; i < CONTROL_MAX_CLIENTS && !client; i++)
		if (control.clients[i].fd < 0)
			client = &control.clients[i];
	if (!client) {
		send(peer, full, sizeof(full) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		close(peer);
		return;
	}
	pthread_mutex_lock(&control.lock);
	*client = (struct control_client){ .fd = peer, .passed_fd = -1,
					   .serial = ++control.serial };
	client->in = malloc(CONTROL_LINE_MAX);
	loop_add(&control.vm->loop, peer, POLLIN, on_client, client);
	if (client->in)
		greet(client);
	else
		drop(client);
	pthread_mutex_unlock(&control.lock);
}

/* ---- commands of the VM itself ---------------------------------------------------------------- */

static uint64_t uptime_ns(const struct vm *vm)
{
	return wait_now_ns() - vm->born_ns;
}

static struct json_object *reasons_of(struct vm *vm)
{
	struct json_object *array = json_object_new_array();
	unsigned int reasons = vm_paused(vm);

	for (int i = 0; i < PAUSE_REASONS; i++)
		if (reasons & 1u << i)
			json_object_array_add(array, json_object_new_string(pause_reason_name(i)));
	return array;
}

static void add_state(struct vm *vm, struct json_object *to)
{
	char words[sizeof(vm->pause.words)];

	json_object_object_add(to, "state", json_object_new_string(vm_state_name(vm_state(vm))));
	json_object_object_add(to, "reasons", reasons_of(vm));
	pthread_mutex_lock(&vm->pause.lock);
	memcpy(words, vm->pause.words, sizeof(words));
	pthread_mutex_unlock(&vm->pause.lock);
	if (words[0])
		json_object_object_add(to, "because", json_object_new_string(words));
}

static void on_status(struct control_request *request)
{
	struct vm *vm = request->vm;

	json_object_object_add(request->out, "name", json_object_new_string(vm->name));
	add_state(vm, request->out);
	json_object_object_add(request->out, "pid", json_object_new_int(getpid()));
	json_object_object_add(request->out, "engine",
			       json_object_new_string(gondola_engine_name(vm->engine) ?: "unknown"));
	json_object_object_add(request->out, "memory", json_object_new_uint64(vm->memory.bytes));
	json_object_object_add(request->out, "vcpus", json_object_new_int(vm->nr_vcpus));
	json_object_object_add(request->out, "uptime_ns", json_object_new_uint64(uptime_ns(vm)));
	for (unsigned int i = 0; i < control.nr_status; i++)
		control.status[i](vm, request->out);
}

static void on_commands(struct control_request *request)
{
	struct json_object *names = json_object_new_array();

	for (unsigned int i = 0; i < control.nr_commands; i++)
		json_object_array_add(names, json_object_new_string(control.commands[i].name));
	json_object_object_add(request->out, "commands", names);
}

static void on_subscribe(struct control_request *request)
{
	add_state(request->vm, request->out);
	request->client->subscribed = true;
}

static void await_pause(struct control_request *request)
{
	struct vm *vm = request->vm;

	if (!vm_pause_wait(vm, PAUSE_USER)) {
		control_fail(request, "wrong-state",
			     "%s was unpaused, or has ended, before its vCPUs stood", vm->name);
		return;
	}
	control_state_event(vm);
	add_state(vm, request->out);
}

static void on_pause(struct control_request *request)
{
	struct vm *vm = request->vm;

	/* Handle it at once, since the next request depends on it. */
	vm_pause_begin(vm, PAUSE_USER);
	if (!control_aside(request, LANE_VCPUS, await_pause))
		vm_unpause(vm, PAUSE_USER);
}

static void on_unpause(struct control_request *request)
{
	unsigned int reasons = vm_paused(request->vm);

	if (reasons != 1u << PAUSE_USER) {
		control_fail(request, "wrong-state", "%s is paused, but not by the user: %s",
			     request->vm->name, request->vm->pause.words[0] ?
			     request->vm->pause.words : "it is busy");
		return;
	}
	vm_unpause(request->vm, PAUSE_USER);
	control_state_event(request->vm);
	add_state(request->vm, request->out);
}

static void on_kill(struct control_request *request)
{
	vm_end(request->vm, VM_STOPPED, "stopped by \"gondola kill\"");
}

/* ---- to the rest of the launcher ---------------------------------------------------------------- */

void control_add(const char *name, control_fn fn)
{
	assert(control.nr_commands < CONTROL_MAX_COMMANDS);
	control.commands[control.nr_commands].name = name;
	control.commands[control.nr_commands++].fn = fn;
}

void control_set_guard(control_fn fn)
{
	control.guard = fn;
}

void control_add_status(control_status_fn fn)
{
	assert(control.nr_status < CONTROL_MAX_COMMANDS);
	control.status[control.nr_status++] = fn;
}

static void begin(struct vm *vm)
{
	control.vm = vm;
	control.last_state = vm_state(vm);
	vm->state_changed = control_state_event;
	for (int i = 0; i < CONTROL_MAX_CLIENTS; i++)
		control.clients[i].fd = -1;
	control_add("status", on_status);
	control_add("commands", on_commands);
	control_add("subscribe", on_subscribe);
	control_add("pause", on_pause);
	control_add("unpause", on_unpause);
	control_add("kill", on_kill);
}

bool control_open(struct vm *vm, const char *path, struct error *error)
{
	struct control_listener *listener = &control.listeners[control.nr_listeners];
	int ret;

	if (!control.vm)
		begin(vm);
	assert(control.nr_listeners < CONTROL_MAX_LISTENERS);
	/* The keeper removes it even if the launcher is killed. */
	listener->note = keeper_note(KEEPER_SOCKET, path, error);
	if (listener->note < 0)
		return false;
	ret = keeper_listen(listener->note);
	if (ret < 0)
		return error_set(error, EXIT_CODE_ERROR, "cannot make the control socket %s: %s",
				 path, line_socket_reason(path, -ret));
	listener->fd = ret;
	control.nr_listeners++;
	loop_add(&vm->loop, listener->fd, POLLIN, on_connection, NULL);
	return true;
}

void control_event(const char *name, struct json_object *data)
{
	struct json_object *event = data ? data : json_object_new_object();
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	json_object_object_add(event, "event", json_object_new_string(name));
	json_object_object_add(event, "time_ns", json_object_new_uint64(now.tv_sec * 1000000000ull +
									now.tv_nsec));
	pthread_mutex_lock(&control.lock);
	if (control.vm)
		for (int i = 0; i < CONTROL_MAX_CLIENTS; i++)
			if (control.clients[i].fd >= 0 && control.clients[i].subscribed)
				send_event(&control.clients[i], event);
	pthread_mutex_unlock(&control.lock);
	json_object_put(event);
}

void control_state_event(struct vm *vm)
{
	struct json_object *data;
	enum vm_state state = vm_state(vm), last;

	pthread_mutex_lock(&control.lock);
	last = control.last_state;
	control.last_state = state;
	pthread_mutex_unlock(&control.lock);
	if (state == last)
		return;
	data = json_object_new_object();
	add_state(vm, data);
	json_object_object_add(data, "was", json_object_new_string(vm_state_name(last)));
	control_event("state", data);
}

void control_close(void)
{
	if (!control.vm)
		return;
	aside_end();
	pthread_mutex_lock(&control.lock);
	for (int i = 0; i < CONTROL_MAX_CLIENTS; i++)
		if (control.clients[i].fd >= 0)
			drop(&control.clients[i]);
	for (unsigned int i = 0; i < control.nr_listeners; i++) {
		loop_remove(&control.vm->loop, control.listeners[i].fd);
		close(control.listeners[i].fd);
		keeper_remove(control.listeners[i].note);
	}
	control.nr_listeners = 0;
	pthread_mutex_unlock(&control.lock);
}
