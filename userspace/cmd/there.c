// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/line_socket.h"
#include "there.h"

static void check_file(const char *what, const char *path)
{
	struct stat st;

	if (!*path)
		fail(EXIT_CODE_IMAGE, "%s: the name of a file is missing", what);
	if (stat(path, &st))
		fail(EXIT_CODE_IMAGE, "%s %s: %s", what, path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		fail(EXIT_CODE_IMAGE, "%s %s: it is a directory", what, path);
	if (access(path, R_OK))
		fail(EXIT_CODE_IMAGE, "%s %s: %s", what, path, strerror(errno));
}

static void check_disk(const char *spec)
{
	char *path = strdup(spec);
	struct disk_options options;
	struct error error;

	if (!path)
		fail(EXIT_CODE_ERROR, "out of memory");
	if (!disk_split(path, &options, &error))
		fail(error.status, "%s", error.words);
	/* Of one that is not there disk_check() says more. */
	if (!access(path, F_OK))
		check_file("--disk", path);
	free(path);
	if (!disk_check(spec, &error))
		fail(error.status, "%s", error.words);
}

/* A socket or file needs its directory. */
static void check_directory(const char *option, const char *path)
{
	char *copy = strdup(path), *slash;
	struct stat st;

	if (!copy)
		fail(EXIT_CODE_ERROR, "out of memory");
	slash = strrchr(copy, '/');
	if (slash && slash != copy) {
		*slash = 0;
		if (stat(copy, &st))
			fail(EXIT_CODE_IMAGE, "%s %s: %s: %s", option, path, copy, strerror(errno));
		if (!S_ISDIR(st.st_mode))
			fail(EXIT_CODE_IMAGE, "%s %s: %s is no directory", option, path, copy);
	}
	free(copy);
}

/* A program makes this socket when it starts, and it may start after the VM was made. */
static void check_program(const char *option, const char *spec, const char *path)
{
	struct stat st;

	check_directory(option, path);
	if (stat(path, &st))
		say("%s %s: nothing is there yet; its program must listen there when the VM starts",
		    option, spec);
	else if (!S_ISSOCK(st.st_mode))
		fail(EXIT_CODE_IMAGE, "%s %s: it is %s", option, spec,
		     S_ISDIR(st.st_mode) ? "a directory" : "no socket");
}

static void check_passt(const char *spec)
{
	char *path = strdup(spec + strlen("passt="));

	if (!path)
		fail(EXIT_CODE_ERROR, "out of memory");
	path[strcspn(path, ",")] = 0;
	check_program("--net", spec, path);
	free(path);
}

static void check_net(const char *spec)
{
	size_t kind = strcspn(spec, ",");
	char name[IFNAMSIZ] = "";
	struct error error;

	if (!net_check(spec, &error))
		fail(error.status, "%s", error.words);
	if (!strncmp(spec, "passt=", 6))
		check_passt(spec);
	if (strncmp(spec, "tap=", 4))
		return;
	if (kind - 4 < sizeof(name))
		memcpy(name, spec + 4, kind - 4);
	/* Do not use sysfs, which shows the network namespace of its mount. */
	if (!if_nametoindex(name))
		fail(EXIT_CODE_IMAGE, "--net %.*s: there is no such interface (ip tuntap add %.*s mode tap makes it)",
		     (int)kind, spec, (int)kind - 4, spec + 4);
}

static void check_vhost_user(const char *spec)
{
	struct error error;

	if (!vhost_user_check(spec, &error))
		fail(error.status, "%s", error.words);
	check_program("--vhost-user", spec, strchr(spec, '=') + 1);
}

/* A port's place, without its options. */
static void check_place_of(const char *spec)
{
	char *place = strdup(strchr(spec, '=') + 1), *console;

	if (!place)
		fail(EXIT_CODE_ERROR, "out of memory");
	console = strstr(place, ",console");
	if (console && !console[strlen(",console")])
		*console = 0;
	there_check_place("--port", place);
	free(place);
}

static void check_port(const char *spec)
{
	struct error error;

	if (!port_check(spec, &error))
		fail(error.status, "%s", error.words);
	check_place_of(spec);
}

void there_check_socket(const char *option, const char *path)
{
	struct stat st;

	check_directory(option, path);
	if (!stat(path, &st) && !S_ISSOCK(st.st_mode))
		fail(EXIT_CODE_IMAGE, "%s %s: %s", option, path, line_socket_reason(path, EADDRINUSE));
}

void there_check_place(const char *option, const char *where)
{
	struct stat st;

	if (!strncmp(where, "unix:", 5)) {
		there_check_socket(option, where + 5);
		return;
	}
	check_directory(option, where);
	if (!stat(where, &st) && S_ISDIR(st.st_mode))
		fail(EXIT_CODE_IMAGE, "%s %s: it is a directory", option, where);
}

/* A VM that is kept reads it at each start. */
static void check_image(const char *option, const char *path)
{
	struct stat st;

	if (!strcmp(path, "-") || (!stat(path, &st) && S_ISFIFO(st.st_mode)))
		fail(EXIT_CODE_IMAGE, "%s %s: a pipe can be read once, and this VM may start more often: only gondola run takes one",
		     option, path);
	check_file(option, path);
}

void there_check_boot(const struct boot *boot)
{
	struct stat st;

	check_image("--kernel", boot->kernel);
	if (!stat(boot->kernel, &st) && S_ISREG(st.st_mode) && !st.st_size)
		fail(EXIT_CODE_IMAGE, "--kernel %s: the file is empty", boot->kernel);
	if (strlen(boot->append) >= BOOT_CMDLINE_MAX)
		fail(EXIT_CODE_IMAGE, "--append: the command line has more than %u characters",
		     BOOT_CMDLINE_MAX - 1);
	if (boot->initrd)
		check_image("--initrd", boot->initrd);
	for (unsigned int i = 0; i < boot->nr_modules; i++)
		check_image("--module", boot->modules[i].path);
}

void there_check_device(const struct virtio_spec *spec)
{
	if (spec->kind == VIRTIO_DISK)
		check_disk(spec->value);
	else if (spec->kind == VIRTIO_NET)
		check_net(spec->value);
	else if (spec->kind == VIRTIO_PORT)
		check_port(spec->value);
	else if (spec->kind == VIRTIO_VHOST_USER)
		check_vhost_user(spec->value);
}
