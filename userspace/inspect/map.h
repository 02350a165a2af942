/* SPDX-License-Identifier: GPL-2.0-only */
/* A map of a guest's memory: the pages that the host has, and those that the module logs. */
#ifndef INSPECT_MAP_H
#define INSPECT_MAP_H

#include <stdbool.h>
#include <stdint.h>

struct guest_memory;
struct json_object;

#define MAP_CELLS	1024u

/**
 * struct map_count - of some pages
 * @pages: all
 * @present: in the host's memory
 * @swapped: in the host's swap
 * @shared: of the present ones: others map them as well, since they were merged (KSM) or the process
 *	was forked.  Whether the page of zeroes counts is up to the kernel
 * @dirty: written since the dirty log was cleared
 */
struct map_count {
	uint64_t pages;
	uint64_t present;
	uint64_t swapped;
	uint64_t shared;
	uint64_t dirty;
};

/**
 * struct map - all of a guest's memory
 * @all: the sum
 * @cell: parts of @cell_pages pages each, in the order of guest-physical addresses; the last may be shorter
 * @nr_cells: how many
 * @logged: there is a dirty log
 * @huge: bytes that huge pages of the host hold; valid if @has_huge
 */
struct map {
	struct map_count all;
	struct map_count cell[MAP_CELLS];
	unsigned int nr_cells;
	uint64_t cell_pages;
	bool logged;
	uint64_t huge;
	bool has_huge;
};

/** map_make() - the guest stands still; 0 or -errno */
int map_make(const struct guest_memory *memory, struct map *map);
/**
 * map_huge_bytes() - in huge pages, of the mappings between @start and @end
 * @smaps: the text of /proc/PID/smaps
 */
uint64_t map_huge_bytes(const char *smaps, uint64_t start, uint64_t end);
/** show_map() - adds slots, sums and cells */
void show_map(struct json_object *to, const struct guest_memory *memory, const struct map *map);

#endif
