// SPDX-License-Identifier: GPL-2.0-only
/*
 * A second VM like one that is inactive.  Its disks have no names until all of them are whole, so
 * that nothing is left of a command that is cut off.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/fs.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/tell.h"
#include "launch.h"
#include "remote.h"

#define COPY_BYTES	(1u << 20)

/**
 * struct copy - a disk of the new VM
 * @from, @to: the files
 * @fd: the new one
 * @shared: the file system shares the blocks of both
 * @named: it has its name
 */
struct copy {
	char *from;
	char *to;
	int fd;
	bool shared;
	bool named;
};

/* Of this process's one clone: what is to be undone if it fails. */
static struct {
	const char *name;
	const char *new;
	struct copy copies[VIRTIO_MAX_DEVICES];
	unsigned int count;
	int lock;
	bool done;
} job = { .lock = -1 };

static void undo(void)
{
	for (unsigned int i = 0; i < job.count && !job.done; i++)
		if (job.copies[i].named)
			file_remove(job.copies[i].to);
	if (job.lock >= 0)
		registry_unlock(job.new, job.lock);
	job.lock = -1;
}

/* ---- names -------------------------------------------------------------------------------- */

/* Beside @path: "vm1-data.img" of vm1 is "vm2-data.img" of vm2, "disk.img" is "vm2-disk.img". */
static char *renamed(const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	size_t length = strlen(job.name);
	char *text;
	int ret;

	if (!strncmp(base, job.name, length) && !isalnum((unsigned char)base[length]))
		ret = asprintf(&text, "%.*s%s%s", (int)(base - path), path, job.new, base + length);
	else
		ret = asprintf(&text, "%.*s%s-%s", (int)(base - path), path, job.new, base);
	if (ret < 0)
		fail(EXIT_CODE_ERROR, "out of memory");
	return text;
}

/* Behind the first @skip bytes, and behind "unix:", is a path. */
static char *renamed_place(const char *place, size_t skip)
{
	char *path, *text;

	if (!strncmp(place + skip, "unix:", 5))
		skip += 5;
	path = renamed(place + skip);
	if (asprintf(&text, "%.*s%s", (int)skip, place, path) < 0)
		fail(EXIT_CODE_ERROR, "out of memory");
	free(path);
	return text;
}

/* Replaces the address in "user,mac=…,host-loopback=on" by one that no other VM has. */
static char *renumbered(const char *spec)
{
	char *text = strdup(spec ?: ""), *rest = text, *kept = NULL, *longer, *option;
	uint8_t random[4];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		fail(EXIT_CODE_ERROR, "no random numbers: %s", strerror(errno));
	while (text && (option = strsep(&rest, ","))) {
		if (!strncmp(option, "mac=", 4))
			continue;
		if (asprintf(&longer, "%s%s%s", kept ?: "", kept ? "," : "", option) < 0)
			fail(EXIT_CODE_ERROR, "out of memory");
		free(kept);
		kept = longer;
	}
	if (!kept || asprintf(&longer, "%s,mac=02:67:%02x:%02x:%02x:%02x", kept, random[0],
			      random[1], random[2], random[3]) < 0)
		fail(EXIT_CODE_ERROR, "out of memory");
	free(kept);
	free(text);
	return longer;
}

/* ---- disks ---------------------------------------------------------------------------------- */

/* Only what is there: a hole stays one.  Returns 0 or an errno. */
static int copy_data(int from, int to, off_t bytes)
{
	off_t at = 0, end;
	char *buffer = malloc(COPY_BYTES);
	ssize_t count;
	int ret = buffer ? 0 : ENOMEM;

	while (!ret && (at = lseek(from, at, SEEK_DATA)) >= 0) {
		end = lseek(from, at, SEEK_HOLE);
		if (end < 0)
			end = bytes;
		for (; at < end && !ret; at += count) {
			count = pread(from, buffer, end - at < COPY_BYTES ? end - at : COPY_BYTES, at);
			if (count > 0 && lseek(to, at, SEEK_SET) == at && file_write(to, buffer, count))
				continue;
			ret = count ? errno : EIO;
			count = 0;
		}
	}
	/* There is no more data. */
	if (!ret && errno != ENXIO)
		ret = errno;
	free(buffer);
	return ret;
}

/* A writer has the file alone, a reader shares it, as a VM that runs does. */
static int open_source(const char *path, struct disk_options options, struct stat *st)
{
	struct error error;
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || fstat(fd, st))
		fail(EXIT_CODE_IMAGE, "disk %s: %s", path, strerror(errno));
	if (S_ISBLK(st->st_mode))
		fail(EXIT_CODE_USAGE, "disk %s: a block device is not copied: only files are", path);
	if (!S_ISREG(st->st_mode))
		fail(EXIT_CODE_IMAGE, "disk %s: it is no file", path);
	options.readonly = true;
	if (!disk_lock(fd, &options, &error))
		fail(EXIT_CODE_STATE, "disk %s: %s", path, error.words);
	return fd;
}

static int open_nameless(const char *path)
{
	char *copy = strdup(path);
	int fd = copy ? open(dirname(copy), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600) : -1;

	if (fd < 0)
		fail(EXIT_CODE_ERROR, "cannot make %s: %s", path, strerror(errno));
	free(copy);
	return fd;
}

static void copy_disk(struct copy *copy, const struct disk_options *options)
{
	struct stat st;
	int from = open_source(copy->from, *options, &st), ret = 0;

	if (!access(copy->to, F_OK))
		fail(EXIT_CODE_STATE, "%s exists already", copy->to);
	copy->fd = open_nameless(copy->to);
	copy->shared = !ioctl(copy->fd, FICLONE, from);
	if (!copy->shared)
		ret = ftruncate(copy->fd, st.st_size) ? errno : copy_data(from, copy->fd, st.st_size);
	if (!ret && (fchmod(copy->fd, st.st_mode & 0777) || fsync(copy->fd)))
		ret = errno;
	if (ret)
		fail(EXIT_CODE_ERROR, "cannot copy %s to %s: %s", copy->from, copy->to, strerror(ret));
	close(from);
}

/* Returns what stands for @spec in the new VM; a disk that is only read is of both. */
static const char *clone_disk(const char *spec)
{
	struct copy *copy = &job.copies[job.count];
	struct disk_options options;
	struct error error;
	char *text;

	copy->from = strdup(spec);
	if (!copy->from)
		fail(EXIT_CODE_ERROR, "out of memory");
	if (!disk_split(copy->from, &options, &error))
		fail(error.status, "%s", error.words);
	if (options.readonly)
		return spec;
	copy->to = renamed(copy->from);
	copy_disk(copy, &options);
	job.count++;
	if (asprintf(&text, "%s%s%s", copy->to, options.raw ? ",format=raw" : "",
		     options.unlocked ? ",lock=off" : "") < 0)
		fail(EXIT_CODE_ERROR, "out of memory");
	return text;
}

static void name_disks(void)
{
	for (unsigned int i = 0; i < job.count; i++) {
		struct copy *copy = &job.copies[i];
		int ret = file_link(copy->fd, copy->to);

		copy->named = ret >= 0;
		if (ret)
			fail(EXIT_CODE_ERROR, "cannot make %s: %s", copy->to,
			     ret > 0 ? "its name may be lost if the host loses power now" :
			     strerror(-ret));
		close(copy->fd);
	}
}

/* ---- the command ------------------------------------------------------------------------------ */

static void take_names(void *to, const char *option, const char *value)
{
	struct remote_options *options = to;

	if (!options->name) {
		remote_take_name(to, option, value);
		return;
	}
	if (job.new)
		fail(EXIT_CODE_USAGE, "clone: two names, not \"%s\", too", value);
	if (!registry_name_is_good(value))
		fail(EXIT_CODE_USAGE, "clone: \"%s\" is not a name of 1 to 31 letters, digits, \".\", \"_\" and \"-\"",
		     value);
	job.new = value;
}

static const struct option_spec specs[] = {
	{ .name = "NAME", .take = take_names },
	OPTION("--json", NULL, "Print the result as JSON.", FLAG, struct remote_options, json),
	{ .name = NULL }
};

/* The name is this process's, and there is no VM of it. */
static void claim_new(void)
{
	struct registry_vm vm;
	struct error error;

	atexit(undo);
	job.lock = registry_lock(job.new, &error);
	if (job.lock < 0 && job.lock != -EBUSY)
		fail(error.status, "%s", error.words);
	if (job.lock == -EBUSY || !registry_at_rest(job.new, &vm))
		fail(EXIT_CODE_STATE, "%s exists already (see gondola status %s)", job.new, job.new);
}

static void clone_devices(struct run_options *run)
{
	for (unsigned int i = 0; i < run->nr_virtio; i++) {
		struct virtio_spec *spec = &run->virtio[i];

		if (spec->kind == VIRTIO_DISK)
			spec->value = clone_disk(spec->value);
		else if (spec->kind == VIRTIO_NET)
			spec->value = renumbered(spec->value);
		else if (spec->kind == VIRTIO_PORT)
			spec->value = renamed_place(spec->value, strcspn(spec->value, "=") + 1);
		else if (spec->kind == VIRTIO_VHOST_USER)
			fail(EXIT_CODE_USAGE, "--vhost-user %s: a disk of another program is not copied",
			     spec->value);
	}
	if (strcmp(run->console, "stdio") && strcmp(run->console, "pty"))
		run->console = renamed_place(run->console, 0);
	if (run->control)
		run->control = renamed(run->control);
	if (run->json)
		run->json = renamed(run->json);
	run->name = job.new;
}

static void tell_clone(bool json)
{
	struct json_object *told = json_object_new_object(), *disks = json_object_new_array();

	for (unsigned int i = 0; i < job.count; i++) {
		const struct copy *copy = &job.copies[i];
		struct json_object *disk = json_object_new_object();

		json_object_object_add(disk, "from", json_object_new_string(copy->from));
		json_object_object_add(disk, "to", json_object_new_string(copy->to));
		json_object_object_add(disk, "shared", json_object_new_boolean(copy->shared));
		json_object_array_add(disks, disk);
		if (!json)
			tell(copy->shared ? "disk %s shares its blocks with %s\n" :
			     "disk %s is a copy of %s: the file system cannot share blocks\n",
			     copy->to, copy->from);
	}
	json_object_object_add(told, "name", json_object_new_string(job.new));
	json_object_object_add(told, "disks", disks);
	if (json)
		remote_print(told);
	json_object_put(told);
}

static int run_clone(int argc, char **argv)
{
	struct remote_options options = { NULL };
	static struct run_options run;
	struct json_object *config;
	struct registry_vm vm;
	struct error error;

	remote_find(&command_clone, argc, argv, &options, &vm);
	if (!job.new)
		fail(EXIT_CODE_USAGE, "clone: what is the new VM's name? (see gondola help clone)");
	job.name = options.name;
	registry_put(&vm);
	/* The lock keeps the template from being started meanwhile. */
	launch_lock(job.name);
	launch_check_state(&command_clone, job.name);
	claim_new();
	config = registry_load_config(job.name, &error);
	if (!config)
		fail(error.status, "%s", error.words);
	launch_from_config(&run, &command_clone, config);
	clone_devices(&run);
	name_disks();
	if (registry_save_config(job.new, launch_config_of(&run), true, &error))
		fail(error.status, "%s", error.words);
	job.done = true;
	tell_clone(options.json);
	return EXIT_CODE_OK;
}

const struct command command_clone = {
	.name = "clone",
	.summary = "make a VM like one that is inactive, with disks of its own",
	.usage = "NAME NEW [--json]",
	.about =
"The new VM has the options of NAME, its name, new addresses for its network cards, and its own "
"disks, beside those of NAME: NAME.img becomes NEW.img, and any other FILE becomes NEW-FILE; likewise "
"sockets, and files for output. Where the file system can (btrfs, XFS), both share the blocks that "
"neither has written; else the disks are copied, and the command says so. Holes are not filled. "
"A disk that is only read (FILE,ro) is of both. --gdb is left out.\n"
"All of it is on stable storage when the command succeeds. If it fails or is killed while it copies, "
"nothing is left.",
	.options = specs,
	.notes =
"What is inside a disk is the same: the guest's host name, machine-id and keys. A card of tap=NAME has "
"the same tap, which one VM at a time can use.",
	.examples =
"gondola clone template vm1 && gondola start vm1 --detach",
	.status =
"0 done, 2 wrong usage, 6 a disk is missing, 14 error, 20 NAME is not inactive, a disk is in use, or NEW or a "
"disk of it exists",
	.run = run_clone,
};
