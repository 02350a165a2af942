// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "copies.h"
#include "stream.h"

_Static_assert(sizeof(struct stream_header) == 32, "no hole");
_Static_assert(sizeof(struct stream_record_header) == 32, "no hole");
_Static_assert(sizeof(struct stream_device) == 40, "no hole");
_Static_assert(sizeof(struct stream_pages) + STREAM_BATCH * (sizeof(struct stream_page) +
	       STREAM_PAGE) <= STREAM_PAYLOAD_MAX,
	       "a batch fits a record");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "structures are written as they are");

/* Smaller payloads are not worth a compression. */
#define COMPRESS_MIN	256u

static const struct {
	uint32_t type;
	const char *name;
} names[] = {
	{ STREAM_CONFIG, "configuration" }, { STREAM_CPUID, "cpuid" }, { STREAM_VM, "vm" },
	{ STREAM_VCPU, "vcpu" }, { STREAM_DEVICE, "device" }, { STREAM_CLOCK, "clock" },
	{ STREAM_PAGES, "pages" }, { STREAM_ZERO, "zero" }, { STREAM_END, "end" },
};

const char *stream_type_name(uint32_t type)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].type == type)
			return names[i].name;
	return type >= STREAM_MIGRATE_FIRST && type <= STREAM_MIGRATE_LAST ? "migration" :
	       "unknown";
}

bool stream_page_is_zero(const void *data)
{
	const uint64_t *word = data;

	/* Most pages that are not zero have a byte set at the start. */
	for (size_t i = 0; i < STREAM_PAGE / sizeof(*word); i += 8)
		if (word[i] | word[i + 1] | word[i + 2] | word[i + 3] | word[i + 4] |
		    word[i + 5] | word[i + 6] | word[i + 7])
			return false;
	return true;
}

/* ---- bytes ------------------------------------------------------------------------------- */

static int write_fd(int fd, const struct iovec *iov, unsigned int count)
{
	struct iovec left[4];
	struct iovec *at = left;

	memcpy(left, iov, count * sizeof(*iov));
	while (count) {
		ssize_t done = writev(fd, at, (int)count);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		while (count && (size_t)done >= at->iov_len) {
			done -= at->iov_len;
			at++;
			count--;
		}
		if (count) {
			at->iov_base = (char *)at->iov_base + done;
			at->iov_len -= done;
		}
	}
	return 0;
}

static int put_bytes(struct stream_writer *writer, const struct iovec *iov, unsigned int count)
{
	int ret = writer->error;

	if (!ret)
		ret = writer->write ? writer->write(writer->argument, iov, count) :
		      write_fd(writer->fd, iov, count);
	if (ret) {
		writer->error = ret;
		return ret;
	}
	for (unsigned int i = 0; i < count; i++)
		writer->bytes += iov[i].iov_len;
	return 0;
}

int stream_writer_init(struct stream_writer *writer, int fd, uint64_t features, int level)
{
	struct stream_header header = {
		.version = STREAM_VERSION, .bytes = sizeof(header), .features = features,
	};
	struct iovec iov = { &header, sizeof(header) };

	*writer = (struct stream_writer){
		.fd = fd, .write = writer->write, .argument = writer->argument, .level = level,
	};
	writer->batch_data = copies_alloc(STREAM_BATCH * STREAM_PAGE);
	writer->packed_room = ZSTD_compressBound(STREAM_PAYLOAD_MAX);
	if (level) {
		writer->zstd = ZSTD_createCCtx();
		writer->packed = copies_alloc(writer->packed_room);
	}
	if (!writer->batch_data || (level && (!writer->zstd || !writer->packed)))
		return writer->error = -ENOMEM;
	memcpy(header.magic, STREAM_MAGIC, sizeof(header.magic));
	header.checksum = crc32_z(0, (void *)&header, offsetof(struct stream_header, checksum));
	writer->raw_bytes = sizeof(header);
	return put_bytes(writer, &iov, 1);
}

void stream_writer_free(struct stream_writer *writer)
{
	ZSTD_freeCCtx(writer->zstd);
	copies_free(writer->packed, writer->packed_room);
	copies_free(writer->batch_data, STREAM_BATCH * STREAM_PAGE);
	writer->zstd = NULL;
	writer->packed = NULL;
	writer->batch_data = NULL;
}

/* ---- records ----------------------------------------------------------------------------- */

/* Compress head and data to one frame in writer->packed; returns its length, or 0 if it saves nothing. */
static size_t compress_payload(struct stream_writer *writer, const void *head, size_t head_bytes,
			       const void *data, size_t bytes)
{
	ZSTD_outBuffer out = { writer->packed, writer->packed_room, 0 };
	ZSTD_inBuffer first = { head, head_bytes, 0 }, second = { data, bytes, 0 };
	size_t left;

	if (!writer->level || head_bytes + bytes < COMPRESS_MIN)
		return 0;
	ZSTD_CCtx_reset(writer->zstd, ZSTD_reset_session_only);
	ZSTD_CCtx_setParameter(writer->zstd, ZSTD_c_compressionLevel, writer->level);
	ZSTD_CCtx_setPledgedSrcSize(writer->zstd, head_bytes + bytes);
	left = ZSTD_compressStream2(writer->zstd, &out, &first, ZSTD_e_continue);
	while (!ZSTD_isError(left) && first.pos < first.size)
		left = ZSTD_compressStream2(writer->zstd, &out, &first, ZSTD_e_continue);
	if (!ZSTD_isError(left))
		left = ZSTD_compressStream2(writer->zstd, &out, &second, ZSTD_e_end);
	return ZSTD_isError(left) || left || out.pos >= head_bytes + bytes ? 0 : out.pos;
}

static int put_record(struct stream_writer *writer, uint32_t type, uint16_t version,
		      const void *head, size_t head_bytes, const void *data, size_t bytes)
{
	struct stream_record_header header = {
		.type = type, .version = version, .bytes = (uint32_t)(head_bytes + bytes),
		.sequence = writer->records,
	};
	struct iovec iov[3] = { { &header, sizeof(header) } };
	unsigned int count = 1;
	size_t packed;
	uint32_t sum;

	if (writer->error)
		return writer->error;
	if (head_bytes + bytes > STREAM_PAYLOAD_MAX)
		return writer->error = -EMSGSIZE;
	packed = compress_payload(writer, head, head_bytes, data, bytes);
	header.stored = (uint32_t)(packed ? packed : head_bytes + bytes);
	if (packed) {
		header.flags = STREAM_RECORD_ZSTD;
		iov[count++] = (struct iovec){ writer->packed, packed };
	} else {
		if (head_bytes)
			iov[count++] = (struct iovec){ (void *)head, head_bytes };
		if (bytes)
			iov[count++] = (struct iovec){ (void *)data, bytes };
	}
	sum = crc32_z(0, NULL, 0);
	for (unsigned int i = 1; i < count; i++)
		sum = crc32_z(sum, iov[i].iov_base, iov[i].iov_len);
	header.payload_checksum = sum;
	header.checksum = crc32_z(0, (void *)&header,
				  offsetof(struct stream_record_header, checksum));
	writer->records++;
	writer->raw_bytes += sizeof(header) + head_bytes + bytes;
	return put_bytes(writer, iov, count);
}

static int flush_pages(struct stream_writer *writer)
{
	size_t head = offsetof(typeof(writer->batch), pages[writer->batch.head.count]);
	size_t bytes = writer->batched_bytes;
	int ret;

	if (!writer->batch.head.count)
		return writer->error;
	ret = put_record(writer, STREAM_PAGES, 1, &writer->batch, head, writer->batch_data, bytes);
	writer->batch.head.count = 0;
	writer->batched_bytes = 0;
	return ret;
}

static int flush_zero(struct stream_writer *writer)
{
	struct stream_range range = writer->zero;

	writer->zero.pages = 0;
	if (!range.pages)
		return writer->error;
	return put_record(writer, STREAM_ZERO, 1, &range, sizeof(range), NULL, 0);
}

int stream_flush(struct stream_writer *writer)
{
	int ret = flush_zero(writer);

	return ret ? ret : flush_pages(writer);
}

int stream_put(struct stream_writer *writer, uint32_t type, uint16_t version, const void *head,
	       size_t head_bytes, const void *data, size_t bytes)
{
	int ret = stream_flush(writer);

	return ret ? ret : put_record(writer, type, version, head, head_bytes, data, bytes);
}

static int batch_page(struct stream_writer *writer, uint64_t gpa, uint32_t flags, const void *data,
		      uint32_t bytes)
{
	int ret = writer->error;

	if (writer->batch.head.count == STREAM_BATCH)
		ret = flush_pages(writer);
	/* Keep the order: a page that is zero now may have had other contents before. */
	if (!ret && writer->zero.pages && gpa >= writer->zero.gpa &&
	    gpa < writer->zero.gpa + writer->zero.pages * STREAM_PAGE)
		ret = flush_zero(writer);
	if (ret)
		return ret;
	writer->batch.pages[writer->batch.head.count++] = (struct stream_page){ gpa, flags, bytes };
	memcpy(writer->batch_data + writer->batched_bytes, data, bytes);
	writer->batched_bytes += bytes;
	writer->pages++;
	return 0;
}

int stream_put_page(struct stream_writer *writer, uint64_t gpa, const void *data)
{
	if (stream_page_is_zero(data))
		return stream_put_zero(writer, gpa, 1);
	return stream_put_whole(writer, gpa, data);
}

int stream_put_whole(struct stream_writer *writer, uint64_t gpa, const void *data)
{
	return batch_page(writer, gpa, 0, data, STREAM_PAGE);
}

int stream_put_delta(struct stream_writer *writer, uint64_t gpa, const void *data, uint32_t bytes)
{
	if (bytes > STREAM_PAGE)
		return writer->error = -EMSGSIZE;
	return batch_page(writer, gpa, STREAM_PAGE_DELTA, data, bytes);
}

int stream_put_zero(struct stream_writer *writer, uint64_t gpa, uint64_t pages)
{
	struct stream_range *zero = &writer->zero;
	int ret = writer->error;

	if (!ret && zero->pages && zero->gpa + zero->pages * STREAM_PAGE != gpa)
		ret = flush_zero(writer);
	/* Write earlier batches of these pages first. */
	for (unsigned int i = 0; !ret && i < writer->batch.head.count; i++)
		if (writer->batch.pages[i].gpa - gpa < pages * STREAM_PAGE)
			ret = flush_pages(writer);
	if (ret)
		return ret;
	if (!zero->pages)
		zero->gpa = gpa;
	zero->pages += pages;
	writer->zero_pages += pages;
	return 0;
}

int stream_end(struct stream_writer *writer)
{
	struct stream_end end;
	int ret = stream_flush(writer);

	end = (struct stream_end){ writer->records, writer->pages, writer->zero_pages };
	return ret ? ret : put_record(writer, STREAM_END, 1, &end, sizeof(end), NULL, 0);
}
