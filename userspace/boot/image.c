// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot.h"

#define PAGE		4096ull
#define IMAGE_MAX	(2ull << 30)

static int open_file(struct boot *boot, const char *path, uint64_t *bytes)
{
	/* Opening a pipe would wait for a writer. */
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return boot_error(boot, "%s: %s", path, strerror(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return boot_error(boot, "%s: not a regular file", path);
	}
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

int image_load_at(struct boot *boot, const char *path, uint64_t *gpa, uint64_t *bytes)
{
	int fd = open_file(boot, path, bytes);

	if (fd < 0)
		return -1;
	*gpa = (*gpa + PAGE - 1) & ~(PAGE - 1);
	return load_file(boot, path, fd, *gpa, *bytes);
}
