/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Metrics as text: OpenMetrics 1.0, or Prometheus's older format (0.0.4), which node_exporter reads
 * from files.  They differ in the lines that describe a family, and in the last line.
 */
#ifndef CMD_OPENMETRICS_H
#define CMD_OPENMETRICS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "base/error.h"

#define METRIC_LABELS	4	/* of a sample, at most */

enum metric_type {
	METRIC_GAUGE,
	METRIC_COUNTER,	/* its samples are called NAME_total */
	METRIC_INFO,	/* its samples are called NAME_info, and are 1 */
};

/**
 * struct metric_family - samples of one meaning
 * @name: ends with @unit, if there is one
 * @unit: a base unit ("bytes", "seconds"), or NULL
 * @help: a sentence
 */
struct metric_family {
	const char *name;
	enum metric_type type;
	const char *unit;
	const char *help;
};

/** struct metric_label - a NULL @name ends a list; @value may be any bytes */
struct metric_label {
	const char *name;
	const char *value;
};

/**
 * struct metrics_writer - where the text goes
 * @prometheus: in the older format
 * @family: the last one of which there was a sample
 */
struct metrics_writer {
	FILE *out;
	bool prometheus;
	const struct metric_family *family;
};

/**
 * metrics_count() - a sample of @family; the first one also describes it
 *
 * All samples of a family come one after the other.  A label's value is made harmless and cut
 * after 255 bytes: it may come from a VM.
 */
void metrics_count(struct metrics_writer *writer, const struct metric_family *family,
		   const struct metric_label *labels, uint64_t value);
/** metrics_seconds() - likewise of a family in seconds, from nanoseconds */
void metrics_seconds(struct metrics_writer *writer, const struct metric_family *family,
		     const struct metric_label *labels, uint64_t ns);
/** metrics_end() - the last line */
void metrics_end(struct metrics_writer *writer);

/**
 * metrics_save() - @path has all of @text at once, or what it had before; false with @error
 *
 * Others may read it as the umask says: node_exporter has a user of its own.
 */
bool metrics_save(const char *path, const char *text, size_t bytes, struct error *error);

#endif
