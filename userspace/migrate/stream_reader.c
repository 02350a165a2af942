// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "copies.h"
#include "stream.h"

#define RANGE_PAGES_MAX	(1ull << 40)	/* 52 bits of address */

/* The known types, with the only version of each, and the bounds of its payload. */
static const struct {
	uint32_t type;
	uint16_t version;
	uint32_t min;
	uint32_t max;
	uint32_t multiple;
} known[] = {
	{ STREAM_CONFIG, 1, 2, 1u << 16, 1 },
	{ STREAM_CPUID, 1, 32, 128 * 32, 32 },
	{ STREAM_VM, 1, 16, 1u << 16, 8 },
	{ STREAM_VCPU, 1, 8 + 16, 1u << 16, 8 },
	{ STREAM_DEVICE, 1, sizeof(struct stream_device), STREAM_PAYLOAD_MAX, 1 },
	{ STREAM_CLOCK, 1, sizeof(struct stream_clock), sizeof(struct stream_clock), 1 },
	{ STREAM_PAGES, 1, sizeof(struct stream_pages), STREAM_PAYLOAD_MAX, 1 },
	{ STREAM_ZERO, 1, sizeof(struct stream_range), STREAM_PAYLOAD_MAX,
	  sizeof(struct stream_range) },
	{ STREAM_END, 1, sizeof(struct stream_end), sizeof(struct stream_end), 1 },
};

int stream_refuse(struct stream_reader *reader, const struct stream_record *record,
		  const char *format, ...)
{
	char words[512];
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	error_set(&reader->error, EXIT_CODE_IMAGE, "record %llu (%s) at byte %llu: %s",
		  (unsigned long long)record->sequence, stream_type_name(record->type),
		  (unsigned long long)record->offset, words);
	return -1;
}

__attribute__((format(printf, 2, 3)))
static int refuse_header(struct stream_reader *reader, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	error_vset(&reader->error, EXIT_CODE_IMAGE, format, args);
	va_end(args);
	return -1;
}

/* ---- bytes --------------------------------------------------------------------------------- */

/* Returns the number of bytes read before the end, or -errno. */
static ssize_t get_bytes(struct stream_reader *reader, void *data, size_t bytes)
{
	size_t got = 0;

	while (got < bytes) {
		ssize_t count;

		if (reader->read) {
			count = reader->read(reader->argument, (char *)data + got, bytes - got);
		} else {
			count = read(reader->fd, (char *)data + got, bytes - got);
			if (count < 0)
				count = -errno;
		}
		if (count == -EINTR)
			continue;
		if (count < 0)
			return count;
		if (!count)
			break;
		got += count;
		reader->offset += count;
	}
	return (ssize_t)got;
}

int stream_reader_init(struct stream_reader *reader, int fd)
{
	struct stream_header header;
	ssize_t got;

	*reader = (struct stream_reader){
		.fd = fd, .read = reader->read, .argument = reader->argument,
	};
	reader->zstd = ZSTD_createDCtx();
	if (!reader->zstd)
		return refuse_header(reader, "out of memory");
	got = get_bytes(reader, &header, sizeof(header));
	if (got < 0)
		return refuse_header(reader, "the header cannot be read: %s",
				     strerror((int)-got));
	if (!got)
		return refuse_header(reader, "there is nothing");
	if (memcmp(header.magic, STREAM_MAGIC, got < 8 ? (size_t)got : 8))
		return refuse_header(reader, "this is not a saved VM: it does not begin like one");
	if ((size_t)got < sizeof(header))
		return refuse_header(reader, "it ends in the header, after %zd bytes", got);
	if (header.checksum != crc32_z(0, (void *)&header,
				       offsetof(struct stream_header, checksum)))
		return refuse_header(reader, "the header is damaged: its checksum is wrong");
	if (header.version != STREAM_VERSION)
		return refuse_header(reader, "it has version %u of the format, this program knows %u",
				     header.version, STREAM_VERSION);
	if (header.features & ~STREAM_FEATURES)
		return refuse_header(reader, "it needs features 0x%llx that this program does not know",
				     (unsigned long long)(header.features & ~STREAM_FEATURES));
	if (header.bytes != sizeof(header) || header.pad || header.pad2)
		return refuse_header(reader, "the header has another layout");
	reader->features = header.features;
	return 0;
}

void stream_reader_free(struct stream_reader *reader)
{
	ZSTD_freeDCtx(reader->zstd);
	copies_free(reader->stored.data, reader->stored.room);
	copies_free(reader->plain.data, reader->plain.room);
	reader->zstd = NULL;
	reader->stored = (struct stream_buffer){ NULL, 0 };
	reader->plain = (struct stream_buffer){ NULL, 0 };
}

/* ---- one record ------------------------------------------------------------------------------ */

static int check_header(struct stream_reader *reader, const struct stream_record_header *header,
			const struct stream_record *record)
{
	if (header->checksum != crc32_z(0, (const void *)header,
					offsetof(struct stream_record_header, checksum))) {
		struct stream_record place = { .sequence = reader->records,
					       .offset = record->offset };

		return stream_refuse(reader, &place, "its header is damaged: the checksum is wrong");
	}
	if (header->sequence != reader->records)
		return stream_refuse(reader, record, "record %llu should come here",
				     (unsigned long long)reader->records);
	if (header->flags & ~STREAM_RECORD_ZSTD)
		return stream_refuse(reader, record, "unknown flags 0x%x", header->flags);
	if (header->flags && !(reader->features & STREAM_FEATURE_ZSTD))
		return stream_refuse(reader, record, "it is compressed, in a stream without compression");
	if (header->stored > STREAM_PAYLOAD_MAX || header->bytes > STREAM_PAYLOAD_MAX)
		return stream_refuse(reader, record, "it is longer than a record may be");
	if (!(header->flags & STREAM_RECORD_ZSTD) && header->stored != header->bytes)
		return stream_refuse(reader, record, "its lengths contradict each other");
	return 0;
}

static int check_type(struct stream_reader *reader, const struct stream_record *record)
{
	if (record->type >= STREAM_MIGRATE_FIRST && record->type <= STREAM_MIGRATE_LAST)
		return 0;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].type != record->type)
			continue;
		if (known[i].version != record->version)
			return stream_refuse(reader, record, "it has version %u, this program knows %u",
					     record->version, known[i].version);
		if (record->bytes < known[i].min || record->bytes > known[i].max ||
		    record->bytes % known[i].multiple)
			return stream_refuse(reader, record, "no such record has %u bytes",
					     record->bytes);
		return 0;
	}
	return stream_refuse(reader, record, "type %u is not known to this program",
			     record->type);
}

/* The contents of this page are lost. */
static uint8_t *room_for(struct stream_buffer *buffer, size_t bytes)
{
	uint8_t *more;

	/* Not NULL, even for an empty payload. */
	bytes = bytes < 4096 ? 4096 : bytes;
	if (bytes <= buffer->room)
		return buffer->data;
	more = copies_alloc(bytes);
	if (!more)
		return NULL;
	copies_free(buffer->data, buffer->room);
	*buffer = (struct stream_buffer){ more, bytes };
	return more;
}

static int get_payload(struct stream_reader *reader, const struct stream_record_header *header,
		       struct stream_record *record)
{
	uint8_t *stored = room_for(&reader->stored, header->stored);
	uint8_t *data = stored;
	size_t plain;
	ssize_t got;

	if (header->flags & STREAM_RECORD_ZSTD)
		data = room_for(&reader->plain, header->bytes);
	if (!stored || !data)
		return stream_refuse(reader, record, "there is no memory for its %u bytes",
				     header->bytes);
	got = get_bytes(reader, stored, header->stored);
	if (got < 0)
		return stream_refuse(reader, record, "it cannot be read: %s", strerror((int)-got));
	if ((size_t)got < header->stored)
		return stream_refuse(reader, record, "the stream ends in it, after %zd of %u bytes",
				     got, header->stored);
	if (crc32_z(0, stored, header->stored) != header->payload_checksum)
		return stream_refuse(reader, record, "it is damaged: the checksum is wrong");
	record->data = data;
	if (!(header->flags & STREAM_RECORD_ZSTD))
		return 0;
	plain = ZSTD_decompressDCtx(reader->zstd, data, header->bytes, stored, header->stored);
	if (ZSTD_isError(plain))
		return stream_refuse(reader, record, "it cannot be decompressed: %s",
				     ZSTD_getErrorName(plain));
	if (plain != header->bytes)
		return stream_refuse(reader, record, "it decompresses to %zu bytes, not %u", plain,
				     header->bytes);
	return 0;
}

/* ---- what is inside ----------------------------------------------------------------------------- */

static int check_pages(struct stream_reader *reader, const struct stream_record *record)
{
	const struct stream_pages *head = (const void *)record->data;
	const struct stream_page *pages = (const void *)(head + 1);
	uint64_t used = sizeof(*head) + (uint64_t)head->count * sizeof(*pages);

	if (!head->count || head->count > STREAM_BATCH || head->pad || used > record->bytes)
		return stream_refuse(reader, record, "it cannot have %u pages", head->count);
	for (uint32_t i = 0; i < head->count; i++) {
		const struct stream_page *page = &pages[i];

		if (page->gpa % STREAM_PAGE)
			return stream_refuse(reader, record, "page %u has the address 0x%llx", i,
					     (unsigned long long)page->gpa);
		if (page->flags & ~STREAM_PAGE_DELTA ||
		    (page->flags && !(reader->features & STREAM_FEATURE_DELTA)))
			return stream_refuse(reader, record, "page %u has unknown flags 0x%x", i,
					     page->flags);
		if (!page->bytes || page->bytes > STREAM_PAGE ||
		    (!page->flags && page->bytes != STREAM_PAGE))
			return stream_refuse(reader, record, "page %u has %u bytes", i,
					     page->bytes);
		used += page->bytes;
	}
	if (used != record->bytes)
		return stream_refuse(reader, record, "its pages need %llu bytes, it has %u",
				     (unsigned long long)used, record->bytes);
	reader->pages += head->count;
	return 0;
}

static int check_zero(struct stream_reader *reader, const struct stream_record *record)
{
	const struct stream_range *range = (const void *)record->data;
	uint64_t end = 0;

	for (uint32_t i = 0; i < record->bytes / sizeof(*range); i++) {
		if (range[i].gpa % STREAM_PAGE || !range[i].pages ||
		    range[i].pages > RANGE_PAGES_MAX ||
		    range[i].gpa / STREAM_PAGE > RANGE_PAGES_MAX - range[i].pages)
			return stream_refuse(reader, record, "range %u is not one of pages", i);
		/* Otherwise one record could clear all of memory a million times. */
		if (range[i].gpa < end)
			return stream_refuse(reader, record, "range %u begins before the last one ends", i);
		end = range[i].gpa + range[i].pages * STREAM_PAGE;
		reader->zero_pages += range[i].pages;
	}
	return 0;
}

static int check_end(struct stream_reader *reader, const struct stream_record *record)
{
	const struct stream_end *end = (const void *)record->data;

	if (end->records != reader->records || end->pages != reader->pages ||
	    end->zero_pages != reader->zero_pages)
		return stream_refuse(reader, record,
				     "it counts %llu records, %llu pages and %llu zero pages; there were %llu, %llu and %llu",
				     (unsigned long long)end->records,
				     (unsigned long long)end->pages,
				     (unsigned long long)end->zero_pages,
				     (unsigned long long)reader->records,
				     (unsigned long long)reader->pages,
				     (unsigned long long)reader->zero_pages);
	reader->ended = true;
	return 0;
}

/* It is printed and compared, never used as a path.  All names look like "virtio-disk". */
static int check_device(struct stream_reader *reader, const struct stream_record *record)
{
	const struct stream_device *device = (const void *)record->data;

	if (!device->name[0] || !memchr(device->name, 0, sizeof(device->name)))
		return stream_refuse(reader, record, "the device has no name");
	if (device->name[strspn(device->name, "abcdefghijklmnopqrstuvwxyz0123456789-")])
		return stream_refuse(reader, record,
				     "the device's name is not of small letters, digits and \"-\"");
	return 0;
}

static int check_payload(struct stream_reader *reader, const struct stream_record *record)
{
	switch (record->type) {
	case STREAM_PAGES:
		return check_pages(reader, record);
	case STREAM_ZERO:
		return check_zero(reader, record);
	case STREAM_END:
		return check_end(reader, record);
	case STREAM_DEVICE:
		return check_device(reader, record);
	}
	return 0;
}

int stream_read(struct stream_reader *reader, struct stream_record *record)
{
	struct stream_record_header header;
	ssize_t got;

	if (reader->ended)
		return 0;
	*record = (struct stream_record){ .sequence = reader->records, .offset = reader->offset };
	got = get_bytes(reader, &header, sizeof(header));
	if (got < 0)
		return stream_refuse(reader, record, "it cannot be read: %s", strerror((int)-got));
	if ((size_t)got < sizeof(header))
		return stream_refuse(reader, record, "the stream ends here, without its end record");
	record->type = header.type;
	record->version = header.version;
	record->sequence = header.sequence;
	record->bytes = header.bytes;
	if (check_header(reader, &header, record) || check_type(reader, record) ||
	    get_payload(reader, &header, record) || check_payload(reader, record))
		return -1;
	reader->records++;
	return 1;
}

int stream_each_page(struct stream_reader *reader, const struct stream_record *record,
		     int (*page)(void *argument, const struct stream_page *page,
				 const uint8_t *data), void *argument)
{
	const struct stream_pages *head = (const void *)record->data;
	const struct stream_page *pages = (const void *)(head + 1);
	const uint8_t *data = (const void *)(pages + head->count);

	(void)reader;
	for (uint32_t i = 0; i < head->count; i++) {
		int ret = page(argument, &pages[i], data);

		if (ret)
			return ret;
		data += pages[i].bytes;
	}
	return 0;
}
