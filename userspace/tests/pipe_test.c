// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <asm/bootparam.h>

#include "images.h"
#include "pipe_test.h"
#include "tap.h"

#define SMALL		(64ull << 20)
#define PIECES		3u
#define INITRD_BYTES	(1u << 20)	/* more than a pipe holds */

/* A process that writes @data at its leisure, or without an end; *@fd is where it can be read. */
static pid_t writer(const uint8_t *data, size_t bytes, bool endless, int *fd)
{
	int ends[2];
	pid_t child;

	require_equal(pipe2(ends, O_CLOEXEC), 0);
	child = fork();
	require(child >= 0);
	if (child) {
		close(ends[1]);
		*fd = ends[0];
		return child;
	}
	close(ends[0]);
	do {
		for (size_t at = 0; at < bytes;) {
			size_t piece = bytes / PIECES + 1;
			ssize_t count;

			count = write(ends[1], data + at, piece < bytes - at ? piece : bytes - at);
			if (count <= 0)
				_exit(1);
			at += count;
			if (!endless)
				usleep(20000);
		}
	} while (endless);
	_exit(0);
}

static const char *path_of(int fd)
{
	static char paths[4][32];
	static unsigned int next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "/proc/self/fd/%d", fd);
	return path;
}

/* As a shell's <(zcat FILE) gives them. */
void images_from_pipes(void)
{
	static uint8_t initrd[INITRD_BYTES];
	struct boot *boot = fresh_boot();
	const struct boot_params *zero;
	int kernel_fd, initrd_fd;
	pid_t children[2];

	for (unsigned int i = 0; i < INITRD_BYTES; i++)
		initrd[i] = i * 7 / 3;
	make_bzimage(1);
	children[0] = writer(made.data, made.bytes, false, &kernel_fd);
	children[1] = writer(initrd, INITRD_BYTES, false, &initrd_fd);
	boot->initrd = path_of(initrd_fd);
	require_equal(boot_path(path_of(kernel_fd), SMALL), 0);
	expect(!strcmp(made_at(0x100000, 32), "the kernel itself"));
	zero = made_at(boot->regs.gpr[6], sizeof(*zero));
	expect_equal(zero->hdr.ramdisk_size, INITRD_BYTES);
	expect(!memcmp(made_at(zero->hdr.ramdisk_image, INITRD_BYTES), initrd, INITRD_BYTES));
	for (unsigned int i = 0; i < 2; i++)
		require_equal(waitpid(children[i], NULL, 0), children[i]);
	close(kernel_fd);
	close(initrd_fd);
}

/* A pipe, and a file, which is not left for the guest's console to read. */
void image_from_standard_input(void)
{
	int before = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3), fd;
	pid_t child;
	char byte;

	fresh_boot();
	make_bzimage(1);
	child = writer(made.data, made.bytes, false, &fd);
	dup2(fd, STDIN_FILENO);
	expect_equal(boot_path("-", SMALL), 0);
	require_equal(waitpid(child, NULL, 0), child);
	close(fd);
	fd = open(file_of(made.data, made.bytes), O_RDONLY | O_CLOEXEC);
	dup2(fd, STDIN_FILENO);
	expect_equal(boot_path("-", SMALL), 0);
	expect(!strcmp(made_at(0x100000, 32), "the kernel itself"));
	expect_equal(read(STDIN_FILENO, &byte, 1), 0);
	close(fd);
	dup2(before, STDIN_FILENO);
	close(before);
}

void endless_pipe(void)
{
	static const uint8_t zeroes[4096];
	int fd;
	pid_t child;

	fresh_boot();
	child = writer(zeroes, sizeof(zeroes), true, &fd);
	expect_equal(boot_path(path_of(fd), SMALL), -1);
	expect(strstr(boot_of()->error.words, "more comes through this pipe"));
	kill(child, SIGKILL);
	require_equal(waitpid(child, NULL, 0), child);
	close(fd);
}
