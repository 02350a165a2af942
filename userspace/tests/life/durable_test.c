// SPDX-License-Identifier: GPL-2.0-only
/*
 * A loss of power undoes names that were made, changed or removed, in directories that
 * were not synced since.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "control/registry.h"
#include "life_test.h"
#include "sandbox/saved.h"

#define HOME	"/tmp/gondola-durable-test-XXXXXX"
static char home[sizeof(HOME)], *others;
static struct error error;

#define MAX_UNSYNCED	16
static char unsynced[MAX_UNSYNCED][PATH_MAX];
static unsigned int nr_unsynced;
static bool broken;	/* no directory can be synced */

static void changed(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!home[0] || strncmp(path, home, strlen(home)) || !slash)
		return;
	if (nr_unsynced == MAX_UNSYNCED)
		abort();
	snprintf(unsynced[nr_unsynced++], PATH_MAX, "%.*s", (int)(slash - path), path);
}

static void synced(const struct stat *st)
{
	struct stat other;

	for (unsigned int i = 0; i < nr_unsynced;) {
		if (!stat(unsynced[i], &other) && other.st_ino == st->st_ino &&
		    other.st_dev == st->st_dev)
			memmove(unsynced[i], unsynced[--nr_unsynced], PATH_MAX);
		else
			i++;
	}
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	struct stat st;

	if (!fstat(fd, &st) && S_ISDIR(st.st_mode)) {
		if (broken) {
			errno = EIO;
			return -1;
		}
		synced(&st);
	}
	return __real_fsync(fd);
}

int __real_unlink(const char *path);
int __wrap_unlink(const char *path);
int __wrap_unlink(const char *path)
{
	int ret = __real_unlink(path);

	if (!ret)
		changed(path);
	return ret;
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to)
{
	int ret = __real_rename(from, to);

	if (!ret)
		changed(to);
	return ret;
}

int __real_link(const char *from, const char *to);
int __wrap_link(const char *from, const char *to);
int __wrap_link(const char *from, const char *to)
{
	int ret = __real_link(from, to);

	if (!ret)
		changed(to);
	return ret;
}

int __real_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags);
int __wrap_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags);
int __wrap_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	int ret = __real_linkat(from_fd, from, to_fd, to, flags);

	if (!ret)
		changed(to);
	return ret;
}

int __real_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode)
{
	int ret = __real_mkdir(path, mode);

	if (!ret)
		changed(path);
	return ret;
}

static void is_durable(const char *what)
{
	tap_check(!nr_unsynced, false, "%s: %s is not synced", what, unsynced[0]);
	nr_unsynced = 0;
}

static void begin(void)
{
	others = getenv("GONDOLA_HOME");
	others = others ? strdup(others) : NULL;
	strcpy(home, HOME);
	require(mkdtemp(home) != NULL);
	setenv("GONDOLA_HOME", home, 1);
	require(registry_init(&error));
}

static void end(void)
{
	static const char *const names[] = { "vms", "saved", "locks", "run" };
	char path[sizeof(home) + 8];

	for (int i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/%s", home, names[i]);
		rmdir(path);
	}
	expect_equal(rmdir(home), 0);
	home[0] = 0;
	nr_unsynced = 0;
	broken = false;
	if (!others)
		return;
	setenv("GONDOLA_HOME", others, 1);
	free(others);
	require(registry_init(&error));
}

static int create(bool exclusive)
{
	struct json_object *object = json_object_new_object();
	int ret;

	json_object_object_add(object, "format", json_object_new_int(REGISTRY_FORMAT));
	ret = registry_save_config("vm1", object, exclusive, &error);
	json_object_put(object);
	return ret;
}

static void put(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	require(fd >= 0);
	close(fd);
}

static bool is_there(enum registry_file file)
{
	return !access(registry_path(file, "vm1"), F_OK);
}

void names_are_durable(void)
{
	char saved[REGISTRY_PATH_MAX], temporary[REGISTRY_PATH_MAX + 8], disk[sizeof(home) + 8];
	int fd;

	begin();
	is_durable("the registry's directories");
	expect_equal(create(true), 0);
	is_durable("a configuration");
	expect_equal(create(true), -EEXIST);
	expect_equal(create(false), 0);
	is_durable("a configuration that replaces another");

	snprintf(saved, sizeof(saved), "%s", registry_path(REGISTRY_SAVED, "vm1"));
	snprintf(temporary, sizeof(temporary), "%s.tmp", saved);
	for (int i = 0; i < 2; i++) {
		fd = saved_create(saved);
		require(fd >= 0);
		close(fd);
		expect_equal(saved_commit(saved), 0);
		is_durable("a saved state");
		if (!i)
			expect_equal(saved_remove(saved), 0);
		is_durable("a saved state that was resumed");
	}
	put(temporary);
	put(registry_path(REGISTRY_AWAY, "vm1"));

	fd = open(home, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	require(fd >= 0);
	snprintf(disk, sizeof(disk), "%s/disk", home);
	expect_equal(file_link(fd, disk), 0);
	is_durable("a disk that was cloned");
	expect_equal(file_link(fd, disk), -EEXIST);
	close(fd);
	expect_equal(file_remove(disk), 0);

	expect(registry_forget("vm1", REGISTRY_PART_SAVED, &error));
	is_durable("delete --saved-state");
	expect(access(saved, F_OK) && access(temporary, F_OK));
	expect(is_there(REGISTRY_CONFIG) && is_there(REGISTRY_AWAY));
	expect(registry_forget("vm1", REGISTRY_PART_AWAY, &error));
	is_durable("delete --away");
	expect(is_there(REGISTRY_CONFIG) && !is_there(REGISTRY_AWAY));
	put(saved);
	put(registry_path(REGISTRY_AWAY, "vm1"));
	put(registry_path(REGISTRY_LOG, "vm1"));
	expect(registry_forget("vm1", REGISTRY_PART_ALL, &error));
	is_durable("delete");
	expect(!is_there(REGISTRY_CONFIG) && !is_there(REGISTRY_AWAY) &&
	       !is_there(REGISTRY_SAVED) && !is_there(REGISTRY_LOG));
	/* A file that is gone already was perhaps removed by one that could not sync. */
	expect(registry_forget("vm1", REGISTRY_PART_ALL, &error));
	end();
}

/* Of a disk that fails, none of them says that it is done. */
void names_that_are_not(void)
{
	char saved[REGISTRY_PATH_MAX], path[sizeof(home) + 8];
	int fd;

	begin();
	broken = true;
	snprintf(path, sizeof(path), "%s/there", home);
	expect_equal(file_make_directory(path, 0700), -EIO);
	rmdir(path);
	fd = open(home, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	require(fd >= 0);
	expect_equal(file_link(fd, path), 1);
	close(fd);
	unlink(path);
	expect_equal(create(true), -EIO);
	expect(strstr(error.words, "may be lost"));
	expect_equal(create(false), -EIO);
	snprintf(saved, sizeof(saved), "%s", registry_path(REGISTRY_SAVED, "vm1"));
	fd = saved_create(saved);
	require(fd >= 0);
	close(fd);
	expect_equal(saved_commit(saved), 1);
	expect(!registry_forget("vm1", REGISTRY_PART_SAVED, &error));
	expect(strstr(error.words, "may be there again"));
	/* A second call cannot promise more. */
	expect(!registry_forget("vm1", REGISTRY_PART_SAVED, &error));
	expect_equal(saved_remove(saved), 1);
	broken = false;
	expect(registry_forget("vm1", REGISTRY_PART_ALL, &error));
	end();
}
