// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "line_socket.h"

#define PROTOCOL	1
#define LINE_MAX_BYTES	(16u << 20)

__attribute__((format(printf, 2, 3)))
static int wrong(struct control_link *link, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(link->error, sizeof(link->error), format, args);
	va_end(args);
	return -1;
}

bool control_pending(const struct control_link *link)
{
	return link->used && memchr(link->buffer, '\n', link->used);
}

/* More of the stream; 0, or -1: an error, a time-out, or the end (no words). */
static int read_more(struct control_link *link, int timeout_ms)
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
		ret = poll(&ready, 1, timeout_ms);
	while (ret < 0 && errno == EINTR);
	if (!ret)
		return wrong(link, "it did not answer in time");
	do
		count = recv(link->fd, link->buffer + link->used, link->room - link->used, 0);
	while (count < 0 && errno == EINTR);
	if (count < 0)
		return wrong(link, "%s", strerror(errno));
	if (!count)
		return wrong(link, "%s", "");
	link->used += count;
	return 0;
}

struct json_object *control_read(struct control_link *link, int timeout_ms)
{
	struct json_object *line;
	char *newline;

	link->error[0] = 0;
	link->code[0] = 0;
	json_object_put(link->failure);
	link->failure = NULL;
	while (!control_pending(link))
		if (read_more(link, timeout_ms))
			return NULL;
	newline = memchr(link->buffer, '\n', link->used);
	*newline = 0;
	line = json_tokener_parse(link->buffer);
	link->used -= newline + 1 - link->buffer;
	memmove(link->buffer, newline + 1, link->used);
	if (!line || !json_object_is_type(line, json_type_object)) {
		json_object_put(line);
		wrong(link, "it sent what is not JSON");
		return NULL;
	}
	return line;
}

int control_connect(struct control_link *link, const char *path, int timeout_ms)
{
	struct json_object *line, *protocol;

	memset(link, 0, sizeof(*link));
	link->fd = line_socket_connect(path);
	if (link->fd < 0)
		return wrong(link, "%s", strerror(-link->fd));
	line = control_read(link, timeout_ms);
	if (!line) {
		if (!link->error[0])
			wrong(link, "it closed the connection");
		goto bad;
	}
	if (!json_object_object_get_ex(line, "gondola", &link->greeting) ||
	    !json_object_object_get_ex(link->greeting, "protocol", &protocol) ||
	    json_object_get_int(protocol) != PROTOCOL) {
		link->greeting = NULL;
		wrong(link, "it speaks another protocol, or has too many clients: %s",
		      json_object_to_json_string(line));
		json_object_put(line);
		goto bad;
	}
	json_object_get(link->greeting);
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

/* Keeps the words of an error that was answered; true if it was one. */
static bool take_error(struct control_link *link, struct json_object *answer)
{
	struct json_object *error, *member;

	if (!json_object_object_get_ex(answer, "error", &error))
		return false;
	if (json_object_object_get_ex(error, "code", &member))
		snprintf(link->code, sizeof(link->code), "%s", json_object_get_string(member));
	wrong(link, "%s", json_object_object_get_ex(error, "message", &member) ?
	      json_object_get_string(member) : "it failed without a word");
	link->failure = json_object_get(error);
	return true;
}

struct json_object *control_ask(struct control_link *link, const char *command,
				struct json_object *arguments, int fd, int timeout_ms,
				void (*event)(struct json_object *event, void *argument),
				void *argument)
{
	struct json_object *request = arguments ? arguments : json_object_new_object(), *line;
	char *text;
	int ret;

	json_object_object_add(request, "command", json_object_new_string(command));
	ret = asprintf(&text, "%s\n", json_object_to_json_string_ext(request,
								     JSON_C_TO_STRING_PLAIN));
	json_object_put(request);
	if (ret < 0) {
		wrong(link, "out of memory");
		return NULL;
	}
	ret = line_socket_send(link->fd, text, strlen(text), fd);
	free(text);
	if (ret) {
		wrong(link, "%s", strerror(-ret));
		return NULL;
	}
	for (;;) {
		line = control_read(link, timeout_ms);
		if (!line) {
			if (!link->error[0])
				wrong(link, "it ended");
			return NULL;
		}
		if (json_object_object_get_ex(line, "event", NULL)) {
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
