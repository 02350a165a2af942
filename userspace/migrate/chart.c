// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rounds of a migration as SVG: bars for the pages sent, on a logarithmic
 * axis since rounds shrink by powers, and lines for the rates at which pages
 * were written and sent.  Textures and dashes distinguish them, not colours.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/member.h"
#include "base/svg.h"
#include "report.h"

#define WIDTH	760
#define HEIGHT	430
#define LEFT	76
#define RIGHT	84
#define TOP	96
#define BOTTOM	62
#define PLOT_W	(WIDTH - LEFT - RIGHT)
#define PLOT_H	(HEIGHT - TOP - BOTTOM)
#define PAGE	4096.0
#define MIB	(1024.0 * 1024.0)

/**
 * struct scale - the chart's axes
 * @decades: number of decades of the pages' axis, from 1 page on
 * @top: end of the rates' axis, in MiB/s
 * @step: distance of two marks of the rates' axis
 * @slot: width of a round
 */
struct scale {
	unsigned int rounds;
	unsigned int decades;
	double top;
	double step;
	double slot;
};

struct rates {
	double written;
	double sent;
};

static struct rates rates_of(struct json_object *round)
{
	double seconds = report_number(round, "ns") / 1e9;

	if (seconds <= 0)
		return (struct rates){ 0, 0 };
	return (struct rates){
		.written = report_number(round, "dirtied") * PAGE / MIB / seconds,
		.sent = report_number(round, "bytes") / MIB / seconds,
	};
}

static struct scale scale_for(struct json_object *rounds)
{
	struct scale scale = { .rounds = json_object_array_length(rounds), .decades = 1 };
	double most = 0;

	for (unsigned int i = 0; i < scale.rounds; i++) {
		struct json_object *round = json_object_array_get_idx(rounds, i);
		struct rates rates = rates_of(round);
		int64_t pages = report_number(round, "pages");

		while (pow(10, scale.decades) < pages)
			scale.decades++;
		most = fmax(most, fmax(rates.written, rates.sent));
	}
	scale.step = svg_step(most > 0 ? most : 1, 5);
	scale.top = scale.step * fmax(1, ceil(most / scale.step));
	scale.slot = (double)PLOT_W / (scale.rounds ?: 1);
	return scale;
}

static double y_pages(const struct scale *scale, double pages)
{
	/* 0 and 1 are drawn on the axis. */
	return TOP + PLOT_H * (1 - (pages <= 1 ? 0 : log10(pages) / scale->decades));
}

static double y_rate(const struct scale *scale, double rate)
{
	return TOP + PLOT_H * (1 - rate / scale->top);
}

static double x_middle(const struct scale *scale, unsigned int round)
{
	return LEFT + scale->slot * (round + 0.5);
}

static void draw_head(FILE *out, struct json_object *report)
{
	char words[512];

	fprintf(out, "<defs><pattern id=\"rest\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\"><rect width=\"6\" height=\"6\" fill=\"#fff\"/><path d=\"M0 6L6 0\" stroke=\"#444\"/></pattern></defs>\n");
	snprintf(words, sizeof(words), "Migration of %s: %.0f MiB of memory, %.1f MiB sent",
		 report_text(report, "name"), report_number(report, "memory") / MIB,
		 report_number(report, "bytes") / MIB);
	svg_text(out, LEFT, 26, "start", 16, words);
}

static void draw_legend(FILE *out)
{
	fprintf(out, "<g font-size=\"12\" transform=\"translate(%d,46)\">", LEFT);
	fprintf(out, "<rect width=\"14\" height=\"14\" fill=\"#777\" stroke=\"#222\"/><text x=\"20\" y=\"12\">pages sent</text>");
	fprintf(out, "<rect x=\"110\" width=\"14\" height=\"14\" fill=\"url(#rest)\" stroke=\"#222\"/><text x=\"130\" y=\"12\">zero or unchanged</text>");
	fprintf(out, "<path d=\"M270 7h34\" stroke=\"#000\" stroke-width=\"2\"/><circle cx=\"287\" cy=\"7\" r=\"4\"/><text x=\"310\" y=\"12\">written by the guest</text>");
	fprintf(out, "<path d=\"M450 7h34\" stroke=\"#000\" stroke-width=\"2\" stroke-dasharray=\"6 4\"/><rect x=\"463\" y=\"3\" width=\"8\" height=\"8\" fill=\"#fff\" stroke=\"#000\" stroke-width=\"2\"/><text x=\"490\" y=\"12\">sent on the link</text>");
	fprintf(out, "</g>\n");
}

static void draw_axes(FILE *out, const struct scale *scale, const char *rounds)
{
	unsigned int every = scale->rounds / 24 + 1;
	char words[32];

	for (unsigned int decade = 0; decade <= scale->decades; decade++) {
		double y = y_pages(scale, pow(10, decade));

		svg_line(out, LEFT, y, LEFT + PLOT_W, y, "stroke=\"#ddd\"");
		snprintf(words, sizeof(words), "%.0f", pow(10, decade));
		svg_text(out, LEFT - 8, y + 4, "end", 12, words);
	}
	for (double rate = 0; rate <= scale->top * 1.001; rate += scale->step) {
		double y = y_rate(scale, rate);

		svg_line(out, LEFT + PLOT_W, y, LEFT + PLOT_W + 5, y, "stroke=\"#000\"");
		snprintf(words, sizeof(words), "%g", rate);
		svg_text(out, LEFT + PLOT_W + 9, y + 4, "start", 12, words);
	}
	for (unsigned int i = 0; i < scale->rounds; i += every) {
		snprintf(words, sizeof(words), "%u", i + 1);
		svg_text(out, x_middle(scale, i), TOP + PLOT_H + 18, "middle", 12, words);
	}
	svg_box(out, LEFT, TOP, PLOT_W, PLOT_H, "fill=\"none\" stroke=\"#000\"");
	svg_text(out, LEFT + PLOT_W / 2, HEIGHT - 16, "middle", 12, rounds);
	svg_text_upright(out, 20, TOP + PLOT_H / 2, -90, 12, "pages of 4 KiB (logarithmic)");
	svg_text_upright(out, WIDTH - 18, TOP + PLOT_H / 2, 90, 12, "rate, MiB/s");
}

static void draw_bars(FILE *out, const struct scale *scale, struct json_object *rounds)
{
	double width = fmin(scale->slot * 0.6, 60);

	for (unsigned int i = 0; i < scale->rounds; i++) {
		struct json_object *round = json_object_array_get_idx(rounds, i);
		double all = report_number(round, "pages");
		double sent = (double)report_number(round, "full") + report_number(round, "delta");
		double x = x_middle(scale, i) - width / 2, bottom = TOP + PLOT_H;
		double y_all = y_pages(scale, all), y_sent = y_pages(scale, sent);

		svg_box(out, x, y_all, width, bottom - y_all, "fill=\"url(#rest)\" stroke=\"#222\"");
		svg_box(out, x, y_sent, width, bottom - y_sent, "fill=\"#777\" stroke=\"#222\"");
	}
}

static void draw_lines(FILE *out, const struct scale *scale, struct json_object *rounds)
{
	for (int sent = 1; sent >= 0; sent--) {
		fprintf(out, "<polyline fill=\"none\" stroke=\"#fff\" stroke-width=\"4\" points=\"");
		for (int pass = 0; pass < 2; pass++) {
			for (unsigned int i = 0; i < scale->rounds; i++) {
				struct json_object *round = json_object_array_get_idx(rounds, i);
				struct rates r = rates_of(round);

				/* The log of an interrupted round was not read. */
				if (!sent && report_number(round, "unfinished"))
					continue;
				fprintf(out, "%.1f,%.1f ", x_middle(scale, i),
					y_rate(scale, sent ? r.sent : r.written));
			}
			fprintf(out, "\"/>\n");
			/* Draw it in white first, so that it stands out from the bars. */
			if (!pass)
				fprintf(out, "<polyline fill=\"none\" stroke=\"#000\" stroke-width=\"2\"%s points=\"",
					sent ? " stroke-dasharray=\"6 4\"" : "");
		}
		for (unsigned int i = 0; i < scale->rounds; i++) {
			struct json_object *round = json_object_array_get_idx(rounds, i);
			struct rates r = rates_of(round);
			double x = x_middle(scale, i), y = y_rate(scale, sent ? r.sent : r.written);

			if (sent)
				svg_box(out, x - 4, y - 4, 8, 8,
					"fill=\"#fff\" stroke=\"#000\" stroke-width=\"2\"");
			else if (!report_number(round, "unfinished"))
				fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" stroke=\"#fff\"/>\n",
					x, y);
		}
	}
}

bool chart_write(struct json_object *report, const char *path, struct error *error)
{
	struct json_object *rounds = member_array(report, "rounds");
	struct json_object *downtime = member_object(report, "downtime");
	const char *outcome = report_text(report, "outcome");
	struct scale scale;
	char words[512] = "";
	FILE *out;

	if (!rounds || !json_object_array_length(rounds))
		return error_set(error, EXIT_CODE_ERROR, "there was no round to draw");
	out = svg_open(path, WIDTH, HEIGHT);
	if (!out)
		return error_set(error, EXIT_CODE_ERROR, "%s: %s", path, strerror(errno));
	scale = scale_for(rounds);
	draw_head(out, report);
	if (strcmp(outcome, "migrated"))
		snprintf(words, sizeof(words), "%s in phase %s, round %zu", outcome,
			 report_text(report, "phase"), json_object_array_length(rounds));
	else if (downtime)
		snprintf(words, sizeof(words), "downtime %.1f ms, predicted %.1f ms",
			 report_number(downtime, "actual_ns") / 1e6,
			 report_number(downtime, "predicted_ns") / 1e6);
	svg_text(out, LEFT, 84, "start", 12, words);
	draw_legend(out);
	draw_axes(out, &scale, downtime ? "round (the last with the guest stopped)" : "round");
	draw_bars(out, &scale, rounds);
	draw_lines(out, &scale, rounds);
	if (!svg_close(out))
		return error_set(error, EXIT_CODE_ERROR, "%s: %s", path, strerror(errno));
	return true;
}
