// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "base/line_socket.h"
#include "base/member.h"
#include "base/wait.h"

#define PROTOCOL	1
#define LINE_MAX_BYTES	(2u << 20)
#define JSON_DEPTH	16

__attribute__((format(printf, 2, 3)))
static int wrong(struct control_link *link, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	error_vset(&link->error, EXIT_CODE_ERROR, format, args);
	va_end(args);
	return -1;
}

/* A complete line was read already. */
static bool has_line(const struct control_link *link)
{
	return link->used && memchr(link->buffer, '\n', link->used);
}

/* A deadline on the monotonic clock; -1: none. */
static int64_t deadline_in(int timeout_ms)
{
	return timeout_ms < 0 ? -1 : wait_now_ms() + timeout_ms;
}

/* For poll() until @deadline. */
static int ms_left(int64_t deadline)
{
	int64_t left = deadline - deadline_in(0);

	return deadline < 0 ? -1 : left > 0 ? (int)left : 0;
}

/* Read more of the stream; 0, or -1: an error, a timeout, or the end (without words). */
static int read_more(struct control_link *link, int64_t deadline)
{
	struct pollfd ready = { .fd = link->fd, .events = POLLIN };
	ssize_t count;
	int ret;

	if (link->used == link->room) {
		size_t room = link->room ? 2 * link->room : 4096;
		char *more = room <= LINE_MAX_BYTES ? realloc(link->buffer, room) : NULL;

		if (!more)
			return wrong(link, "it sent a line that is too long");
		link->buffer = more;
		link->room = room;
	}
	do
		ret = poll(&ready, 1, ms_left(deadline));
	while (ret < 0 && errno == EINTR);
	if (!ret)
		return wrong(link, "it did not answer in time");
	do
		count = recv(link->fd, link->buffer + link->used, link->room - link->used, 0);
	while (count < 0 && errno == EINTR);
	/* A process that ends with requests unread resets the connection. */
	if (!count || (count < 0 && errno == ECONNRESET))
		return wrong(link, "%s", "");
	if (count < 0)
		return wrong(link, "%s", strerror(errno));
	link->used += count;
	return 0;
}

/* The VM is untrusted: depth and length are bounded, and a NUL does not end a line. */
static struct json_object *parse_line(const char *line, size_t bytes)
{
	struct json_tokener *tokener = member_tokener(JSON_DEPTH, 0);
	struct json_object *object = NULL;

	if (!tokener)
		return NULL;
	if (!memchr(line, 0, bytes))
		object = json_tokener_parse_ex(tokener, line, (int)bytes);
	json_tokener_free(tokener);
	return object;
}

static struct json_object *read_line(struct control_link *link, int64_t deadline)
{
	struct json_object *line;
	size_t bytes;

	link->error.words[0] = 0;
	link->code[0] = 0;
	json_object_put(link->failure);
	link->failure = NULL;
	while (!has_line(link))
		if (read_more(link, deadline))
			return NULL;
	bytes = (char *)memchr(link->buffer, '\n', link->used) + 1 - link->buffer;
	line = parse_line(link->buffer, bytes);
	link->used -= bytes;
	memmove(link->buffer, link->buffer + bytes, link->used);
	if (!line || !json_object_is_type(line, json_type_object)) {
		json_object_put(line);
		wrong(link, "it sent what is not JSON");
		return NULL;
	}
	return line;
}

struct json_object *control_read(struct control_link *link, int timeout_ms)
{
	return read_line(link, deadline_in(timeout_ms));
}

int control_connect(struct control_link *link, const char *path, int timeout_ms)
{
	int64_t deadline = deadline_in(timeout_ms);
	struct json_object *line;

	memset(link, 0, sizeof(*link));
	link->fd = line_socket_connect(path, timeout_ms);
	if (link->fd == -EAGAIN)
		return wrong(link, "it did not answer in time");
	if (link->fd < 0)
		return wrong(link, "%s", strerror(-link->fd));
	line = read_line(link, deadline);
	if (!line) {
		if (!link->error.words[0])
			wrong(link, "it closed the connection");
		goto bad;
	}
	link->greeting = json_object_get(member_object(line, "gondola"));
	if (member_number(link->greeting, "protocol", -1) != PROTOCOL) {
		wrong(link, "it speaks another protocol, or has too many clients: %s",
		      json_object_to_json_string(line));
		json_object_put(line);
		goto bad;
	}
	json_object_put(line);
	return 0;
bad:
	control_disconnect(link);
	return -1;
}

void control_disconnect(struct control_link *link)
{
	if (link->fd >= 0)
		close(link->fd);
	link->fd = -1;
	json_object_put(link->greeting);
	link->greeting = NULL;
	json_object_put(link->failure);
	link->failure = NULL;
	free(link->buffer);
	link->buffer = NULL;
	link->used = 0;
	link->room = 0;
}

/* Keep the words of an error answer; true if it was one. */
static bool take_error(struct control_link *link, struct json_object *answer)
{
	struct json_object *error;

	if (!json_object_object_get_ex(answer, "error", &error))
		return false;
	snprintf(link->code, sizeof(link->code), "%s", member_string(error, "code", ""));
	error_set(&link->error, strcmp(link->code, "wrong-state") ? EXIT_CODE_ERROR :
		  EXIT_CODE_STATE, "%s",
		  member_string(error, "message", "it failed without a word"));
	link->failure = json_object_get(error);
	return true;
}

static void note_end(struct control_link *link, struct json_object *line)
{
	if (!strcmp(member_string(line, "event", ""), "end"))
		snprintf(link->end, sizeof(link->end), "%s", member_string(line, "words", ""));
}

/* The connection has: so has the VM, or this process of it. */
static int has_ended(struct control_link *link)
{
	return wrong(link, "it has ended%s%s", link->end[0] ? ": " : "", link->end);
}

/* It did not take a request: why it ended may be among what it said before. */
static int hear_end(struct control_link *link)
{
	struct json_object *line;

	while ((line = control_read(link, 0))) {
		note_end(link, line);
		json_object_put(line);
	}
	return has_ended(link);
}

int control_send(struct control_link *link, const char *command, struct json_object *arguments,
		 int fd)
{
	struct json_object *request = arguments ? arguments : json_object_new_object();
	char *text;
	int ret;

	json_object_object_add(request, "command", json_object_new_string(command));
	ret = asprintf(&text, "%s\n", json_object_to_json_string_ext(request,
								     JSON_C_TO_STRING_PLAIN));
	json_object_put(request);
	if (ret < 0)
		return wrong(link, "out of memory");
	ret = line_socket_send(link->fd, text, strlen(text), fd);
	free(text);
	if (ret == -EPIPE || ret == -ECONNRESET)
		return hear_end(link);
	if (ret)
		return wrong(link, "%s", ret == -EAGAIN ? "it did not take the request in time" :
			     strerror(-ret));
	return 0;
}

struct json_object *control_answer(struct control_link *link, int timeout_ms,
				   void (*event)(struct json_object *event, void *argument),
				   void *argument)
{
	int64_t deadline = deadline_in(timeout_ms);
	struct json_object *line;

	for (;;) {
		line = read_line(link, deadline);
		if (!line) {
			if (!link->error.words[0])
				has_ended(link);
			return NULL;
		}
		if (json_object_object_get_ex(line, "event", NULL)) {
			note_end(link, line);
			if (event)
				event(line, argument);
			json_object_put(line);
			continue;
		}
		if (!take_error(link, line))
			return line;
		json_object_put(line);
		return NULL;
	}
}

struct json_object *control_ask(struct control_link *link, const char *command,
				struct json_object *arguments, int fd, int timeout_ms,
				void (*event)(struct json_object *event, void *argument),
				void *argument)
{
	if (control_send(link, command, arguments, fd))
		return NULL;
	return control_answer(link, timeout_ms, event, argument);
}
