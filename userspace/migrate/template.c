// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "template.h"

#define KEPT_MAX	(256u << 20)	/* bytes of records that are no memory */
#define RECORDS_MAX	4096u

/* ---- reading it ----------------------------------------------------------------------------- */

static bool keep(struct template *template, const struct stream_record *record)
{
	struct stream_reader *reader = &template->resume->reader;
	struct stream_record *all, *last;
	uint8_t *data;

	template->kept += record->bytes;
	if (template->kept > KEPT_MAX || template->count == RECORDS_MAX)
		return !stream_refuse(reader, record, "it has too much that is no memory");
	all = realloc(template->records, (template->count + 1) * sizeof(*all));
	if (all)
		template->records = all;
	data = malloc(record->bytes ?: 1);
	if (!all || !data) {
		free(data);
		return !stream_refuse(reader, record, "out of memory");
	}
	memcpy(data, record->data, record->bytes);
	last = &all[template->count++];
	*last = *record;
	last->data = data;
	return true;
}

static bool read_records(struct template *template, struct machine_loader *loader)
{
	struct stream_reader *reader = &template->resume->reader;
	struct stream_record record;
	int ret;

	while ((ret = stream_read(reader, &record)) == 1) {
		bool memory = record.type == STREAM_PAGES || record.type == STREAM_ZERO;

		if (memory ? machine_load(loader, &record) : !keep(template, &record))
			return false;
	}
	if (!ret && loader->missing)
		error_set(&reader->error, EXIT_CODE_IMAGE,
			  "the stream is whole, but it lacks a part of memory");
	return !ret && !loader->missing;
}

/* Pages of zeroes stay holes. */
static bool write_pages(int fd, const struct guest_memory *memory)
{
	uint64_t bytes = memory->bytes;

	if (ftruncate(fd, bytes))
		return false;
	for (uint64_t at = 0, end; at < bytes; at = end) {
		bool zero = stream_page_is_zero(memory->base + at);

		for (end = at + STREAM_PAGE; end < bytes; end += STREAM_PAGE)
			if (stream_page_is_zero(memory->base + end) != zero)
				break;
		if (!zero && (lseek(fd, at, SEEK_SET) < 0 || !file_write(fd, memory->base + at, end - at)))
			return false;
	}
	return true;
}

/* Beside the saved state; where the file system has no files without names, in memory. */
static int make_file(const char *path, uint64_t bytes)
{
	char copy[PATH_MAX];
	int fd;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		fd = memory_share(bytes);
	if (fd < 0)
		errno = -fd;
	return fd;
}

bool template_read(struct template *template, uint64_t bytes, struct error *error)
{
	struct resume *resume = template->resume;
	struct machine_loader loader;
	/* Nothing but its memory is used. */
	static struct vm vm;
	bool good;

	if (!memory_create(&vm.memory, bytes, false, error))
		return false;
	good = !machine_loader_init(&loader, &vm, &resume->reader, true) && read_records(template, &loader);
	machine_loader_free(&loader);
	good = good ? resume_ended(resume, error) : resume_refuse(resume, error);
	if (good) {
		template->fd = make_file(resume->path, bytes);
		good = (template->fd >= 0 && write_pages(template->fd, &vm.memory)) ||
		       error_set(error, EXIT_CODE_ERROR, "cannot write the memory of %s to a file beside it: %s",
				 resume->path, strerror(errno));
	}
	memory_destroy(&vm.memory);
	resume_close(resume);
	return good;
}

/* ---- a VM that begins ----------------------------------------------------------------------- */

bool template_begin(struct vm *vm, void *argument, struct error *error)
{
	const struct template *template = argument;
	struct resume *resume = template->resume;
	struct machine_loader loader;
	bool good;

	good = !machine_loader_init(&loader, vm, &resume->reader, false);
	for (unsigned int i = 0; i < template->count && good; i++)
		good = !machine_load(&loader, &template->records[i]);
	if (!good || machine_loaded(&loader))
		return resume_refuse(resume, error);
	return resume_loaded(vm, resume, error);
}
