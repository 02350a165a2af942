// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "boot/boot.h"
#include "memory_test.h"
#include "tests/dumped.h"
#include "tap.h"
#include "vm/memory.h"

#define GIB	(1ull << 30)

/* Pages that were given to the host, of which the guest writes one again without a word. */
void memory_empty_pages(void)
{
	uint64_t bits[9] = { 0 };
	struct guest_memory memory;

	require_equal(memory_create_bare(&memory, 513 * 4096, false), 0);
	require_equal(madvise(memory.base, memory.bytes, MADV_NOHUGEPAGE), 0);
	memset(memory.base, 'x', memory.bytes);
	memset(bits, 0xff, 8 * sizeof(bits[0]));
	bits[8] = 1;
	require_equal(madvise(memory.base, memory.bytes, MADV_DONTNEED), 0);
	memory.base[3 * 4096 + 7] = 'y';
	memory.base[512 * 4096] = 'z';
	memory_keep_empty(&memory, bits);
	expect_equal(bits[0], ~(1ull << 3));
	expect_equal(bits[1], ~0ull);
	expect_equal(bits[8], 0);
	/* Those that are not asked about stay so. */
	memset(bits, 0, sizeof(bits));
	memory_keep_empty(&memory, bits);
	expect_equal(bits[1], 0);
	memory_destroy(&memory);
}

/* Another program that maps the memory sees the guest's, at any time, and all of it. */
void memory_shared(void)
{
	struct guest_memory memory;
	uint64_t bits[8] = { 1 };
	uint8_t *theirs;

	require_equal(memory_create_bare(&memory, 2 << 20, true), 0);
	require(memory.fd > 0);
	theirs = mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, memory.fd, 0);
	require(theirs != MAP_FAILED);
	memory.base[4096] = 'x';
	expect_equal(theirs[4096], 'x');
	theirs[0] = 'y';
	memory_keep_empty(&memory, bits);
	expect_equal(bits[0], 0);
	expect_equal(memory_discard(&memory, memory.base + 4096, 4096), 0);
	expect_equal(theirs[4096], 0);
	expect_equal(memory.base[0], 'y');
	expect(ftruncate(memory.fd, 4096));
	expect(!dumped(memory.base));
	munmap(theirs, 2 << 20);
	memory_destroy(&memory);
	expect_equal(memory.fd, 0);
}

/* Two that begin with one file: each has its own writes, and what it gives away reads as zeroes. */
void memory_image(void)
{
	static uint8_t page[4096];
	struct guest_memory memory[2];
	int fd = memory_share(2 << 20);

	memset(page, 'x', sizeof(page));
	for (unsigned int i = 0; i < 512; i++)
		require_equal(pwrite(fd, page, sizeof(page), i * 4096), 4096);
	for (unsigned int i = 0; i < 2; i++) {
		require_equal(memory_create_bare(&memory[i], 2 << 20, false), 0);
		require_equal(memory_map_image(&memory[i], fd), 0);
		expect(!dumped(memory[i].base));
	}
	memory[0].base[4096] = 'y';
	expect_equal(memory[1].base[4096], 'x');
	expect_equal(pread(fd, page, 1, 4096), 1);
	expect_equal(page[0], 'x');
	expect_equal(memory_discard(&memory[0], memory[0].base + 4096, 8192), 0);
	expect_equal(memory[0].base[4096], 0);
	expect_equal(memory[0].base[8192], 0);
	expect_equal(memory[0].base[12288], 'x');
	expect_equal(memory[1].base[8192], 'x');
	expect(!dumped(memory[0].base + 4096));
	memory_destroy(&memory[0]);
	memory_destroy(&memory[1]);
	close(fd);
}

void memory_too_much(void)
{
	struct guest_memory memory;
	struct error error = { .words = "" };

	expect(!memory_create(&memory, 1ull << 60, false, &error));
	expect_equal(error.status, EXIT_CODE_MEMORY);
	expect(strstr(error.words, "is more than the host has"));
}

/* The guest goes on; a copy of its memory is what cannot be trusted. */
void memory_log_misses(void)
{
	struct guest_memory memory;

	require_equal(memory_create_bare(&memory, 4096, false), 0);
	memory.vm_fd = -1;
	memory_mark_dirty(&memory, 1, 0, 16);
	expect_equal(memory.log_lost, 0);
	memory.log_dirty = true;
	memory_mark_dirty(&memory, 1, 0, 0);
	expect_equal(memory.log_lost, 0);
	memory_mark_dirty(&memory, 1, 0, 16);
	expect_equal(memory.log_lost, -EBADF);
	memory_destroy(&memory);
}

void memory_pieces(void)
{
	struct guest_memory memory;
	struct boot_map_entry map[BOOT_MAP_MAX];
	unsigned int count;

	require_equal(memory_create_bare(&memory, 5 * GIB, false), 0);
	expect(!dumped(memory.base));
	expect(!dumped(memory.base + memory.bytes - 1));
	expect_equal(memory.low, 3 * GIB);
	expect(memory_at(&memory, 0, 3 * GIB));
	expect(!memory_at(&memory, 0, 3 * GIB + 1));
	expect(!memory_at(&memory, 3 * GIB, 1));
	expect(!memory_at(&memory, 4 * GIB - 1, 2));
	expect(memory_at(&memory, 4 * GIB, 2 * GIB));
	expect(memory_at(&memory, 4 * GIB, 1) == memory.base + 3 * GIB);
	expect(!memory_at(&memory, 4 * GIB, 2 * GIB + 1));
	expect(!memory_at(&memory, 6 * GIB, 1));
	expect(!memory_at(&memory, ~0ull, 2));
	expect(!memory_at(&memory, 4096, ~0ull));
	count = boot_map(&memory, map);
	expect(count <= BOOT_MAP_MAX);
	expect_equal(map[count - 1].gpa, 4 * GIB);
	expect_equal(map[count - 1].bytes, 2 * GIB);
	for (unsigned int i = 1; i < count; i++)
		expect(map[i].gpa >= map[i - 1].gpa + map[i - 1].bytes);
	memory_destroy(&memory);
}
