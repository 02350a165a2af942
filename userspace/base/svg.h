/* SPDX-License-Identifier: GPL-2.0-only */
/* Pictures as SVG.  Coordinates are pixels from the upper left corner. */
#ifndef BASE_SVG_H
#define BASE_SVG_H

#include <stdbool.h>
#include <stdio.h>

/** svg_open() - a picture on white in a new file, or NULL with errno */
FILE *svg_open(const char *path, int width, int height);
/** svg_close() - false with errno if not all of it was written */
bool svg_close(FILE *svg);
/**
 * svg_text() - a line of @words, which may come from anywhere
 * @anchor: what of it lies at @x: "start", "middle" or "end"
 */
void svg_text(FILE *svg, double x, double y, const char *anchor, int size, const char *words);
/** svg_text_upright() - read from bottom to top (@angle -90) or from top to bottom (90) */
void svg_text_upright(FILE *svg, double x, double y, int angle, int size, const char *words);
/** svg_line(), svg_box() - @style: attributes like "stroke=\"#000\"" */
void svg_line(FILE *svg, double x1, double y1, double x2, double y2, const char *style);
void svg_box(FILE *svg, double x, double y, double width, double height, const char *style);
/** svg_step() - between the marks of an axis: 1, 2 or 5 times a power of ten; @count or less */
double svg_step(double range, unsigned int count);

#endif
