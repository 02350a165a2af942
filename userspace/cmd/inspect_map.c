// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "inspect_map.h"
#include "remote.h"
#include "base/member.h"
#include "base/svg.h"
#include "base/tell.h"

#define COLUMNS		64u
#define CELLS_MAX	4096u
#define CELL		12
#define LEFT		110
#define TOP		84
#define PAGE		4096u

#define PRESENT_FILL	"fill=\"#4a7ab5\""
#define SHARED_FILL	"fill=\"#a9c6e8\""
#define SWAPPED_FILL	"fill=\"#e08a3c\""
#define DIRTY_FILL	"fill=\"#b00020\""

static struct json_object *element(struct json_object *array, size_t i)
{
	struct json_object *found = array ? json_object_array_get_idx(array, i) : NULL;

	return json_object_is_type(found, json_type_object) ? found : NULL;
}

/* ---- in words ----------------------------------------------------------------------------------- */

static void tell_count(const char *what, uint64_t pages, uint64_t all)
{
	char size[32];

	tell("%-26s %10llu  %8s  %5.1f%%\n", what, (unsigned long long)pages,
	     remote_size(pages * PAGE, size, sizeof(size)), all ? 100.0 * (double)pages / (double)all : 0);
}

void inspect_map_tell(struct json_object *answer)
{
	uint64_t all = member_count(answer, "pages"), present = member_count(answer, "present");
	uint64_t swapped = member_count(answer, "swapped");
	struct json_object *slots = member_array(answer, "slots");
	char size[32];

	tell("slot  %-18s  %8s  dirty log\n", "gpa", "size");
	for (size_t i = 0; slots && i < json_object_array_length(slots); i++) {
		struct json_object *slot = element(slots, i);

		if (slot)
			tell("%-4llu  %-18s  %8s  %s\n", (unsigned long long)member_count(slot, "slot"),
			     member_string(slot, "gpa", "-"),
			     remote_size(member_count(slot, "bytes"), size, sizeof(size)),
			     member_flag(slot, "logged", false) ? "on" : "off");
	}
	tell("\n");
	tell("%-26s %10s  %8s\n", "memory", "pages", "size");
	tell_count("all", all, all);
	tell_count("present", present, all);
	tell_count("  shared", member_count(answer, "shared"), all);
	if (json_object_object_get_ex(answer, "huge_bytes", NULL))
		tell_count("  in huge pages", member_count(answer, "huge_bytes") / PAGE, all);
	tell_count("swapped", swapped, all);
	tell_count("never used or given back", all > present + swapped ? all - present - swapped : 0, all);
	if (json_object_object_get_ex(answer, "dirty", NULL))
		tell_count("dirty", member_count(answer, "dirty"), all);
}

/* ---- as a picture --------------------------------------------------------------------------------- */

/* @part of the cell, from @from of it upwards, both as shares of its pages. */
static double draw_part(FILE *svg, double x, double y, double from, double part, const char *style)
{
	if (part > 1 - from)
		part = 1 - from;
	if (part > 0)
		svg_box(svg, x, y + CELL * (1 - from - part), CELL, CELL * part, style);
	return from + part;
}

static void draw_cell(FILE *svg, double x, double y, struct json_object *cell)
{
	double pages = (double)member_count(cell, "pages") ?: 1;
	double present = (double)member_count(cell, "present") / pages;
	double shared = (double)member_count(cell, "shared") / pages, at;

	if (shared > present)
		shared = present;
	at = draw_part(svg, x, y, 0, shared, SHARED_FILL);
	at = draw_part(svg, x, y, at, present - shared, PRESENT_FILL);
	draw_part(svg, x, y, at, (double)member_count(cell, "swapped") / pages, SWAPPED_FILL);
	if (member_count(cell, "dirty"))
		svg_box(svg, x + CELL / 2 - 1.5, y + CELL / 2 - 1.5, 3, 3, DIRTY_FILL);
	svg_box(svg, x, y, CELL, CELL, "fill=\"none\" stroke=\"#ccc\" stroke-width=\"0.5\"");
}

/* Behind the first slot memory goes on at the address of the second. */
static uint64_t address_of(struct json_object *slots, uint64_t offset)
{
	struct json_object *first = element(slots, 0), *second = element(slots, 1);
	uint64_t low = first ? member_count(first, "bytes") : 0;
	unsigned long long gpa = 0;

	if (!second || offset < low)
		return offset;
	sscanf(member_string(second, "gpa", "0"), "%llx", &gpa);
	return gpa + offset - low;
}

static void draw_legend(FILE *svg, bool logged)
{
	static const struct { const char *style, *words; } parts[] = {
		{ PRESENT_FILL, "present" }, { SHARED_FILL, "shared" }, { SWAPPED_FILL, "swapped" },
		{ "fill=\"#fff\" stroke=\"#ccc\"", "never used or given back" },
		{ DIRTY_FILL, "dirty pages" },
	};
	double x = LEFT;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) - !logged; i++) {
		svg_box(svg, x, 46, CELL, CELL, parts[i].style);
		svg_text(svg, x + CELL + 6, 57, "start", 12, parts[i].words);
		x += i == 3 ? 200 : 100;
	}
}

bool inspect_map_draw(struct json_object *answer, const char *name, const char *path)
{
	struct json_object *cells = member_array(answer, "cells"), *slots = member_array(answer, "slots");
	size_t count = cells ? json_object_array_length(cells) : 0;
	uint64_t cell_bytes = member_count(answer, "cell_pages") * PAGE;
	unsigned int rows = ((count < CELLS_MAX ? count : CELLS_MAX) + COLUMNS - 1) / COLUMNS;
	char words[160], size[2][32];
	FILE *svg = svg_open(path, LEFT + COLUMNS * CELL + 20, TOP + (int)rows * CELL + 20);

	if (!svg)
		return false;
	snprintf(words, sizeof(words), "Memory of %s: %s, each square is %s", name,
		 remote_size(member_count(answer, "pages") * PAGE, size[0], sizeof(size[0])),
		 remote_size(cell_bytes, size[1], sizeof(size[1])));
	svg_text(svg, LEFT, 26, "start", 16, words);
	draw_legend(svg, json_object_object_get_ex(answer, "dirty", NULL));
	for (size_t i = 0; i < count && i < CELLS_MAX; i++) {
		double x = LEFT + (double)(i % COLUMNS) * CELL, y = TOP + (double)(i / COLUMNS) * CELL;

		if (i % COLUMNS == 0) {
			snprintf(words, sizeof(words), "0x%llx",
				 (unsigned long long)address_of(slots, i * cell_bytes));
			svg_text(svg, LEFT - 8, y + CELL - 2, "end", 10, words);
		}
		if (element(cells, i))
			draw_cell(svg, x, y, element(cells, i));
	}
	return svg_close(svg);
}
