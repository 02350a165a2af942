// SPDX-License-Identifier: GPL-2.0-only
/* Tests of metrics as text, and of the file that they are written to. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/openmetrics.h"
#include "metrics_test.h"
#include "tap.h"

static const struct metric_family bytes = {
	"x_bytes", METRIC_COUNTER, "bytes", "Bytes that went.",
};
static const struct metric_family vm = { "x_vm", METRIC_INFO, NULL, "What it is." };
static const struct metric_family up_seconds = {
	"x_up_seconds", METRIC_GAUGE, "seconds", "Since it began.",
};

static char *written(bool prometheus, const char *label)
{
	const struct metric_label labels[] = { { "vm", label }, { "to", "there" }, { NULL } };
	struct metrics_writer writer = { .prometheus = prometheus };
	static char *text;
	size_t length;

	writer.out = open_memstream(&text, &length);
	require(writer.out);
	metrics_count(&writer, &bytes, labels, UINT64_MAX);
	metrics_count(&writer, &bytes, NULL, 0);
	metrics_count(&writer, &vm, labels, 1);
	metrics_seconds(&writer, &up_seconds, NULL, 12000000034);
	metrics_end(&writer);
	fclose(writer.out);
	return text;
}

void metrics_formats(void)
{
	char *text = written(false, "a");

	expect(!strcmp(text,
		       "# HELP x_bytes Bytes that went.\n"
		       "# TYPE x_bytes counter\n"
		       "# UNIT x_bytes bytes\n"
		       "x_bytes_total{vm=\"a\",to=\"there\"} 18446744073709551615\n"
		       "x_bytes_total 0\n"
		       "# HELP x_vm What it is.\n"
		       "# TYPE x_vm info\n"
		       "x_vm_info{vm=\"a\",to=\"there\"} 1\n"
		       "# HELP x_up_seconds Since it began.\n"
		       "# TYPE x_up_seconds gauge\n"
		       "# UNIT x_up_seconds seconds\n"
		       "x_up_seconds 12.000000034\n"
		       "# EOF\n"));
	free(text);
	text = written(true, "a");
	expect(!strcmp(text,
		       "# HELP x_bytes_total Bytes that went.\n"
		       "# TYPE x_bytes_total counter\n"
		       "x_bytes_total{vm=\"a\",to=\"there\"} 18446744073709551615\n"
		       "x_bytes_total 0\n"
		       "# HELP x_vm_info What it is.\n"
		       "# TYPE x_vm_info gauge\n"
		       "x_vm_info{vm=\"a\",to=\"there\"} 1\n"
		       "# HELP x_up_seconds Since it began.\n"
		       "# TYPE x_up_seconds gauge\n"
		       "x_up_seconds 12.000000034\n"));
	free(text);
}

/* A label cannot end its line or its value, nor hold what is no UTF-8. */
void metrics_labels(void)
{
	static const struct {
		const char *value;
		const char *seen;
	} values[] = {
		{ "a \"b\" \\c", "{vm=\"a \\\"b\\\" \\\\c\"," },
		{ "a\nx_up 1", "{vm=\"a?x_up 1\"," },
		{ "\xff\xc3\xa4\xed\xa0\x80", "{vm=\"?\xc3\xa4???\"," },
		{ "", "{vm=\"\"," },
	};
	char *text, much[1000];

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		text = written(false, values[i].value);
		tap_check(strstr(text, values[i].seen), false, "label %zu is\n%s", i, text);
		free(text);
	}
	memset(much, 'x', sizeof(much) - 1);
	much[sizeof(much) - 1] = 0;
	text = written(true, much);
	expect(strlen(text) < 1000);
	free(text);
}

static unsigned int files_in(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	unsigned int count = 0;

	require(dir);
	while ((entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

/* A reader that has it open keeps the old text, and a failure leaves it and nothing else. */
void metrics_saved_at_once(void)
{
	char directory[] = "/tmp/gondola-metrics-XXXXXX", path[64], taken[64], text[16] = "";
	struct error error;
	mode_t mask = umask(022);
	struct stat st;
	int reader;

	require(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/a.prom", directory);
	snprintf(taken, sizeof(taken), "%s/taken", directory);
	require(metrics_save(path, "old\n", 4, &error));
	reader = open(path, O_RDONLY | O_CLOEXEC);
	require(reader >= 0);
	require(metrics_save(path, "new\n", 4, &error));
	expect_equal(read(reader, text, sizeof(text)), 4);
	expect(!strcmp(text, "old\n"));
	expect(!stat(path, &st) && (st.st_mode & 07777) == 0644 && st.st_size == 4);
	require(!mkdir(taken, 0700));
	expect(!metrics_save(taken, "x", 1, &error) && strstr(error.words, taken));
	expect(!metrics_save("/none/a.prom", "x", 1, &error));
	expect(strstr(error.words, "No such file"));
	expect_equal(files_in(directory), 2);
	close(reader);
	umask(mask);
	unlink(path);
	rmdir(taken);
	rmdir(directory);
}
