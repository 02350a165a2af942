// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <json-c/json.h>

#include "sandbox/keeper.h"
#include "devices.h"
#include "storage.h"

#define PROGRAM		"qemu-storage-daemon"
#define PATIENCE_MS	60000	/* it repairs an image that was not closed before it answers */

static void add(struct json_object *to, const char *name, const char *value)
{
	json_object_object_add(to, name, json_object_new_string(value));
}

static void add_flag(struct json_object *to, const char *name, bool value)
{
	json_object_object_add(to, name, json_object_new_boolean(value));
}

/* The file, and the image in it.  No format is ever guessed. */
static struct json_object *make_node(const char *name, const char *driver,
				     const struct disk_options *options)
{
	struct json_object *node = json_object_new_object();

	add(node, "driver", driver);
	add(node, "node-name", name);
	add(node, "discard", "unmap");
	add_flag(node, "read-only", options->readonly);
	return node;
}

static struct json_object *make_file(const char *path, const struct disk_options *options)
{
	struct stat st;
	bool device = !stat(path, &st) && S_ISBLK(st.st_mode);
	struct json_object *node = make_node("file", device ? "host_device" : "file", options);

	add(node, "filename", path);
	add(node, "locking", options->unlocked ? "off" : "on");
	return node;
}

static struct json_object *make_image(const struct disk_options *options)
{
	struct json_object *node = make_node("disk", options->format, options);

	add(node, "file", "file");
	return node;
}

static struct json_object *make_export(const struct disk_options *options)
{
	struct json_object *export = json_object_new_object(), *address = json_object_new_object();
	char listener[12];

	snprintf(listener, sizeof(listener), "%d", KEEPER_LISTENER);
	add(address, "type", "fd");
	add(address, "str", listener);
	add(export, "type", "vhost-user-blk");
	add(export, "id", "export");
	add(export, "node-name", "disk");
	add_flag(export, "writable", !options->readonly);
	json_object_object_add(export, "addr", address);
	return export;
}

/* It takes over @value. */
static bool argue(int note, const char *option, struct json_object *value, struct error *error)
{
	const char *text = json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN |
							  JSON_C_TO_STRING_NOSLASHESCAPE);
	bool done = keeper_argument(note, option, error) && keeper_argument(note, text, error);

	json_object_put(value);
	return done;
}

/* Returns the note, or -1. */
static int note_program(const char *path, const struct disk_options *options, struct error *error)
{
	int note = keeper_note(options->readonly ? KEEPER_READER : KEEPER_WRITER, path, error);

	return note >= 0 && keeper_argument(note, PROGRAM, error) &&
	       argue(note, "--blockdev", make_file(path, options), error) &&
	       argue(note, "--blockdev", make_image(options), error) &&
	       argue(note, "--export", make_export(options), error) ? note : -1;
}

/* Its last line, without its name and its argument; NULL: it has said nothing. */
static const char *last_words(int note, char words[KEEPER_WORDS + 1])
{
	int fd = keeper_words(note);
	ssize_t bytes = fd >= 0 ? pread(fd, words, KEEPER_WORDS, 0) : 0;
	const char *last, *argument;

	if (fd >= 0)
		close(fd);
	words[bytes > 0 ? bytes : 0] = 0;
	while (*words && words[strlen(words) - 1] == '\n')
		words[strlen(words) - 1] = 0;
	last = strrchr(words, '\n') ? strrchr(words, '\n') + 1 : words;
	argument = strstr(last, "}: ");
	if (argument)
		return argument + 3;
	if (!strncmp(last, PROGRAM ": ", strlen(PROGRAM) + 2))
		return last + strlen(PROGRAM) + 2;
	return *last ? last : NULL;
}

static bool failed(const struct vhost_user *peer, int note, const char *label, struct error *error)
{
	char words[KEEPER_WORDS + 1];
	const char *said = last_words(note, words);

	if (said && strstr(said, PROGRAM " cannot be started: No such file"))
		return error_set(error, EXIT_CODE_ERROR,
				 "--%s: %s is not installed, which serves this format (Debian 12 has it in the package qemu-system-common, Debian 13 in qemu-utils)",
				 label, PROGRAM);
	return error_set(error, peer->status, "--%s: %s: %s", label, PROGRAM, said ?: peer->why);
}

bool storage_take(struct vhost_user *peer, int note, const char *label, struct error *error)
{
	return vhost_user_take(peer, keeper_connect(note), PATIENCE_MS) ||
	       failed(peer, note, label, error);
}

int storage_note(const char *spec, char *label, size_t room, struct error *error)
{
	char *path = strdup(spec);
	struct disk_options options;
	int note = -1;

	if (!path) {
		error_set(error, EXIT_CODE_ERROR, "out of memory");
		return -1;
	}
	if (disk_check(spec, error) && disk_split(path, &options, error)) {
		snprintf(label, room, "disk %s", path);
		note = note_program(path, &options, error);
	}
	free(path);
	return note;
}
