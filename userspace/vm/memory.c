// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/error.h"
#include "lib/libgondola.h"
#include "memory.h"

#define HUGE	(2ull << 20)
#define PAGE	4096u
#define PRESENT	(3ull << 62)	/* bits of an entry of pagemap: in memory, or in swap */

/* Align it like guest-physical memory, so that the host's huge pages serve the guest's. */
static uint8_t *map_private(uint64_t bytes)
{
	uint8_t *mapping = mmap(NULL, bytes + HUGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *base;
	size_t before;

	if (mapping == MAP_FAILED)
		return NULL;
	base = (uint8_t *)(((uintptr_t)mapping + HUGE - 1) & ~(HUGE - 1));
	before = base - mapping;
	if (before)
		munmap(mapping, before);
	if (HUGE > before)
		munmap(base + bytes, HUGE - before);
	return base;
}

int memory_share(uint64_t bytes)
{
	int fd = memfd_create("gondola", MFD_CLOEXEC | MFD_ALLOW_SEALING), ret;

	if (fd < 0)
		return -errno;
	/* No other program can cut it short, which would make our accesses fault. */
	if (!ftruncate(fd, bytes) &&
	    !fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

/* Replace the private mapping at @base; returns the file, or -errno. */
static int map_shared(uint8_t *base, uint64_t bytes)
{
	int fd = memory_share(bytes), ret;

	if (fd < 0 || mmap(base, bytes, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, 0) != MAP_FAILED)
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

int memory_create_bare(struct guest_memory *memory, uint64_t bytes, bool shared)
{
	uint8_t *base = map_private(bytes);
	int fd = 0, ret;

	if (!base)
		return -errno;
	if (shared)
		fd = map_shared(base, bytes);
	if (fd < 0) {
		munmap(base, bytes);
		return fd;
	}
	/* An optimisation: a kernel without it uses smaller pages. */
	madvise(base, bytes, MADV_HUGEPAGE);
	*memory = (struct guest_memory){
		.base = base,
		.bytes = bytes,
		.low = bytes < MEMORY_LOW_MAX ? bytes : MEMORY_LOW_MAX,
		.fd = fd,
	};
	/* A core dump is for debugging the launcher, and must not contain guest memory. */
	if (madvise(base, bytes, MADV_DONTDUMP)) {
		ret = -errno;
		memory_destroy(memory);
		return ret;
	}
	return 0;
}

bool memory_create(struct guest_memory *memory, uint64_t bytes, bool shared, struct error *error)
{
	struct sysinfo host;
	uint64_t ram, swap;
	int ret;

	if (sysinfo(&host))
		return error_set(error, EXIT_CODE_ERROR,
				 "cannot ask how much memory the host has: %s", strerror(errno));
	ram = (uint64_t)host.totalram * host.mem_unit;
	swap = (uint64_t)host.totalswap * host.mem_unit;
	if (bytes > ram + swap)
		return error_set(error, EXIT_CODE_MEMORY,
				 "--mem %lluM is more than the host has: %lluM of RAM and %lluM of swap",
				 (unsigned long long)bytes >> 20, (unsigned long long)ram >> 20,
				 (unsigned long long)swap >> 20);
	ret = memory_create_bare(memory, bytes, shared);
	return !ret || error_set(error, EXIT_CODE_MEMORY, "cannot allocate %lluM of guest memory: %s",
				 (unsigned long long)bytes >> 20, strerror(-ret));
}

void memory_destroy(struct guest_memory *memory)
{
	munmap(memory->base, memory->bytes);
	memory->base = NULL;
	if (memory->pagemap)
		close(memory->pagemap);
	if (memory->smaps)
		close(memory->smaps);
	memory->pagemap = memory->smaps = 0;
	if (memory->fd)
		close(memory->fd);
	memory->fd = 0;
}

/* Replaces what is mapped there. */
static int map_over(void *at, uint64_t bytes, int flags, int fd)
{
	if (mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE | flags,
		 fd, 0) == MAP_FAILED || madvise(at, bytes, MADV_DONTDUMP))
		return -errno;
	return 0;
}

int memory_map_image(struct guest_memory *memory, int fd)
{
	memory->image = true;
	return map_over(memory->base, memory->bytes, 0, fd);
}

int memory_discard(const struct guest_memory *memory, void *at, uint64_t bytes)
{
	/* Behind a page that goes would be the file's again. */
	if (memory->image)
		return map_over(at, bytes, MAP_ANONYMOUS, -1);
	return madvise(at, bytes, memory->fd ? MADV_REMOVE : MADV_DONTNEED) ? -errno : 0;
}

void *memory_at(const struct guest_memory *memory, uint64_t gpa, uint64_t bytes)
{
	if (gpa < memory->low)
		return bytes <= memory->low - gpa ? memory->base + gpa : NULL;
	if (gpa < MEMORY_HIGH || gpa - MEMORY_HIGH >= memory->bytes - memory->low)
		return NULL;
	gpa -= MEMORY_HIGH;
	if (bytes > memory->bytes - memory->low - gpa)
		return NULL;
	return memory->base + memory->low + gpa;
}

static int set_slots(const struct guest_memory *memory)
{
	uint32_t flags = (memory->logged ? GONDOLA_MEM_LOG_DIRTY : 0) |
			 (memory->userfault ? GONDOLA_MEM_USERFAULT : 0);
	int ret = __gondola_set_memory(memory->vm_fd, 0, flags, 0, memory->low, memory->base);

	if (!ret && memory->bytes > memory->low)
		ret = __gondola_set_memory(memory->vm_fd, 1, flags, MEMORY_HIGH,
					   memory->bytes - memory->low,
					   memory->base + memory->low);
	return ret;
}

static int open_of_self(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? 0 : fd;
}

static int open_pagemap(void)
{
	return open_of_self("/proc/self/pagemap");
}

/* Check the pages of a word; false if the kernel cannot tell. */
static bool keep_empty_word(int fd, uint64_t page, uint64_t *word)
{
	uint64_t entries[64];
	/* Memory may end within a word: ignore the bits behind. */
	ssize_t bytes = pread(fd, entries, sizeof(entries), page * sizeof(entries[0]));

	if (bytes <= 0)
		return false;
	for (unsigned int i = 0; i < bytes / sizeof(entries[0]); i++)
		if (entries[i] & PRESENT)
			*word &= ~(1ull << i);
	return true;
}

void memory_keep_empty(const struct guest_memory *memory, uint64_t *bits)
{
	uint64_t words = (memory->bytes / PAGE + 63) / 64, first = (uintptr_t)memory->base / PAGE;
	int fd = memory->pagemap ? memory->pagemap : open_pagemap();
	/* Pages that others wrote to shared memory are not among this process's. */
	bool known = fd && !memory->fd;

	for (uint64_t i = 0; i < words && known; i++)
		if (bits[i])
			known = keep_empty_word(fd, first + i * 64, &bits[i]);
	if (!known)
		memset(bits, 0, words * sizeof(*bits));
	if (fd && fd != memory->pagemap)
		close(fd);
}

int memory_register(struct guest_memory *memory, int vm_fd)
{
	memory->vm_fd = vm_fd;
	/* The pagemap of this process, which has the guest's memory. */
	memory->pagemap = open_pagemap();
	memory->smaps = open_of_self("/proc/self/smaps");
	return set_slots(memory);
}

int memory_log_dirty(struct guest_memory *memory, bool on)
{
	int ret;

	/* The flag is set only while there is a log. */
	if (!on)
		__atomic_store_n(&memory->log_dirty, false, __ATOMIC_SEQ_CST);
	memory->logged = on;
	ret = set_slots(memory);
	if (ret)
		memory->logged = false;
	if (on && !ret) {
		__atomic_store_n(&memory->log_lost, 0, __ATOMIC_SEQ_CST);
		__atomic_store_n(&memory->log_dirty, true, __ATOMIC_SEQ_CST);
	}
	return ret;
}

bool memory_holds(const struct guest_memory *memory, const struct iovec *iov, unsigned int count)
{
	if (!__atomic_load_n(&memory->absent, __ATOMIC_ACQUIRE))
		return true;
	/* Wait here, not in the kernel, where an aborted wait would look like a page. */
	for (unsigned int i = 0; i < count; i++) {
		const volatile uint8_t *at = iov[i].iov_base;

		for (size_t n = 0; n < iov[i].iov_len; n += PAGE - (uintptr_t)(at + n) % PAGE)
			(void)at[n];
	}
	return !__atomic_load_n(&memory->lost, __ATOMIC_ACQUIRE);
}

int memory_userfault(struct guest_memory *memory, bool on)
{
	memory->userfault = on;
	return set_slots(memory);
}

void memory_mark_dirty(struct guest_memory *memory, uint32_t device, uint64_t gpa,
		       uint64_t bytes)
{
	int ret;

	/* The write must come before this load: see memory_log_dirty(). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!bytes || !__atomic_load_n(&memory->log_dirty, __ATOMIC_RELAXED))
		return;
	ret = __gondola_mark_dirty(memory->vm_fd, GONDOLA_DIRTY_DEVICE, device, gpa, bytes);
	/* A migration checks this: a page that the log misses would be lost. */
	if (ret && __atomic_load_n(&memory->log_dirty, __ATOMIC_RELAXED))
		__atomic_store_n(&memory->log_lost, ret, __ATOMIC_SEQ_CST);
}
