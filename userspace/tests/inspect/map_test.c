// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <json-c/json.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "map_test.h"
#include "tap.h"
#include "inspect/map.h"
#include "vm/memory.h"

#define MIB	(1ull << 20)
#define PAGE	4096ull

static struct guest_memory memory;
static struct map map;

static void begin(uint64_t bytes)
{
	require_equal(memory_create_bare(&memory, bytes, false), 0);
	/* A page that is touched shall be one page. */
	madvise(memory.base, bytes, MADV_NOHUGEPAGE);
	memory.pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	memory.smaps = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
	require(memory.pagemap > 0 && memory.smaps > 0);
}

void map_counts_pages(void)
{
	int ends[2];
	pid_t child;
	char byte;

	begin(8 * MIB);
	for (unsigned int i = 0; i < 10; i++)
		memory.base[i * PAGE] = 1;
	require_equal(map_make(&memory, &map), 0);
	expect_equal(map.all.pages, 2048);
	expect_equal(map.all.present, 10);
	expect_equal(map.all.shared, 0);
	expect_equal(map.all.swapped, 0);
	expect(!map.logged);
	expect(map.has_huge);
	expect_equal(map.huge, 0);
	/* All are shared while another process has them. */
	require(!pipe(ends));
	child = fork();
	if (!child) {
		close(ends[1]);
		_exit(read(ends[0], &byte, 1) != 0);
	}
	require(child > 0);
	require_equal(map_make(&memory, &map), 0);
	expect_equal(map.all.shared, 10);
	close(ends[1]);
	close(ends[0]);
	waitpid(child, NULL, 0);
	/* Pages that were given back are absent from the map. */
	require(!madvise(memory.base, 4 * PAGE, MADV_DONTNEED));
	require_equal(map_make(&memory, &map), 0);
	expect_equal(map.all.present, 6);
	/* Without what the kernel tells there is no map. */
	close(memory.pagemap);
	memory.pagemap = 0;
	expect_equal(map_make(&memory, &map), -EOPNOTSUPP);
	memory_destroy(&memory);
}

/* The last cell is shorter, and no page is left out, also of memory in two pieces. */
void map_has_cells(void)
{
	static const uint64_t sizes[] = { 2 * MIB, 4 * MIB, 4 * MIB + PAGE, 513 * MIB, MEMORY_LOW_MAX + 2 * MIB };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint64_t sum = 0;

		begin(sizes[i]);
		memory.base[sizes[i] - 1] = 1;
		require_equal(map_make(&memory, &map), 0);
		expect(map.nr_cells && map.nr_cells <= MAP_CELLS);
		for (unsigned int cell = 0; cell < map.nr_cells; cell++) {
			expect(map.cell[cell].pages);
			expect(cell == map.nr_cells - 1 || map.cell[cell].pages == map.cell_pages);
			sum += map.cell[cell].pages;
		}
		expect_equal(sum, sizes[i] / PAGE);
		expect_equal(map.all.pages, sum);
		expect_equal(map.cell[map.nr_cells - 1].present, 1);
		memory_destroy(&memory);
	}
}

void map_finds_huge_pages(void)
{
	static const char smaps[] =
		"1000-2000 rw-p 00000000 00:00 0\nSize: 4 kB\nAnonHugePages:      2048 kB\n"
		"7f0000000000-7f0001000000 rw-p 00000000 00:00 0\nSize: 16384 kB\n"
		"AnonHugePages:      4096 kB\nVmFlags: rd wr\n"
		"7f0001000000-7f0002000000 rw-p 00000000 00:00 0\nAnonHugePages:     6144 kB\n"
		"7f0002000000-7f0003000000 rw-p 00000000 00:00 0\nAnonHugePages:     8192 kB";

	expect_equal(map_huge_bytes(smaps, 0x7f0000000000, 0x7f0002000000), 10 * MIB);
	expect_equal(map_huge_bytes(smaps, 0x7f0002000000, 0x7f0003000000), 8 * MIB);
	expect_equal(map_huge_bytes(smaps, 0x8000, 0x9000), 0);
	expect_equal(map_huge_bytes("", 0, ~0ull), 0);
}

void map_as_json(void)
{
	struct json_object *to = json_object_new_object(), *cells;

	begin(MEMORY_LOW_MAX + 4 * MIB);
	memory.base[0] = 1;
	require_equal(map_make(&memory, &map), 0);
	map.logged = true;
	map.all.dirty = 7;
	map.has_huge = false;
	show_map(to, &memory, &map);
	expect(!strcmp(json_object_to_json_string_ext(json_object_object_get(to, "slots"), 0),
		       "[{\"slot\":0,\"gpa\":\"0x0\",\"bytes\":3221225472,\"logged\":false},"
		       "{\"slot\":1,\"gpa\":\"0x100000000\",\"bytes\":4194304,\"logged\":false}]"));
	expect_equal(json_object_get_int(json_object_object_get(to, "present")), 1);
	expect_equal(json_object_get_int(json_object_object_get(to, "dirty")), 7);
	expect(!json_object_object_get_ex(to, "huge_bytes", NULL));
	cells = json_object_object_get(to, "cells");
	expect_equal(json_object_array_length(cells), map.nr_cells);
	expect(!strcmp(json_object_to_json_string_ext(json_object_array_get_idx(cells, 0), 0),
		       "{\"pages\":769,\"present\":1,\"swapped\":0,\"shared\":0,\"dirty\":0}"));
	json_object_put(to);
	memory_destroy(&memory);
}
