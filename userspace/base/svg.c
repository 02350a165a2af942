// SPDX-License-Identifier: GPL-2.0-only
#include <math.h>
#include <string.h>

#include "svg.h"

FILE *svg_open(const char *path, int width, int height)
{
	FILE *svg = fopen(path, "we");

	if (!svg)
		return NULL;
	fprintf(svg, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" font-family=\"DejaVu Sans, sans-serif\">\n",
		width, height, width, height);
	svg_box(svg, 0, 0, width, height, "fill=\"#fff\"");
	return svg;
}

bool svg_close(FILE *svg)
{
	fputs("</svg>\n", svg);
	return !(ferror(svg) | fclose(svg));
}

static void put_words(FILE *svg, const char *words)
{
	for (; *words; words++) {
		if (strchr("<>&", *words))
			fputs(*words == '<' ? "&lt;" : *words == '>' ? "&gt;" : "&amp;", svg);
		else
			fputc(*words, svg);
	}
	fputs("</text>\n", svg);
}

void svg_text(FILE *svg, double x, double y, const char *anchor, int size, const char *words)
{
	fprintf(svg, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" font-size=\"%d\">", x, y, anchor,
		size);
	put_words(svg, words);
}

void svg_text_upright(FILE *svg, double x, double y, int angle, int size, const char *words)
{
	fprintf(svg, "<text transform=\"translate(%.1f %.1f) rotate(%d)\" text-anchor=\"middle\" font-size=\"%d\">",
		x, y, angle, size);
	put_words(svg, words);
}

void svg_line(FILE *svg, double x1, double y1, double x2, double y2, const char *style)
{
	fprintf(svg, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" %s/>\n", x1, y1, x2, y2,
		style);
}

void svg_box(FILE *svg, double x, double y, double width, double height, const char *style)
{
	fprintf(svg, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" %s/>\n", x, y, width,
		height, style);
}

double svg_step(double range, unsigned int count)
{
	double raw = range / count, power = pow(10, floor(log10(raw)));

	return power * (raw / power <= 1 ? 1 : raw / power <= 2 ? 2 : raw / power <= 5 ? 5 : 10);
}
