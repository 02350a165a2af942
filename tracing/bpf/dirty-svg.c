// SPDX-License-Identifier: GPL-2.0-only
/*
 * The heat map: guest-physical memory upwards, time to the right, the darker
 * the more pages were dirtied; above it pages per second, below it the legend.
 * Darkness alone carries the meaning, so that it can be printed in gray.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/svg.h"
#include "dirty.h"
#include "migrate/phase.h"

#define WIDTH		900
#define LEFT		90
#define RIGHT		30
#define TOP		62
#define RATE_HEIGHT	90
#define GAP		50
#define LABEL_ROWS	3
#define MAP_HEIGHT	320
#define MAP_TOP		(TOP + RATE_HEIGHT + GAP)
#define HEIGHT		(MAP_TOP + MAP_HEIGHT + 118)
#define PLOT_WIDTH	(WIDTH - LEFT - RIGHT)
#define MAX_COLUMNS	160
#define MAX_ROWS	80
#define SHADES		6

/**
 * struct picture - the cells as they are drawn
 * @merge_columns, @merge_rows: how many of the BPF program's make one of these
 */
struct picture {
	FILE *file;
	unsigned int columns, rows;
	unsigned int merge_columns, merge_rows;
	double column_seconds, row_bytes;
	uint64_t most, most_in_column;
	uint64_t cells[MAX_COLUMNS][MAX_ROWS];
	uint64_t column[MAX_COLUMNS];
};

/* Lightness falls evenly, so that it is readable in gray. */
static const char *const shades[SHADES] = {
	"fill=\"#e3e3f0\"", "fill=\"#b8bbdc\"", "fill=\"#8a8fc4\"", "fill=\"#5d62a8\"",
	"fill=\"#363a85\"", "fill=\"#15174f\""
};

static double x_of(const struct picture *p, double column)
{
	return LEFT + column * PLOT_WIDTH / p->columns;
}

/* Shades stand for powers: a page that is dirtied a thousand times hides no other. */
static unsigned int shade_of(const struct picture *p, uint64_t count)
{
	double part = p->most > 1 ? log((double)count) / log((double)p->most) : 1;
	unsigned int shade = (unsigned int)(part * SHADES);

	return shade < SHADES ? shade : SHADES - 1;
}

/* The least count that has a shade. */
static uint64_t shade_from(const struct picture *p, unsigned int shade)
{
	return (uint64_t)ceil(pow((double)p->most, (double)shade / SHADES));
}

/* The column of the last mark: a migration's last phases write nothing, and belong to it. */
static uint64_t last_mark(const struct dirty_vm *vm, double column_seconds, uint64_t start_ns)
{
	uint64_t last_ns = start_ns;

	for (size_t i = 0; i < vm->nr_rounds; i++)
		if (vm->rounds[i].count.marked_ns > last_ns)
			last_ns = vm->rounds[i].count.marked_ns;
	return (uint64_t)((last_ns - start_ns) / 1e9 / column_seconds);
}

static void collect(struct picture *p, const struct dirty_vm *vm, uint64_t pages,
		    double column_seconds, unsigned int row_shift, uint64_t start_ns)
{
	uint64_t last_column = last_mark(vm, column_seconds, start_ns), last_row = (pages ? pages - 1 : 0) >> row_shift;

	for (size_t i = 0; i < vm->nr_heat; i++) {
		if (vm->heat[i].key.column > last_column)
			last_column = vm->heat[i].key.column;
		if (vm->heat[i].key.row > last_row)
			last_row = vm->heat[i].key.row;
	}
	p->merge_columns = last_column / MAX_COLUMNS + 1;
	p->merge_rows = last_row / MAX_ROWS + 1;
	p->columns = last_column / p->merge_columns + 1;
	p->rows = last_row / p->merge_rows + 1;
	p->column_seconds = column_seconds * p->merge_columns;
	p->row_bytes = (double)((uint64_t)PAGE_BYTES << row_shift) * p->merge_rows;
	for (size_t i = 0; i < vm->nr_heat; i++) {
		unsigned int column = vm->heat[i].key.column / p->merge_columns;
		unsigned int row = vm->heat[i].key.row / p->merge_rows;

		p->cells[column][row] += vm->heat[i].count;
		p->column[column] += vm->heat[i].count;
	}
	for (unsigned int column = 0; column < p->columns; column++) {
		for (unsigned int row = 0; row < p->rows; row++)
			if (p->cells[column][row] > p->most)
				p->most = p->cells[column][row];
		if (p->column[column] > p->most_in_column)
			p->most_in_column = p->column[column];
	}
}

static void draw_cells(const struct picture *p)
{
	double width = (double)PLOT_WIDTH / p->columns, height = (double)MAP_HEIGHT / p->rows;

	svg_box(p->file, LEFT, MAP_TOP, PLOT_WIDTH, MAP_HEIGHT, "fill=\"#fff\"");
	for (unsigned int column = 0; column < p->columns; column++)
		for (unsigned int row = 0; row < p->rows; row++)
			if (p->cells[column][row])
				svg_box(p->file, x_of(p, column), MAP_TOP + MAP_HEIGHT - (row + 1) * height,
					  width + 0.3, height + 0.3,
					  shades[shade_of(p, p->cells[column][row])]);
	svg_box(p->file, LEFT, MAP_TOP, PLOT_WIDTH, MAP_HEIGHT, "fill=\"none\" stroke=\"#000\"");
}

static void draw_memory_axis(const struct picture *p)
{
	double bytes = p->row_bytes * p->rows, unit = bytes >= 4e9 ? 1 << 30 : 1 << 20;
	double step = svg_step(bytes / unit, 6);
	char words[64];

	for (double at = 0; at <= bytes / unit * 1.0001; at += step) {
		double y = MAP_TOP + MAP_HEIGHT - at * unit / bytes * MAP_HEIGHT;

		svg_line(p->file, LEFT - 5, y, LEFT, y, "stroke=\"#000\"");
		snprintf(words, sizeof(words), "%g", at);
		svg_text(p->file, LEFT - 9, y + 4, "end", 12, words);
	}
	svg_text_upright(p->file, 24, MAP_TOP + MAP_HEIGHT / 2, -90, 13, unit > 2e6 ?
			 "guest-physical address (GiB)" : "guest-physical address (MiB)");
}

static void draw_time_axis(const struct picture *p)
{
	double seconds = p->column_seconds * p->columns, step = svg_step(seconds, 8);
	char words[64];

	for (double at = 0; at <= seconds * 1.0001; at += step) {
		double x = LEFT + at / seconds * PLOT_WIDTH;

		svg_line(p->file, x, MAP_TOP + MAP_HEIGHT, x, MAP_TOP + MAP_HEIGHT + 5, "stroke=\"#000\"");
		svg_line(p->file, x, TOP + RATE_HEIGHT, x, TOP + RATE_HEIGHT + 4, "stroke=\"#000\"");
		snprintf(words, sizeof(words), "%g", at);
		svg_text(p->file, x, MAP_TOP + MAP_HEIGHT + 19, "middle", 12, words);
	}
	svg_text(p->file, LEFT + PLOT_WIDTH / 2.0, MAP_TOP + MAP_HEIGHT + 38, "middle", 13,
	     "time (s) since gondola-dirty was started");
}

static void draw_rate(const struct picture *p)
{
	double most = p->most_in_column / p->column_seconds, step = svg_step(most, 3);
	double width = (double)PLOT_WIDTH / p->columns;
	char words[64];

	for (unsigned int column = 0; column < p->columns; column++) {
		double height = RATE_HEIGHT * (double)p->column[column] / p->most_in_column;

		if (p->column[column])
			svg_box(p->file, x_of(p, column), TOP + RATE_HEIGHT - height,
				  fmax(width - 0.5, 0.5), height, shades[3]);
	}
	svg_line(p->file, LEFT, TOP, LEFT, TOP + RATE_HEIGHT, "stroke=\"#000\"");
	svg_line(p->file, LEFT, TOP + RATE_HEIGHT, LEFT + PLOT_WIDTH, TOP + RATE_HEIGHT, "stroke=\"#000\"");
	for (double at = 0; at <= most * 1.0001; at += step) {
		double y = TOP + RATE_HEIGHT - at / most * RATE_HEIGHT;

		svg_line(p->file, LEFT - 5, y, LEFT, y, "stroke=\"#000\"");
		snprintf(words, sizeof(words), "%g", at);
		svg_text(p->file, LEFT - 9, y + 4, "end", 12, words);
	}
	svg_text_upright(p->file, 24, TOP + RATE_HEIGHT / 2, -90, 13, "pages / s");
}

/* In the first row where it has room, to the left of its line at the right edge; or not at all. */
static void label(const struct picture *p, double x, const char *words, double *free_from)
{
	double width = 6.5 * (double)strlen(words) + 8;
	bool left = x + width > LEFT + PLOT_WIDTH + RIGHT;
	double from = left ? x - width : x;

	for (unsigned int row = 0; row < LABEL_ROWS; row++) {
		if (from < free_from[row])
			continue;
		/* The lines of other phases stop for it. */
		svg_box(p->file, from + 2, MAP_TOP - 19 - 12 * row, width - 4, 12, "fill=\"#fff\"");
		svg_text(p->file, left ? x - 3 : x + 3, MAP_TOP - 9 - 12 * row, left ? "end" : "start", 11, words);
		free_from[row] = from + width;
		return;
	}
}

/* Where the launcher marked something: a line through both, then the phases' names above. */
static void draw_marks(const struct picture *p, const struct dirty_vm *vm, uint64_t start_ns,
		       bool names)
{
	double seconds = p->column_seconds * p->columns, free_from[LABEL_ROWS] = { 0 };
	uint32_t phase = ~0u;

	for (size_t i = 0; i < vm->nr_rounds; i++) {
		const struct dirty_round *round = &vm->rounds[i];
		double at = ((double)round->count.marked_ns - (double)start_ns) / 1e9;
		double x = LEFT + at / seconds * PLOT_WIDTH;
		const char *name = migrate_phase_name(round->key.phase);

		if (!round->count.marked_ns || at < 0 || at > seconds || x > LEFT + PLOT_WIDTH)
			continue;
		if (round->key.phase == phase) {
			if (!names)
				svg_line(p->file, x, MAP_TOP - 6, x, MAP_TOP, "stroke=\"#555\"");
			continue;
		}
		phase = round->key.phase;
		if (names)
			label(p, x, name ?: "?", free_from);
		else
			svg_line(p->file, x, TOP, x, MAP_TOP + MAP_HEIGHT,
			     "stroke=\"#000\" stroke-dasharray=\"4 3\"");
	}
}

static void draw_legend(const struct picture *p)
{
	double y = MAP_TOP + MAP_HEIGHT + 62, x = LEFT;
	char words[128];

	snprintf(words, sizeof(words), "pages dirtied in %g s and %g %s:", p->column_seconds,
		 p->row_bytes / (p->row_bytes < 1 << 20 ? 1 << 10 : 1 << 20),
		 p->row_bytes < 1 << 20 ? "KiB" : "MiB");
	svg_text(p->file, x, y + 11, "start", 12, words);
	x += 250;
	for (unsigned int shade = 0; shade < SHADES; shade++) {
		uint64_t from = shade_from(p, shade);
		uint64_t to = shade + 1 < SHADES ? shade_from(p, shade + 1) - 1 : p->most;

		/* Few pages do not make use of all shades. */
		if (to < from)
			continue;
		svg_box(p->file, x, y, 22, 14, shades[shade]);
		if (from == to)
			snprintf(words, sizeof(words), "%" PRIu64, from);
		else
			snprintf(words, sizeof(words), "%" PRIu64 " to %" PRIu64, from, to);
		svg_text(p->file, x + 27, y + 11, "start", 12, words);
		x += 44 + 7.0 * (double)strlen(words);
	}
	svg_text(p->file, LEFT, y + 36, "start", 11,
	     "A page counts once in each round, for its first writer. Dashed lines: phases, short ticks: rounds, as marked by the launcher.");
}

bool dirty_svg(const char *path, const struct dirty_vm *vm, const char *name, uint64_t pages,
	       double column_seconds, unsigned int row_shift, uint64_t start_ns)
{
	static struct picture p;
	char title[256];

	memset(&p, 0, sizeof(p));
	p.file = svg_open(path, WIDTH, HEIGHT);
	if (!p.file)
		return false;
	collect(&p, vm, pages, column_seconds, row_shift, start_ns);
	snprintf(title, sizeof(title), "VM %u %s: where and when its memory was dirtied", vm->id, name);
	svg_text(p.file, LEFT, 28, "start", 17, title);
	if (p.most) {
		draw_rate(&p);
		draw_cells(&p);
		draw_marks(&p, vm, start_ns, false);
		draw_marks(&p, vm, start_ns, true);
		draw_legend(&p);
	} else {
		svg_text(p.file, LEFT, TOP + 20, "start", 13, "no page was dirtied");
		p.columns = 1;
		draw_cells(&p);
	}
	draw_memory_axis(&p);
	draw_time_axis(&p);
	return svg_close(p.file);
}
