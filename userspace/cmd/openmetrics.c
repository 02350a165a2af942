// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/tell.h"
#include "openmetrics.h"

#define VALUE_MAX	256

static const char *suffix_of(const struct metric_family *family)
{
	static const char *const suffixes[] = {
		[METRIC_GAUGE] = "", [METRIC_COUNTER] = "_total", [METRIC_INFO] = "_info",
	};

	return suffixes[family->type];
}

static const char *type_of(const struct metrics_writer *writer, const struct metric_family *family)
{
	static const char *const types[] = {
		[METRIC_GAUGE] = "gauge", [METRIC_COUNTER] = "counter", [METRIC_INFO] = "info",
	};

	/* The older format has no type for it. */
	if (writer->prometheus && family->type == METRIC_INFO)
		return "gauge";
	return types[family->type];
}

static void describe(struct metrics_writer *writer, const struct metric_family *family)
{
	/* There a family has the name of its samples. */
	const char *suffix = writer->prometheus ? suffix_of(family) : "";

	if (writer->family == family)
		return;
	writer->family = family;
	fprintf(writer->out, "# HELP %s%s %s\n", family->name, suffix, family->help);
	fprintf(writer->out, "# TYPE %s%s %s\n", family->name, suffix, type_of(writer, family));
	if (family->unit && !writer->prometheus)
		fprintf(writer->out, "# UNIT %s %s\n", family->name, family->unit);
}

/* A newline is harmful, so that it need not be escaped. */
static void put_value(FILE *out, const char *value)
{
	char text[VALUE_MAX];

	snprintf(text, sizeof(text), "%s", value);
	tell_harmless(text);
	for (const char *c = text; *c; c++) {
		if (*c == '\\' || *c == '"')
			fputc('\\', out);
		fputc(*c, out);
	}
}

static void begin_sample(struct metrics_writer *writer, const struct metric_family *family,
			 const struct metric_label *labels)
{
	describe(writer, family);
	fprintf(writer->out, "%s%s", family->name, suffix_of(family));
	for (const struct metric_label *label = labels; label && label->name; label++) {
		fprintf(writer->out, "%s%s=\"", label == labels ? "{" : ",", label->name);
		put_value(writer->out, label->value);
		fputc('"', writer->out);
	}
	if (labels && labels->name)
		fputc('}', writer->out);
}

void metrics_count(struct metrics_writer *writer, const struct metric_family *family,
		   const struct metric_label *labels, uint64_t value)
{
	begin_sample(writer, family, labels);
	fprintf(writer->out, " %llu\n", (unsigned long long)value);
}

void metrics_seconds(struct metrics_writer *writer, const struct metric_family *family,
		     const struct metric_label *labels, uint64_t ns)
{
	begin_sample(writer, family, labels);
	fprintf(writer->out, " %llu.%09llu\n", (unsigned long long)(ns / 1000000000),
		(unsigned long long)(ns % 1000000000));
}

void metrics_end(struct metrics_writer *writer)
{
	if (!writer->prometheus)
		fputs("# EOF\n", writer->out);
}

static bool failed(struct error *error, const char *path, int number)
{
	return error_set(error, EXIT_CODE_ERROR, "cannot write %s: %s", path, strerror(number));
}

bool metrics_save(const char *path, const char *text, size_t bytes, struct error *error)
{
	/* A reader takes *.prom: not this one. */
	char temporary[PATH_MAX];
	mode_t mask = umask(0);
	int fd, ret = 0;

	umask(mask);
	if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= (int)sizeof(temporary))
		return failed(error, path, ENAMETOOLONG);
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return failed(error, path, errno);
	errno = 0;
	if (!file_write(fd, text, bytes) || fchmod(fd, 0666 & ~mask))
		ret = errno ?: EIO;
	if (close(fd) && !ret)
		ret = errno;
	/* Not to stable storage: it is old by then. */
	if (!ret && rename(temporary, path))
		ret = errno;
	if (!ret)
		return true;
	unlink(temporary);
	return failed(error, path, ret);
}
