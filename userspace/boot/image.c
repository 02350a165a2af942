// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "boot.h"

#define PAGE		4096ull
#define IMAGE_MAX	(2ull << 30)
#define SPLICED		(1u << 20)
#define PATIENCE_MS	1000	/* until the user learns what is waited for */

/* "-" is standard input itself, so that the console does not read the file again. */
static int open_path(const char *path)
{
	/* Opening a pipe would wait for a writer. */
	return strcmp(path, "-") ? open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) :
				   fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
}

/* Move what comes through the pipe to @file until its writers have closed it; 0 or -1 with @error. */
static int drain(struct boot *boot, const char *path, int pipe, int file)
{
	struct pollfd ready = { .fd = pipe, .events = POLLIN };
	uint64_t room = boot->memory->bytes < IMAGE_MAX ? boot->memory->bytes : IMAGE_MAX;
	ssize_t count = 1;

	if (!poll(&ready, 1, PATIENCE_MS))
		say("%s is a pipe: waiting for a program that writes it", path);
	while (count) {
		count = poll(&ready, 1, -1) < 0 ? -1 : splice(pipe, NULL, file, NULL, SPLICED, 0);
		if (count < 0 && errno != EINTR && errno != EAGAIN)
			return boot_error(boot, "%s: %s", path, strerror(errno));
		if (count > 0 && (uint64_t)count > room)
			return boot_error(boot, "%s: more comes through this pipe than the guest has memory",
					  path);
		if (count > 0)
			room -= count;
	}
	return 0;
}

/* Its size is known at its end only.  Returns a file with what came, or -1 with @error. */
static int read_pipe(struct boot *boot, const char *path, int pipe)
{
	int file = memfd_create("gondola-image", MFD_CLOEXEC);

	if (file < 0)
		return boot_error(boot, "%s: cannot read a pipe: %s", path, strerror(errno));
	if (!drain(boot, path, pipe, file))
		return file;
	close(file);
	return -1;
}

static int open_file(struct boot *boot, const char *path, uint64_t *bytes)
{
	int fd = open_path(path), pipe;
	struct stat st;

	if (fd < 0)
		return boot_error(boot, "%s: %s", path, strerror(errno));
	if (!fstat(fd, &st) && S_ISFIFO(st.st_mode)) {
		pipe = fd;
		fd = read_pipe(boot, path, pipe);
		close(pipe);
		if (fd < 0)
			return -1;
	}
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return boot_error(boot, "%s: neither a regular file nor a pipe", path);
	}
	lseek(fd, 0, SEEK_SET);
	*bytes = st.st_size;
	return fd;
}

/* The size was taken before: a file that shrinks meanwhile is an error, not a surprise. */
static int read_all(struct boot *boot, const char *path, int fd, uint8_t *to, uint64_t bytes)
{
	while (bytes) {
		ssize_t count = read(fd, to, bytes);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return boot_error(boot, "%s: %s", path, strerror(errno));
		if (!count)
			return boot_error(boot, "%s: the file became shorter while it was read",
					  path);
		to += count;
		bytes -= count;
	}
	return 0;
}

int image_read(struct boot *boot, const char *path, struct image *image)
{
	uint64_t bytes;
	int fd = open_file(boot, path, &bytes);
	int ret;

	if (fd < 0)
		return -1;
	*image = (struct image){ .path = path, .bytes = bytes };
	if (bytes <= IMAGE_MAX)
		image->data = malloc(bytes ? bytes : 1);
	if (!image->data) {
		close(fd);
		return boot_error(boot, "%s: too large for a kernel (%llu bytes)", path,
				  (unsigned long long)bytes);
	}
	ret = read_all(boot, path, fd, image->data, bytes);
	close(fd);
	if (ret)
		image_free(image);
	return ret;
}

void image_free(struct image *image)
{
	free(image->data);
	image->data = NULL;
}

const void *image_at(const struct image *image, uint64_t offset, uint64_t bytes)
{
	if (offset > image->bytes || bytes > image->bytes - offset)
		return NULL;
	return image->data + offset;
}

static int load_file(struct boot *boot, const char *path, int fd, uint64_t gpa, uint64_t bytes)
{
	uint8_t *to = memory_at(boot->memory, gpa, bytes);
	int ret;

	if (!bytes)
		ret = 0;
	else if (to)
		ret = read_all(boot, path, fd, to, bytes);
	else
		ret = boot_error(boot, "%s: its %llu bytes do not fit into %lluM of guest memory",
				 path, (unsigned long long)bytes,
				 (unsigned long long)boot->memory->bytes >> 20);
	close(fd);
	return ret;
}

int image_load_high(struct boot *boot, const char *path, uint64_t floor, uint64_t ceiling,
		    uint64_t *gpa, uint64_t *bytes)
{
	int fd = open_file(boot, path, bytes);

	if (fd < 0)
		return -1;
	if (ceiling > boot->memory->low)
		ceiling = boot->memory->low;
	if (*bytes > ceiling || ((ceiling - *bytes) & ~(PAGE - 1)) < floor) {
		close(fd);
		return boot_error(boot, "%s: its %llu bytes do not fit beside the kernel into %lluM of guest memory",
				  path, (unsigned long long)*bytes,
				  (unsigned long long)boot->memory->bytes >> 20);
	}
	*gpa = (ceiling - *bytes) & ~(PAGE - 1);
	return load_file(boot, path, fd, *gpa, *bytes);
}

int image_copy(struct boot *boot, struct image *image, const char *path, const void *from,
	       size_t bytes)
{
	*image = (struct image){ .path = path, .data = malloc(bytes), .bytes = bytes };
	if (!image->data)
		return boot_error(boot, "%s: out of memory", path);
	memcpy(image->data, from, bytes);
	return 0;
}

int image_load_at(struct boot *boot, const char *path, uint64_t *gpa, uint64_t *bytes)
{
	int fd = open_file(boot, path, bytes);

	if (fd < 0)
		return -1;
	*gpa = (*gpa + PAGE - 1) & ~(PAGE - 1);
	return load_file(boot, path, fd, *gpa, *bytes);
}
