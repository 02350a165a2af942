/* SPDX-License-Identifier: GPL-2.0-only */
/* Pictures as SVG.  Coordinates are pixels from the upper left corner. */
#ifndef BASE_SVG_H
#define BASE_SVG_H

#include <stdbool.h>
#include <stdio.h>

/** svg_open() - begin a picture on white in a new file, or NULL with errno */
FILE *svg_open(const char *path, int width, int height);
/** svg_close() - end the picture; false with errno if it was not written completely */
bool svg_close(FILE *svg);
/**
 * svg_text() - write a line of @words, which need not be trusted
 * @anchor: the part of the text at @x: "start", "middle" or "end"
 */
void svg_text(FILE *svg, double x, double y, const char *anchor, int size, const char *words);
/** svg_text_upright() - write upwards (@angle -90) or downwards (90) */
void svg_text_upright(FILE *svg, double x, double y, int angle, int size, const char *words);
/** svg_line(), svg_box() - draw; @style: attributes like "stroke=\"#000\"" */
void svg_line(FILE *svg, double x1, double y1, double x2, double y2, const char *style);
void svg_box(FILE *svg, double x, double y, double width, double height, const char *style);
/** svg_step() - compute the step of at most @count marks of an axis: 1, 2 or 5 times a power of ten */
double svg_step(double range, unsigned int count);

#endif
