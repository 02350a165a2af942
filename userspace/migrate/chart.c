// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rounds of a migration as SVG: bars for the pages sent, on a logarithmic
 * axis since rounds shrink by powers, and lines for the rates at which pages
 * were written and sent.  Told apart by texture and dashes, not by colour.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/member.h"
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
 * @decades: of the pages' axis, from 1 page at its bottom
 * @top: of the rates' axis, in MiB/s
 * @step: between two of its marks
 * @slot: width that each round has
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

/* 1, 2 or 5 times a power of ten: five marks or so. */
static double nice_step(double top)
{
	double power = pow(10, floor(log10(top / 5))), rest = top / 5 / power;

	return power * (rest <= 1 ? 1 : rest <= 2 ? 2 : rest <= 5 ? 5 : 10);
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
	scale.step = nice_step(most > 0 ? most : 1);
	scale.top = scale.step * fmax(1, ceil(most / scale.step));
	scale.slot = (double)PLOT_W / (scale.rounds ?: 1);
	return scale;
}

static double y_pages(const struct scale *scale, double pages)
{
	/* 0 and 1 lie on the axis. */
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

static void escape(FILE *out, const char *text)
{
	for (; *text; text++)
		switch (*text) {
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '&':
			fputs("&amp;", out);
			break;
		default:
			fputc(*text, out);
		}
}

static void draw_head(FILE *out, struct json_object *report)
{
	fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\">\n",
		WIDTH, HEIGHT, WIDTH, HEIGHT);
	fprintf(out, "<defs><pattern id=\"rest\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\"><rect width=\"6\" height=\"6\" fill=\"#fff\"/><path d=\"M0 6L6 0\" stroke=\"#444\"/></pattern></defs>\n");
	fprintf(out, "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n", WIDTH, HEIGHT);
	fprintf(out, "<text x=\"%d\" y=\"26\" font-size=\"16\">Migration of ", LEFT);
	escape(out, report_text(report, "name"));
	fprintf(out, ": %.0f MiB of memory, %.1f MiB sent</text>\n",
		report_number(report, "memory") / MIB, report_number(report, "bytes") / MIB);
}

/* All of the report is what the VM's process says. */
static void draw_failure(FILE *out, struct json_object *report, size_t rounds)
{
	fprintf(out, "<text x=\"%d\" y=\"84\">", LEFT);
	escape(out, report_text(report, "outcome"));
	fprintf(out, " in phase ");
	escape(out, report_text(report, "phase"));
	fprintf(out, ", round %zu</text>\n", rounds);
}

static void draw_legend(FILE *out)
{
	fprintf(out, "<g transform=\"translate(%d,46)\">", LEFT);
	fprintf(out, "<rect width=\"14\" height=\"14\" fill=\"#777\" stroke=\"#222\"/><text x=\"20\" y=\"12\">pages sent</text>");
	fprintf(out, "<rect x=\"110\" width=\"14\" height=\"14\" fill=\"url(#rest)\" stroke=\"#222\"/><text x=\"130\" y=\"12\">zero or unchanged</text>");
	fprintf(out, "<path d=\"M270 7h34\" stroke=\"#000\" stroke-width=\"2\"/><circle cx=\"287\" cy=\"7\" r=\"4\"/><text x=\"310\" y=\"12\">written by the guest</text>");
	fprintf(out, "<path d=\"M450 7h34\" stroke=\"#000\" stroke-width=\"2\" stroke-dasharray=\"6 4\"/><rect x=\"463\" y=\"3\" width=\"8\" height=\"8\" fill=\"#fff\" stroke=\"#000\" stroke-width=\"2\"/><text x=\"490\" y=\"12\">sent on the link</text>");
	fprintf(out, "</g>\n");
}

static void draw_axes(FILE *out, const struct scale *scale, const char *rounds)
{
	unsigned int every = scale->rounds / 24 + 1;

	for (unsigned int decade = 0; decade <= scale->decades; decade++) {
		double y = y_pages(scale, pow(10, decade));

		fprintf(out, "<path d=\"M%d %.1fh%d\" stroke=\"#ddd\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.0f</text>\n",
			LEFT, y, PLOT_W, LEFT - 8, y + 4, pow(10, decade));
	}
	for (double rate = 0; rate <= scale->top * 1.001; rate += scale->step)
		fprintf(out, "<path d=\"M%d %.1fh5\" stroke=\"#000\"/><text x=\"%d\" y=\"%.1f\">%g</text>\n",
			LEFT + PLOT_W, y_rate(scale, rate), LEFT + PLOT_W + 9,
			y_rate(scale, rate) + 4, rate);
	for (unsigned int i = 0; i < scale->rounds; i += every)
		fprintf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%u</text>\n",
			x_middle(scale, i), TOP + PLOT_H + 18, i + 1);
	fprintf(out, "<path d=\"M%d %dv%dh%dv-%d\" fill=\"none\" stroke=\"#000\"/>\n", LEFT, TOP,
		PLOT_H, PLOT_W, PLOT_H);
	fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n",
		LEFT + PLOT_W / 2, HEIGHT - 16, rounds);
	fprintf(out, "<text transform=\"translate(20,%d) rotate(-90)\" text-anchor=\"middle\">pages of 4 KiB (logarithmic)</text>\n",
		TOP + PLOT_H / 2);
	fprintf(out, "<text transform=\"translate(%d,%d) rotate(90)\" text-anchor=\"middle\">rate, MiB/s</text>\n",
		WIDTH - 18, TOP + PLOT_H / 2);
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

		fprintf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"url(#rest)\" stroke=\"#222\"/>\n",
			x, y_all, width, bottom - y_all);
		fprintf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"#777\" stroke=\"#222\"/>\n",
			x, y_sent, width, bottom - y_sent);
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

				/* No log was read of a round that was cut short. */
				if (!sent && report_number(round, "unfinished"))
					continue;
				fprintf(out, "%.1f,%.1f ", x_middle(scale, i),
					y_rate(scale, sent ? r.sent : r.written));
			}
			fprintf(out, "\"/>\n");
			/* Once in white, so that it stands out from the bars. */
			if (!pass)
				fprintf(out, "<polyline fill=\"none\" stroke=\"#000\" stroke-width=\"2\"%s points=\"",
					sent ? " stroke-dasharray=\"6 4\"" : "");
		}
		for (unsigned int i = 0; i < scale->rounds; i++) {
			struct json_object *round = json_object_array_get_idx(rounds, i);
			struct rates r = rates_of(round);
			double x = x_middle(scale, i), y = y_rate(scale, sent ? r.sent : r.written);

			if (sent)
				fprintf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"8\" height=\"8\" fill=\"#fff\" stroke=\"#000\" stroke-width=\"2\"/>\n",
					x - 4, y - 4);
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
	FILE *out;

	if (!rounds || !json_object_array_length(rounds))
		return error_set(error, EXIT_CODE_ERROR, "there was no round to draw");
	out = fopen(path, "we");
	if (!out)
		return error_set(error, EXIT_CODE_ERROR, "%s: %s", path, strerror(errno));
	scale = scale_for(rounds);
	draw_head(out, report);
	if (strcmp(outcome, "migrated"))
		draw_failure(out, report, json_object_array_length(rounds));
	else if (downtime)
		fprintf(out, "<text x=\"%d\" y=\"84\">downtime %.1f ms, predicted %.1f ms</text>\n",
			LEFT, report_number(downtime, "actual_ns") / 1e6,
			report_number(downtime, "predicted_ns") / 1e6);
	draw_legend(out);
	draw_axes(out, &scale, downtime ? "round (the last with the guest stopped)" : "round");
	draw_bars(out, &scale, rounds);
	draw_lines(out, &scale, rounds);
	fprintf(out, "</svg>\n");
	if (ferror(out) | fclose(out))
		return error_set(error, EXIT_CODE_ERROR, "%s: %s", path, strerror(errno));
	return true;
}
