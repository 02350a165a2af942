// SPDX-License-Identifier: GPL-2.0-only
/* A second VM like one that is inactive or suspended. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/tell.h"
#include "migrate/suspend.h"
#include "remote.h"
#include "replica.h"
#include "share.h"
#include "there.h"

struct clone_options {
	struct remote_options remote;
	const char *new;
	struct virtio_spec cards[VIRTIO_MAX_DEVICES];
	unsigned int nr_cards;
	struct cgroup_limits limits;
};

static void take_names(void *to, const char *option, const char *value)
{
	struct clone_options *options = to;

	if (!options->remote.name) {
		remote_take_name(&options->remote, option, value);
		return;
	}
	if (options->new)
		fail(EXIT_CODE_USAGE, "clone: two names, not \"%s\", too", value);
	if (!registry_name_is_good(value))
		fail(EXIT_CODE_USAGE, "clone: \"%s\" is not a name of 1 to 31 letters, digits, \".\", \"_\" and \"-\"",
		     value);
	options->new = value;
}

static void take_card(void *to, const char *option, const char *value)
{
	struct clone_options *options = to;

	if (options->nr_cards == VIRTIO_MAX_DEVICES)
		fail(EXIT_CODE_USAGE, "%s: a guest has %d virtio devices at most", option, VIRTIO_MAX_DEVICES);
	options->cards[options->nr_cards++] = (struct virtio_spec){ VIRTIO_NET, value };
}

static void take_share(void *to, const char *option, const char *value)
{
	share_take(&((struct clone_options *)to)->limits, option, value);
}

static const struct option_spec specs[] = {
	{ .name = "NAME", .take = take_names },
	OPTION_TAKEN("--net", "user|tap=NAME|passt=SOCKET[,mac=ADDRESS]",
		     "What the new VM's next network card is (default: as NAME has it).", take_card),
	SHARE_OPTIONS(take_share),
	OPTION("--json", NULL, "Print the result as JSON.", FLAG, struct clone_options, remote.json),
	{ .name = NULL }
};

static void tell_clone(const struct replica *one, bool json)
{
	struct json_object *told = json_object_new_object(), *disks = json_object_new_array();

	for (unsigned int i = 0; i < one->count; i++) {
		const struct replica_disk *copy = &one->disks[i];
		struct json_object *disk;

		if (copy->state)
			continue;
		disk = json_object_new_object();
		json_object_object_add(disk, "from", json_object_new_string(copy->from));
		json_object_object_add(disk, "to", json_object_new_string(copy->to));
		json_object_object_add(disk, "shared", json_object_new_boolean(copy->shared));
		json_object_array_add(disks, disk);
		if (!json)
			tell(copy->shared ? "disk %s shares its blocks with %s\n" :
			     "disk %s is a copy of %s: the file system cannot share blocks\n",
			     copy->to, copy->from);
	}
	json_object_object_add(told, "name", json_object_new_string(one->name));
	json_object_object_add(told, "disks", disks);
	if (json)
		remote_print(told);
	json_object_put(told);
}

/* The options of @name, and if it is suspended also its saved state. */
static bool read_template(const char *name, struct resume *resume, struct run_options *run)
{
	const char *saved = registry_path(REGISTRY_SAVED, name);
	bool suspended = !access(saved, F_OK);
	struct json_object *config;
	struct error error;

	if (suspended && !resume_open(resume, saved, &error))
		fail(error.status, "%s", error.words);
	config = suspended ? resume->config.json : registry_load_config(name, &error);
	if (!config)
		fail(error.status, "%s", error.words);
	launch_from_config(run, &command_clone, config);
	return suspended;
}

/* A state of its own, which says what its disks are, and that it is a copy. */
static void copy_state(struct replica *one, struct resume *resume)
{
	struct json_object *config = launch_config_of(&one->run), *paused;
	struct error error;
	int fd;

	if (json_object_object_get_ex(resume->config.json, "paused", &paused))
		json_object_object_add(config, "paused", json_object_get(paused));
	json_object_object_add(config, "copied", json_object_new_boolean(true));
	fd = replica_add_state(one, resume->path, registry_path(REGISTRY_SAVED, one->name));
	if (!resume_copy(resume, config, fd, &error))
		fail(error.status, "%s", error.words);
	json_object_put(config);
}

/* The cards that are named, in their order: all of them, or those whose address is named. */
static void take_cards(struct run_options *run, const struct clone_options *options, bool all)
{
	unsigned int card = 0;

	for (unsigned int i = 0; i < run->nr_virtio && card < options->nr_cards; i++) {
		if (run->virtio[i].kind != VIRTIO_NET)
			continue;
		if (all || strstr(options->cards[card].value, ",mac="))
			run->virtio[i].value = options->cards[card].value;
		card++;
	}
	if (card < options->nr_cards)
		fail(EXIT_CODE_USAGE, "--net %s: %s has %u network cards", options->cards[card].value,
		     options->remote.name, card);
	for (card = 0; card < options->nr_cards; card++)
		there_check_device(&options->cards[card]);
}

/* The named cards and shares are the new VM's own; the rest is as NAME has it. */
static void take_limits(struct run_options *run, const struct cgroup_limits *limits)
{
	struct error error;

	if (limits->weight)
		run->limits.weight = limits->weight;
	if (limits->cap)
		run->limits.cap = limits->cap;
	if (limits->memory)
		run->limits.memory = limits->memory;
	if (limits->cpus)
		run->limits.cpus = limits->cpus;
	if (!cgroup_check(&run->limits, run->memory, &error))
		fail(error.status, "%s", error.words);
}

static int run_clone(int argc, char **argv)
{
	struct clone_options options = { .new = NULL };
	static struct resume resume = { .reader = { .fd = -1 } };
	static struct run_options run;
	static struct replica one;
	struct registry_vm vm;
	bool suspended;

	remote_find(&command_clone, argc, argv, &options.remote, &vm);
	if (!options.new)
		fail(EXIT_CODE_USAGE, "clone: what is the new VM's name? (see gondola help clone)");
	registry_put(&vm);
	/* The lock keeps the template from being started meanwhile. */
	launch_lock(options.remote.name);
	launch_check_state(&command_clone, options.remote.name);
	one.name = options.new;
	replica_claim(options.remote.name, &one, 1);
	suspended = read_template(options.remote.name, &resume, &run);
	take_cards(&run, &options, true);
	take_limits(&run, &options.limits);
	replica_make(&one, &run);
	take_cards(&one.run, &options, false);
	if (suspended)
		copy_state(&one, &resume);
	replica_save(&one);
	replica_done();
	tell_clone(&one, options.remote.json);
	return EXIT_CODE_OK;
}

const struct command command_clone = {
	.name = "clone",
	.summary = "copy a VM that is inactive or suspended, with its disks",
	.usage = "NAME NEW [--net CARD]... [--cpu-weight N ...] [--json]",
	.about =
"The new VM has the options of NAME but those that are named here, its name, new addresses for its network cards, and its own "
"disks, beside those of NAME: NAME.img becomes NEW.img, and any other FILE becomes NEW-FILE; likewise "
"sockets, and files for output. Where the file system can (btrfs, XFS), both share the blocks that "
"neither has written; else the disks are copied, and the command says so. Holes are not filled. "
"A disk that is only read (FILE,ro) is of both; one that others may write (lock=off) is refused. --gdb is left out.\n"
"A clone of a suspended VM is suspended, too. Its guest learns that it is a copy, see \"gondola help resume\".\n"
"All of it is on stable storage when the command succeeds. If it fails or is killed while it copies, "
"nothing is left.",
	.options = specs,
	.notes =
"What is inside a disk is the same: the guest's host name, machine-id and keys. A card of tap=NAME has "
"the same tap, which one VM at a time can use, unless --net names another.",
	.examples =
"gondola clone template vm1 && gondola start vm1 --detach\n"
"gondola clone template vm2 --net tap=vm2",
	.status =
"0 done, 2 wrong usage, 6 a disk is missing, 14 error, 20 NAME is neither inactive nor suspended, a disk is in use or shared, or NEW or a "
"disk of it exists",
	.run = run_clone,
};
