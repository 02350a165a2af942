// SPDX-License-Identifier: GPL-2.0-only
/*
 * Disks have no names until all of them are whole, so that nothing is left of a command that is cut off.
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
#include "remote.h"
#include "replica.h"

#define COPY_BYTES	(1u << 20)

/* Of this process: what is to be undone if it fails. */
static struct {
	const char *name;
	struct replica *all;
	unsigned int count;
	bool done;
} job;

static void forget(struct replica *one)
{
	for (unsigned int i = 0; i < one->count; i++)
		if (one->disks[i].named)
			file_remove(one->disks[i].to);
	one->count = 0;
}

static void unlock(struct replica *one)
{
	if (one->lock >= 0)
		registry_unlock(one->name, one->lock);
	one->lock = -1;
}

static void undo(void)
{
	struct error error;

	for (unsigned int i = 0; i < job.count; i++) {
		if (!job.done) {
			if (job.all[i].saved)
				registry_forget(job.all[i].name, REGISTRY_PART_ALL, &error);
			forget(&job.all[i]);
		}
		unlock(&job.all[i]);
	}
}

/* ---- names -------------------------------------------------------------------------------- */

/* Beside @path: "vm1-data.img" of vm1 is "vm2-data.img" of vm2, "disk.img" is "vm2-disk.img". */
static char *renamed(const struct replica *one, const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	size_t length = strlen(job.name);
	char *text;
	int ret;

	if (!strncmp(base, job.name, length) && !isalnum((unsigned char)base[length]))
		ret = asprintf(&text, "%.*s%s%s", (int)(base - path), path, one->name, base + length);
	else
		ret = asprintf(&text, "%.*s%s-%s", (int)(base - path), path, one->name, base);
	if (ret < 0)
		fail(EXIT_CODE_ERROR, "out of memory");
	return text;
}

/* Behind the first @skip bytes, and behind "unix:", is a path. */
static char *renamed_place(const struct replica *one, const char *place, size_t skip)
{
	char *path, *text;

	if (!strncmp(place + skip, "unix:", 5))
		skip += 5;
	path = renamed(one, place + skip);
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
	struct flock other = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
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
	/* QEMU's programs lock bytes of an image for reading, also those that write it. */
	if (!fcntl(fd, F_OFD_GETLK, &other) && other.l_type != F_UNLCK)
		fail(EXIT_CODE_STATE, "disk %s: another program uses it", path);
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

static void copy_disk(struct replica_disk *copy, const struct disk_options *options)
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
static const char *clone_disk(struct replica *one, const char *spec)
{
	struct replica_disk *copy = &one->disks[one->count];
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
	/* Another VM may write it meanwhile, and no lock shows that. */
	if (options.unlocked)
		fail(EXIT_CODE_STATE, "disk %s: others may write it (lock=off), so it is not copied",
		     copy->from);
	copy->to = renamed(one, copy->from);
	copy_disk(copy, &options);
	one->count++;
	if (asprintf(&text, "%s%s%s", copy->to, options.format ? ",format=" : "",
		     options.format ?: "") < 0)
		fail(EXIT_CODE_ERROR, "out of memory");
	return text;
}

static void name_disks(struct replica *one)
{
	for (unsigned int i = 0; i < one->count; i++) {
		struct replica_disk *copy = &one->disks[i];
		int ret = file_link(copy->fd, copy->to);

		copy->named = ret >= 0;
		if (ret)
			fail(EXIT_CODE_ERROR, "cannot make %s: %s", copy->to,
			     ret > 0 ? "its name may be lost if the host loses power now" :
			     strerror(-ret));
		close(copy->fd);
	}
}

/* ---- VMs ------------------------------------------------------------------------------------- */

void replica_claim(const char *name, struct replica *all, unsigned int count)
{
	struct registry_vm vm;
	struct error error;

	job.name = name;
	job.all = all;
	for (unsigned int i = 0; i < count; i++)
		all[i].lock = -1;
	job.count = count;
	atexit(undo);
	for (unsigned int i = 0; i < count; i++) {
		int lock = registry_lock(all[i].name, &error);

		if (lock < 0 && lock != -EBUSY)
			fail(error.status, "%s", error.words);
		all[i].lock = lock < 0 ? -1 : lock;
		if (lock == -EBUSY || !registry_at_rest(all[i].name, &vm))
			fail(EXIT_CODE_STATE, "%s exists already (see gondola status %s)",
			     all[i].name, all[i].name);
	}
}

void replica_make(struct replica *one, const struct run_options *from)
{
	struct run_options *run = &one->run;

	*run = *from;
	for (unsigned int i = 0; i < run->nr_virtio; i++) {
		struct virtio_spec *spec = &run->virtio[i];

		if (spec->kind == VIRTIO_DISK)
			spec->value = clone_disk(one, spec->value);
		else if (spec->kind == VIRTIO_NET)
			spec->value = renumbered(spec->value);
		else if (spec->kind == VIRTIO_PORT)
			spec->value = renamed_place(one, spec->value,
						    strcspn(spec->value, "=") + 1);
		else if (spec->kind == VIRTIO_VHOST_USER)
			fail(EXIT_CODE_USAGE, "--vhost-user %s: a disk of another program is not copied",
			     spec->value);
	}
	if (strcmp(run->console, "stdio") && strcmp(run->console, "pty"))
		run->console = renamed_place(one, run->console, 0);
	if (run->control)
		run->control = renamed(one, run->control);
	if (run->json)
		run->json = renamed(one, run->json);
	run->name = one->name;
}

int replica_add_state(struct replica *one, const char *from, const char *to)
{
	struct replica_disk *state = &one->disks[one->count];

	*state = (struct replica_disk){ strdup(from), strdup(to), .fd = -1, .state = true };
	if (!state->from || !state->to)
		fail(EXIT_CODE_ERROR, "out of memory");
	state->fd = open_nameless(to);
	one->count++;
	return state->fd;
}

void replica_save(struct replica *one)
{
	struct error error;

	name_disks(one);
	if (registry_save_config(one->name, launch_config_of(&one->run), true, &error))
		fail(error.status, "%s", error.words);
	one->saved = true;
}

void replica_done(void)
{
	job.done = true;
	for (unsigned int i = 0; i < job.count; i++)
		unlock(&job.all[i]);
}

void replica_remove(struct replica *one)
{
	struct error error;
	int lock = registry_lock(one->name, &error);

	/* Another command has it now. */
	if (lock < 0)
		return;
	registry_forget(one->name, REGISTRY_PART_ALL, &error);
	forget(one);
	registry_unlock(one->name, lock);
}
