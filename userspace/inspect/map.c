// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <json-c/json.h>

#include "map.h"
#include "lib/libgondola.h"
#include "vm/memory.h"

#define PAGE		4096u
#define BATCH		512u
/* Of an entry of pagemap (Documentation/admin-guide/mm/pagemap.rst of Linux). */
#define PM_PRESENT	(1ull << 63)
#define PM_SWAPPED	(1ull << 62)
#define PM_EXCLUSIVE	(1ull << 56)
#define SMAPS_MAX	(16u << 20)

/* ---- what the kernel says --------------------------------------------------------------------- */

static void add(struct map_count *to, uint64_t entry, bool dirty)
{
	bool present = entry & PM_PRESENT;

	to->pages++;
	to->present += present;
	to->swapped += !present && entry & PM_SWAPPED;
	to->shared += present && !(entry & PM_EXCLUSIVE);
	to->dirty += dirty;
}

static int count_pages(const struct guest_memory *memory, const uint64_t *dirty, struct map *map)
{
	uint64_t pages = memory->bytes / PAGE, first = (uintptr_t)memory->base / PAGE;
	uint64_t entries[BATCH];

	for (uint64_t at = 0; at < pages; at += BATCH) {
		uint64_t count = pages - at < BATCH ? pages - at : BATCH;
		ssize_t bytes = pread(memory->pagemap, entries, count * sizeof(entries[0]),
				      (off_t)((first + at) * sizeof(entries[0])));

		if (bytes != (ssize_t)(count * sizeof(entries[0])))
			return bytes < 0 ? -errno : -EIO;
		for (uint64_t i = 0; i < count; i++) {
			uint64_t page = at + i;
			bool written = dirty && dirty[page / 64] >> page % 64 & 1;

			add(&map->cell[page / map->cell_pages], entries[i], written);
			add(&map->all, entries[i], written);
		}
	}
	return 0;
}

/* Both slots' bits as those of one piece of memory; NULL: there is no log, or no memory for it. */
static uint64_t *read_log(const struct guest_memory *memory)
{
	uint64_t low = memory->low / PAGE, high = memory->bytes / PAGE - low;
	uint64_t *bits = memory->logged ? calloc((low + high + 63) / 64, sizeof(*bits)) : NULL;

	/* Low memory ends at a multiple of 64 pages wherever more follows. */
	if (bits && !__gondola_get_dirty(memory->vm_fd, 0, 0, low, bits) &&
	    (!high || !__gondola_get_dirty(memory->vm_fd, 1, 0, high, bits + low / 64)))
		return bits;
	free(bits);
	return NULL;
}

/* All of the file, which says what is so at the moment when it is read; NULL: it cannot be had. */
static char *read_smaps(int fd)
{
	size_t used = 0, room = 1 << 16;
	char *text = fd > 0 ? malloc(room) : NULL;
	ssize_t got = -1;

	while (text && (got = pread(fd, text + used, room - used - 1, (off_t)used)) > 0) {
		char *more = text;

		used += (size_t)got;
		if (room - used < 4096) {
			room *= 2;
			more = room <= SMAPS_MAX ? realloc(text, room) : NULL;
		}
		if (!more)
			break;
		text = more;
	}
	if (text && !got) {
		text[used] = 0;
		return text;
	}
	free(text);
	return NULL;
}

uint64_t map_huge_bytes(const char *smaps, uint64_t start, uint64_t end)
{
	unsigned long long from, to, kib;
	bool ours = false;
	uint64_t sum = 0;

	for (const char *line = smaps; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (sscanf(line, "%llx-%llx ", &from, &to) == 2)
			ours = from < end && to > start;
		else if (ours && sscanf(line, "AnonHugePages: %llu kB", &kib) == 1)
			sum += kib << 10;
	}
	return sum;
}

int map_make(const struct guest_memory *memory, struct map *map)
{
	uint64_t pages = memory->bytes / PAGE, start = (uintptr_t)memory->base;
	uint64_t *dirty;
	char *smaps;
	int ret;

	memset(map, 0, sizeof(*map));
	if (!memory->pagemap)
		return -EOPNOTSUPP;
	map->cell_pages = (pages + MAP_CELLS - 1) / MAP_CELLS;
	map->nr_cells = (unsigned int)((pages + map->cell_pages - 1) / map->cell_pages);
	dirty = read_log(memory);
	map->logged = dirty;
	ret = count_pages(memory, dirty, map);
	free(dirty);
	smaps = ret ? NULL : read_smaps(memory->smaps);
	map->has_huge = smaps;
	if (smaps)
		map->huge = map_huge_bytes(smaps, start, start + memory->bytes);
	free(smaps);
	return ret;
}

/* ---- as JSON ------------------------------------------------------------------------------------ */

static struct json_object *show_slot(unsigned int number, uint64_t gpa, uint64_t bytes,
				     const struct guest_memory *memory)
{
	struct json_object *to = json_object_new_object();
	char text[24];

	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)gpa);
	json_object_object_add(to, "slot", json_object_new_int((int)number));
	json_object_object_add(to, "gpa", json_object_new_string(text));
	json_object_object_add(to, "bytes", json_object_new_uint64(bytes));
	json_object_object_add(to, "logged", json_object_new_boolean(memory->logged));
	return to;
}

static void put_count(struct json_object *to, const struct map_count *count, bool logged)
{
	json_object_object_add(to, "pages", json_object_new_uint64(count->pages));
	json_object_object_add(to, "present", json_object_new_uint64(count->present));
	json_object_object_add(to, "swapped", json_object_new_uint64(count->swapped));
	json_object_object_add(to, "shared", json_object_new_uint64(count->shared));
	if (logged)
		json_object_object_add(to, "dirty", json_object_new_uint64(count->dirty));
}

void show_map(struct json_object *to, const struct guest_memory *memory, const struct map *map)
{
	struct json_object *slots = json_object_new_array(), *cells = json_object_new_array();

	json_object_array_add(slots, show_slot(0, 0, memory->low, memory));
	if (memory->bytes > memory->low)
		json_object_array_add(slots, show_slot(1, MEMORY_HIGH, memory->bytes - memory->low,
						       memory));
	json_object_object_add(to, "slots", slots);
	put_count(to, &map->all, map->logged);
	if (map->has_huge)
		json_object_object_add(to, "huge_bytes", json_object_new_uint64(map->huge));
	json_object_object_add(to, "cell_pages", json_object_new_uint64(map->cell_pages));
	for (unsigned int i = 0; i < map->nr_cells; i++) {
		struct json_object *cell = json_object_new_object();

		put_count(cell, &map->cell[i], map->logged);
		json_object_array_add(cells, cell);
	}
	json_object_object_add(to, "cells", cells);
}
