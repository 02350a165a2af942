// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "incoming.h"
#include "remote.h"
#include "same_file.h"
#include "there.h"
#include "base/fail.h"

/* Options of the command line.  A process has one VM. */
static struct {
	const char *console;
	struct virtio_spec devices[VIRTIO_MAX_DEVICES];
	unsigned int nr_devices;
	bool same_names;
	int sandbox;			/* -1: not said */
	int64_t engine;			/* likewise */
} given = { .sandbox = -1, .engine = -1 };

/* @external: it uses something of the host, which must be named here */
static const struct kind {
	const char *option;
	const char *words;
	bool external;
} kinds[] = {
	[VIRTIO_DISK] = { "--disk", "disk", true },
	[VIRTIO_NET] = { "--net", "network card", true },
	[VIRTIO_PORT] = { "--port", "port", true },
	[VIRTIO_RNG] = { "--rng", "entropy device", false },
	[VIRTIO_BALLOON] = { "--balloon", "balloon", false },
	[VIRTIO_BALLOON_OOM] = { "--balloon-oom", "balloon (--balloon-oom)", false },
	[VIRTIO_VHOST_USER] = { "--vhost-user", "disk of another program", true },
};
#define KINDS	(sizeof(kinds) / sizeof(kinds[0]))

void incoming_take(void *to, const char *option, const char *value)
{
	(void)to;
	if (!strcmp(option, "--same-names")) {
		given.same_names = true;
		return;
	}
	if (!strcmp(option, "--sandbox")) {
		given.sandbox = sandbox_mode_by_name(value);
		if (given.sandbox < 0)
			fail(EXIT_CODE_USAGE, "%s: \"%s\" is none of on, off and strict", option,
			     value);
		return;
	}
	if (!strcmp(option, "--engine")) {
		given.engine = launch_parse_engine(option, value);
		return;
	}
	if (!strcmp(option, "--console")) {
		given.console = value;
		return;
	}
	if (given.nr_devices == VIRTIO_MAX_DEVICES)
		fail(EXIT_CODE_USAGE, "%s: a guest has %d virtio devices at most", option,
		     VIRTIO_MAX_DEVICES);
	for (unsigned int kind = 0; kind < KINDS; kind++)
		if (!strcmp(option, kinds[kind].option))
			given.devices[given.nr_devices++] = (struct virtio_spec){ kind, value };
}

const char *incoming_names_devices(void)
{
	return given.nr_devices ? kinds[given.devices[0].kind].option : NULL;
}

void incoming_check(const char *json)
{
	static struct run_options options;

	for (unsigned int i = 0; i < given.nr_devices; i++)
		there_check_device(&given.devices[i]);
	if (given.console && strcmp(given.console, "stdio") && strcmp(given.console, "pty"))
		there_check_place("--console", given.console);
	if (json)
		there_check_place("--json", json);
	memcpy(options.virtio, given.devices, sizeof(given.devices));
	options.nr_virtio = given.nr_devices;
	options.console = given.console;
	options.json = json;
	launch_check_files(&options);
}

const char *incoming_path(const char *path)
{
	static char paths[3][PATH_MAX + 8];
	static unsigned int next;
	const char *prefix = strncmp(path, "unix:", 5) ? "" : "unix:";
	char here[PATH_MAX], *to = paths[next++ % 3];

	if (path[strlen(prefix)] == '/')
		return path;
	current_directory(here);
	if ((size_t)snprintf(to, sizeof(paths[0]), "%s%s/%s", prefix, here,
			     path + strlen(prefix)) >= sizeof(paths[0]))
		fail(EXIT_CODE_USAGE, "\"%s\" is too long", path);
	return to;
}

static const char *console_here(void)
{
	if (!given.console || !strcmp(given.console, "stdio") || !strcmp(given.console, "pty"))
		return given.console;
	return incoming_path(given.console);
}

/* ---- without a configuration here: devices as there, what is behind them as given ---------- */

static unsigned int count(const struct virtio_spec *specs, unsigned int nr, unsigned int kind)
{
	unsigned int found = 0;

	for (unsigned int i = 0; i < nr; i++)
		found += specs[i].kind == kind;
	return found;
}

/* The @index-th device of its kind on the command line. */
static const char *given_value(unsigned int kind, unsigned int index)
{
	for (unsigned int i = 0; i < given.nr_devices; i++)
		if (given.devices[i].kind == kind && !index--)
			return given.devices[i].value;
	return NULL;
}

static bool take_given(struct run_options *run, struct error *error)
{
	unsigned int seen[KINDS] = { 0 };

	for (unsigned int kind = 0; kind < KINDS; kind++) {
		unsigned int wanted = count(run->virtio, run->nr_virtio, kind);
		unsigned int there = count(given.devices, given.nr_devices, kind);

		if (kinds[kind].external && wanted != there)
			return error_set(error, EXIT_CODE_IMAGE, "the VM has %u %s%s, and of this host's %u %s named (%s)",
				       wanted, kinds[kind].words, wanted == 1 ? "" : "s", there,
				       there == 1 ? "is" : "are", kinds[kind].option);
	}
	for (unsigned int i = 0; i < run->nr_virtio; i++) {
		struct virtio_spec *spec = &run->virtio[i];

		if (kinds[spec->kind].external)
			spec->value = given_value(spec->kind, seen[spec->kind]++);
	}
	return true;
}

/* ---- with one: both must be the same to the guest -------------------------------------------- */

static bool same_devices(const struct run_options *run, const struct run_options *theirs,
			 struct error *error)
{
	for (unsigned int i = 0; i < run->nr_virtio && i < theirs->nr_virtio; i++)
		if (run->virtio[i].kind != theirs->virtio[i].kind)
			return error_set(error, EXIT_CODE_IMAGE, "virtio device %u of the VM is a %s; its configuration here makes it a %s",
				       i + 1, kinds[theirs->virtio[i].kind].words,
				       kinds[run->virtio[i].kind].words);
	if (run->nr_virtio == theirs->nr_virtio)
		return true;
	return error_set(error, EXIT_CODE_IMAGE, "the VM has %u virtio devices, its configuration here %u",
		       theirs->nr_virtio, run->nr_virtio);
}

static bool same_machine(const struct run_options *run, const struct run_options *theirs,
			 struct error *error)
{
	if (run->memory != theirs->memory)
		return error_set(error, EXIT_CODE_IMAGE, "the VM has %llu KiB of memory, its configuration here %llu",
			       (unsigned long long)theirs->memory >> 10,
			       (unsigned long long)run->memory >> 10);
	if (run->cpus != theirs->cpus)
		return error_set(error, EXIT_CODE_IMAGE, "the VM has %u processors, its configuration here %u",
			       theirs->cpus, run->cpus);
	if (run->pv != theirs->pv)
		return error_set(error, EXIT_CODE_IMAGE, "the VM runs with --pv %s, its configuration here says %s",
			       theirs->pv ? "on" : "off", run->pv ? "on" : "off");
	return same_devices(run, theirs, error);
}

/* ---- what it is made of ---------------------------------------------------------------------- */

/* If the directory is unknown here, relative names count from the current one. */
static void find_directory(struct json_object *config)
{
	const char *there = member_string(config, "directory", "");
	char here[PATH_MAX];

	if (!access(there, X_OK))
		return;
	current_directory(here);
	json_object_object_add(config, "directory", json_object_new_string(here));
}

bool incoming_make(struct run_options *run, const struct command *command,
		   struct json_object *theirs, struct json_object *own, bool trusted,
		   const char *name, const char *saved, struct error *error)
{
	static struct run_options there, files;
	enum sandbox_mode sandbox = SANDBOX_ON;
	const char *console = console_here();
	bool fits = true;

	if (trusted || given.same_names) {
		if (given.nr_devices)
			fail(EXIT_CODE_USAGE, "%s: %s is given, and all names are to be as they were?",
			     command->name, incoming_names_devices());
		find_directory(theirs);
		launch_from_config(run, command, theirs);
		sandbox = trusted ? run->sandbox : SANDBOX_ON;
	} else {
		launch_parse_config(&there, command, theirs);
		if (own) {
			launch_from_config(run, command, own);
			fits = same_machine(run, &there, error);
			sandbox = run->sandbox;
		} else {
			*run = there;
			/* Files and sockets of this host are not the sender's to name. */
			run->console = "stdio";
			run->json = NULL;
			run->control = NULL;
			run->panic_dump = NULL;
			run->gdb = NULL;
			fits = take_given(run, error);
		}
	}
	run->name = name;
	/* The sender of a VM must not decide about its confinement here. */
	run->sandbox = given.sandbox >= 0 ? (enum sandbox_mode)given.sandbox : sandbox;
	if (given.engine >= 0)
		run->engine = given.engine;
	if (console)
		run->console = console;
	files = *run;
	/* The sender's kernel is no file of this host. */
	if (!trusted && !own)
		files.boot = (struct boot){ .kernel = NULL };
	return fits && same_file_check(&files, saved, error);
}
