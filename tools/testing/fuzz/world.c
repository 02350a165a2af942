// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <sanitizer/allocator_interface.h>

#include "base/loop.h"
#include "world.h"

#define HEAP_SLOTS	(1u << 16)
#define MAX_FILES	8
#define MAX_FD		1024
#define TURNS		100u	/* a loop is at rest long before */

static jmp_buf given_up;
static __thread bool trying;
static unsigned int first_fd;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int __wrap_atexit(void (*fn)(void));
void __real_exit(int code) __attribute__((noreturn));
void __wrap_exit(int code) __attribute__((noreturn));

uint32_t input_take(struct input *input, unsigned int bytes)
{
	uint32_t value = 0;

	for (unsigned int i = 0; i < bytes && input->at < input->end; i++)
		value |= (uint32_t)*input->at++ << 8 * i;
	return value;
}

/* ---- what is allocated while something is tried --------------------------------------- */

/* By address; a hole ends a search, so that entries are never moved or removed, only emptied. */
static struct {
	const volatile void *at;
	bool live;
} heap[HEAP_SLOTS];
static unsigned int heap_slots[HEAP_SLOTS / 2], heap_used;

static unsigned int heap_find(const volatile void *at)
{
	unsigned int slot = ((uintptr_t)at >> 4) * 2654435761u % HEAP_SLOTS;

	while (heap[slot].at && heap[slot].at != at)
		slot = (slot + 1) % HEAP_SLOTS;
	return slot;
}

static void on_malloc(const volatile void *at, size_t bytes)
{
	unsigned int slot;

	(void)bytes;
	/* An input that allocates more often leaves a little behind. */
	if (!trying || !at || heap_used == HEAP_SLOTS / 2)
		return;
	slot = heap_find(at);
	if (!heap[slot].at)
		heap_slots[heap_used++] = slot;
	heap[slot].at = at;
	heap[slot].live = true;
}

static void on_free(const volatile void *at)
{
	if (trying && at && heap_used)
		heap[heap_find(at)].live = false;
}

static void heap_forget(bool release)
{
	for (unsigned int i = 0; release && i < heap_used; i++)
		if (heap[heap_slots[i]].live)
			free((void *)heap[heap_slots[i]].at);
	while (heap_used)
		heap[heap_slots[--heap_used]].at = NULL;
}

/* ---- giving up ---------------------------------------------------------------------------- */

void __wrap_exit(int code)
{
	if (!trying)
		__real_exit(code);
	longjmp(given_up, 1);
}

/* The process does not end with an input. */
int __wrap_atexit(void (*fn)(void))
{
	(void)fn;
	return 0;
}

bool world_try(void (*what)(void *argument), void *argument)
{
	bool whole = !setjmp(given_up);

	if (whole) {
		trying = true;
		what(argument);
	}
	trying = false;
	heap_forget(!whole);
	if (!whole && first_fd)
		close_range(first_fd, UINT_MAX, 0);
	return whole;
}

void world_ready(void)
{
	for (int fd = 0; fd < MAX_FD; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			first_fd = fd + 1;
	__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
}

/* ---- files and seeds -------------------------------------------------------------------------- */

static int files[MAX_FILES];
static unsigned int nr_files;

const char *world_file(const void *data, size_t bytes)
{
	static char paths[MAX_FILES][32];
	int fd = memfd_create("input", MFD_CLOEXEC);

	if (fd < 0 || nr_files == MAX_FILES || write(fd, data, bytes) != (ssize_t)bytes)
		abort();
	files[nr_files] = fd;
	snprintf(paths[nr_files], sizeof(paths[0]), "/proc/self/fd/%d", fd);
	return paths[nr_files++];
}

void world_forget(void)
{
	while (nr_files)
		close(files[--nr_files]);
}

/* One round; a source that a call removes may still be called once. */
static bool turn(struct loop *loop)
{
	unsigned int count = loop->room;
	struct loop_source sources[count + 1];
	struct pollfd fds[count + 1];
	bool busy = false;

	if (count)
		memcpy(sources, loop->sources, count * sizeof(sources[0]));
	for (unsigned int i = 0; i < count; i++)
		fds[i] = (struct pollfd){ .fd = sources[i].fd, .events = sources[i].events };
	poll(fds, count, 0);
	for (unsigned int i = 0; i < count; i++) {
		if (!fds[i].revents)
			continue;
		sources[i].call(sources[i].argument, fds[i].fd, fds[i].revents);
		busy = true;
	}
	return busy;
}

void world_rest(struct loop *loop)
{
	for (unsigned int i = 0; i < TURNS && turn(loop); i++)
		;
}

void world_seed(const char *name, uint8_t first, const void *data, size_t bytes)
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/seed-%s", getenv("FUZZ_SEEDS"), name);
	file = fopen(path, "w");
	if (!file || fwrite(&first, 1, 1, file) != 1 || fwrite(data, 1, bytes, file) != bytes ||
	    fclose(file)) {
		perror(path);
		abort();
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	if (getenv("FUZZ_SEEDS")) {
		world_make_seeds();
		__real_exit(0);
	}
	return 0;
}
