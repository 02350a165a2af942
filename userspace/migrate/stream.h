/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A VM as a sequence of records: "suspend" writes it to a file, and migration sends it.
 * Documentation/stream-format.rst specifies it byte by byte; all numbers are little-endian.
 *
 * One thread uses the writer.  The reader trusts nothing: it checks all lengths, counts and
 * addresses, and refuses a stream that is cut, damaged or newer, with the record and its offset in
 * words.
 */
#ifndef MIGRATE_STREAM_H
#define MIGRATE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "base/error.h"

#define STREAM_MAGIC		"\x89GONDOLA"	/* 8 bytes, without the NUL */
#define STREAM_VERSION		1
#define STREAM_PAGE		4096u
#define STREAM_BATCH		256u		/* the most pages in a record */
#define STREAM_PAYLOAD_MAX	(16u << 20)	/* stored, and decompressed */

/* Features that a reader must support; it refuses unknown bits. */
#define STREAM_FEATURE_ZSTD	(1ull << 0)	/* payloads may be compressed */
#define STREAM_FEATURE_DELTA	(1ull << 1)	/* pages may be differences, STREAM_PAGE_DELTA */
#define STREAM_FEATURES		(STREAM_FEATURE_ZSTD | STREAM_FEATURE_DELTA)

/** struct stream_header - the first bytes */
struct stream_header {
	uint8_t magic[8];
	uint16_t version;		/* STREAM_VERSION */
	uint16_t bytes;			/* sizeof(struct stream_header) */
	uint32_t pad;			/* 0 */
	uint64_t features;		/* STREAM_FEATURE_* */
	uint32_t pad2;			/* 0 */
	uint32_t checksum;		/* CRC-32 of all before it */
};

/**
 * struct stream_record_header - before each record's payload
 *
 * CRC-32 is that of IEEE 802.3, as zlib computes it.
 */
struct stream_record_header {
	uint32_t type;			/* enum stream_type */
	uint16_t version;		/* layout of the payload */
	uint16_t flags;			/* STREAM_RECORD_* */
	uint32_t stored;		/* bytes of payload */
	uint32_t bytes;			/* decompressed bytes of payload */
	uint64_t sequence;		/* 0, 1, 2 ... */
	uint32_t payload_checksum;	/* CRC-32 of the payload as stored */
	uint32_t checksum;		/* CRC-32 of all of this header before it */
};
#define STREAM_RECORD_ZSTD	(1u << 0)	/* the payload is one zstd frame */

/**
 * enum stream_type - the contents of a record
 * @STREAM_CONFIG: the VM's configuration as JSON: name, memory, vCPUs, devices
 * @STREAM_CPUID: an array of struct gondola_cpuid_entry: the vCPUs' CPUID
 * @STREAM_VM: the module's records of the VM (<linux/gondola_state.h>)
 * @STREAM_VCPU: struct stream_vcpu, then the module's records of that vCPU
 * @STREAM_DEVICE: struct stream_device, then the device's own bytes
 * @STREAM_CLOCK: struct stream_clock
 * @STREAM_PAGES: struct stream_pages, a struct stream_page for each, then their data in that order
 * @STREAM_ZERO: an array of struct stream_range: pages that are all zero
 * @STREAM_MIGRATE_FIRST: up to @STREAM_MIGRATE_LAST: control records of a migration
 * @STREAM_END: struct stream_end; nothing follows
 */
enum stream_type {
	STREAM_CONFIG = 1,
	STREAM_CPUID = 2,
	STREAM_VM = 3,
	STREAM_VCPU = 4,
	STREAM_DEVICE = 5,
	STREAM_CLOCK = 6,
	STREAM_PAGES = 16,
	STREAM_ZERO = 17,
	STREAM_MIGRATE_FIRST = 64,
	STREAM_MIGRATE_LAST = 127,
	STREAM_END = 255,
};

struct stream_vcpu {
	uint32_t id;
	uint32_t pad;			/* 0 */
};

/** struct stream_device - @name of @instance, see device/state.h */
struct stream_device {
	char name[32];			/* NUL-padded */
	uint32_t instance;
	uint32_t version;
};

/** struct stream_clock - the launcher's clocks when the VM stopped */
struct stream_clock {
	uint64_t vm_ns;			/* vm_clock_ns() */
	uint64_t realtime_ns;		/* CLOCK_REALTIME */
};

struct stream_pages {
	uint32_t count;			/* 1 ... STREAM_BATCH */
	uint32_t pad;			/* 0 */
};

/** struct stream_page - a page with @bytes of data, STREAM_PAGE unless it is a delta */
struct stream_page {
	uint64_t gpa;
	uint32_t flags;			/* STREAM_PAGE_* */
	uint32_t bytes;
};
#define STREAM_PAGE_DELTA	(1u << 0)	/* relative to its last contents sent */

struct stream_range {
	uint64_t gpa;
	uint64_t pages;
};

struct stream_end {
	uint64_t records;		/* without this one */
	uint64_t pages;			/* in STREAM_PAGES */
	uint64_t zero_pages;		/* in STREAM_ZERO */
};

/** stream_type_name() - get "pages" …, or "migration" or "unknown" */
const char *stream_type_name(uint32_t type);

/* ---- writing ------------------------------------------------------------------------- */

/**
 * struct stream_writer - a stream that is written
 * @fd: the output
 * @write: called with @argument instead of write() to @fd: writes all of @iov, or returns -errno
 * @level: zstd's level; 0: no compression
 * @records, @pages, @zero_pages: numbers so far
 * @bytes: bytes written so far, including headers
 * @raw_bytes: the same without compression
 * @error: -errno of the first failure, after which all calls fail
 */
struct stream_writer {
	int fd;
	int (*write)(void *argument, const struct iovec *iov, unsigned int count);
	void *argument;
	int level;
	uint64_t records;
	uint64_t pages;
	uint64_t zero_pages;
	uint64_t bytes;
	uint64_t raw_bytes;
	int error;
	/* stream_writer.c's own */
	void *zstd;
	uint8_t *packed;
	size_t packed_room;
	size_t batched_bytes;
	struct {
		struct stream_pages head;
		struct stream_page pages[STREAM_BATCH];
	} batch;
	uint8_t *batch_data;
	struct stream_range zero;
};

/** stream_writer_init() - initialise and write the header; set or zero @write and @argument before */
int stream_writer_init(struct stream_writer *writer, int fd, uint64_t features, int level);
void stream_writer_free(struct stream_writer *writer);
/** stream_put() - write a record whose payload is @head, then @data (either may be NULL) */
int stream_put(struct stream_writer *writer, uint32_t type, uint16_t version, const void *head,
	       size_t head_bytes, const void *data, size_t bytes);
/** stream_put_page() - gather a page for a record; a page of zeroes is not stored */
int stream_put_page(struct stream_writer *writer, uint64_t gpa, const void *data);
/** stream_put_whole() - the same, but store the page in any case */
int stream_put_whole(struct stream_writer *writer, uint64_t gpa, const void *data);
/** stream_put_delta() - write a page as a delta of @bytes (STREAM_FEATURE_DELTA) */
int stream_put_delta(struct stream_writer *writer, uint64_t gpa, const void *data, uint32_t bytes);
/** stream_put_zero() - write @pages pages of zeroes; neighbours are joined */
int stream_put_zero(struct stream_writer *writer, uint64_t gpa, uint64_t pages);
/** stream_flush() - write gathered pages; stream_put() and stream_end() do it too */
int stream_flush(struct stream_writer *writer);
int stream_end(struct stream_writer *writer);
bool stream_page_is_zero(const void *data);

/* ---- reading --------------------------------------------------------------------------- */

/**
 * struct stream_record - a record that was read and verified
 * @offset: offset of its header
 * @data: its payload, aligned to 8; valid until the next stream_read()
 */
struct stream_record {
	uint32_t type;
	uint16_t version;
	uint64_t sequence;
	uint64_t offset;
	const uint8_t *data;
	uint32_t bytes;
};

/**
 * struct stream_reader - a stream that is read
 * @fd: the input
 * @read: called instead of read() from @fd; returns -errno on failure
 * @features: the stream's features
 * @offset: bytes read so far
 * @records, @pages, @zero_pages: numbers so far
 * @ended: STREAM_END was read, with the right counts
 * @error: the error in words
 */
struct stream_reader {
	int fd;
	ssize_t (*read)(void *argument, void *data, size_t bytes);
	void *argument;
	uint64_t features;
	uint64_t offset;
	uint64_t records;
	uint64_t pages;
	uint64_t zero_pages;
	bool ended;
	struct error error;
	/* stream_reader.c's own */
	void *zstd;
	struct stream_buffer {
		uint8_t *data;
		size_t room;
	} stored, plain;
};

/** stream_reader_init() - initialise and read the header; 0, or -1 with @error */
int stream_reader_init(struct stream_reader *reader, int fd);
void stream_reader_free(struct stream_reader *reader);
/**
 * stream_read() - read the next record
 *
 * 1: a record, with known type and version, and a layout checked as far as the stream defines it.
 * 0: the end, after STREAM_END.  -1: refused, with @error.
 */
int stream_read(struct stream_reader *reader, struct stream_record *record);
/** stream_refuse() - set @error to "record 7 (device) at byte 4711: ..."; returns -1 */
int stream_refuse(struct stream_reader *reader, const struct stream_record *record,
		  const char *format, ...) __attribute__((format(printf, 3, 4)));

/**
 * stream_each_page() - call @page for every page of a STREAM_PAGES record
 *
 * @page returns 0, or -1 after stream_refuse(), which is then returned.
 */
int stream_each_page(struct stream_reader *reader, const struct stream_record *record,
		     int (*page)(void *argument, const struct stream_page *page,
				 const uint8_t *data), void *argument);

#endif
