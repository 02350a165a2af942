// SPDX-License-Identifier: GPL-2.0-only
/* The stream: what goes in comes out, and nothing that is not right gets through. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "life_test.h"
#include "migrate/stream.h"

#define PAGES	5

static uint8_t page_data[PAGES][STREAM_PAGE];

static void fill(void)
{
	memset(page_data, 0, sizeof(page_data));
	for (unsigned int i = 0; i < STREAM_PAGE; i++) {
		page_data[0][i] = i * 7 + (i >> 5);	/* compressible a little */
		page_data[2][i] = 0x55;
		page_data[4][i] = i;
	}
}

/* A small stream with every type, in a memfd. */
static int make(uint64_t features, int level)
{
	static const uint64_t record[4] = { 0x0000000100000001, 8, 0, 4711 };
	struct stream_vcpu vcpu = { .id = 1 };
	struct stream_device device = { .name = "serial", .version = 3 };
	struct stream_clock clock = { 1, 2 };
	struct stream_writer writer = { .fd = -1 };
	uint8_t cpuid[64] = { 1 };
	int fd = memfd_create("stream", MFD_CLOEXEC);

	fill();
	require(fd >= 0);
	require_equal(stream_writer_init(&writer, fd, features, level), 0);
	stream_put(&writer, STREAM_CONFIG, 1, NULL, 0, "{\"name\":\"vm1\"}", 14);
	stream_put(&writer, STREAM_CPUID, 1, NULL, 0, cpuid, sizeof(cpuid));
	for (uint64_t i = 0; i < PAGES; i++)
		stream_put_page(&writer, i * STREAM_PAGE, page_data[i]);
	stream_put_zero(&writer, 64 * STREAM_PAGE, 1000);
	stream_put(&writer, STREAM_VM, 1, NULL, 0, record, sizeof(record));
	stream_put(&writer, STREAM_VCPU, 1, &vcpu, sizeof(vcpu), record, sizeof(record));
	stream_put(&writer, STREAM_DEVICE, 1, &device, sizeof(device), "abc", 3);
	stream_put(&writer, STREAM_CLOCK, 1, NULL, 0, &clock, sizeof(clock));
	stream_put(&writer, STREAM_MIGRATE_FIRST + 3, 9, NULL, 0, "any", 3);
	require_equal(stream_end(&writer), 0);
	expect_equal(writer.bytes, lseek(fd, 0, SEEK_END));
	expect_equal(writer.pages, 3);
	expect_equal(writer.zero_pages, 1002);
	stream_writer_free(&writer);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

/* The result of reading a whole stream: memory and a count of records. */
struct result {
	uint8_t memory[PAGES][STREAM_PAGE];
	unsigned int records[256];
	uint64_t zero;
	int end;
	char error[1024];
};

static int take_page(void *argument, const struct stream_page *page, const uint8_t *data)
{
	struct result *result = argument;

	if (page->gpa / STREAM_PAGE < PAGES)
		memcpy(result->memory[page->gpa / STREAM_PAGE], data, page->bytes);
	return 0;
}

static struct result *read_all(int fd)
{
	static struct result result;
	struct stream_reader reader = { .fd = -1 };
	struct stream_record record;

	memset(&result, 0, sizeof(result));
	result.end = stream_reader_init(&reader, fd);
	while (!result.end || result.end == 1) {
		result.end = stream_read(&reader, &record);
		if (result.end != 1)
			break;
		result.records[record.type & 255]++;
		if (record.type == STREAM_PAGES)
			stream_each_page(&reader, &record, take_page, &result);
		if (record.type == STREAM_ZERO) {
			struct stream_range range;

			memcpy(&range, record.data, sizeof(range));
			result.zero += range.pages;
			if (range.gpa / STREAM_PAGE < PAGES)
				memset(result.memory[range.gpa / STREAM_PAGE], 0, STREAM_PAGE);
		}
	}
	snprintf(result.error, sizeof(result.error), "%s", reader.error.words);
	stream_reader_free(&reader);
	return &result;
}

void stream_round_trip(void)
{
	for (int level = 0; level <= 3; level += 3) {
		int fd = make(STREAM_FEATURE_ZSTD, level);
		struct result *result = read_all(fd);

		tap_check(result->end == 0, false, "level %d: %s", level, result->error);
		expect(!memcmp(result->memory, page_data, sizeof(page_data)));
		expect_equal(result->zero, 1002);
		for (int type = STREAM_CONFIG; type <= STREAM_CLOCK; type++)
			expect_equal(result->records[type], 1);
		expect_equal(result->records[STREAM_MIGRATE_FIRST + 3], 1);
		expect_equal(result->records[STREAM_END], 1);
		close(fd);
	}
}

/* The last word about a page counts, whichever kinds of record it comes in. */
void stream_order(void)
{
	struct stream_writer writer = { .fd = -1 };
	int fd = memfd_create("stream", MFD_CLOEXEC);
	struct result *result;
	uint8_t zero[STREAM_PAGE] = { 0 };

	fill();
	require_equal(stream_writer_init(&writer, fd, 0, 0), 0);
	stream_put_page(&writer, 0, page_data[0]);
	stream_put_page(&writer, 0, zero);
	stream_put_page(&writer, STREAM_PAGE, page_data[0]);
	stream_put_page(&writer, 2 * STREAM_PAGE, zero);
	stream_put_page(&writer, 2 * STREAM_PAGE, page_data[2]);
	require_equal(stream_end(&writer), 0);
	stream_writer_free(&writer);
	lseek(fd, 0, SEEK_SET);
	result = read_all(fd);
	expect_equal(result->end, 0);
	expect(!memcmp(result->memory[0], zero, STREAM_PAGE));
	expect(!memcmp(result->memory[1], page_data[0], STREAM_PAGE));
	expect(!memcmp(result->memory[2], page_data[2], STREAM_PAGE));
	close(fd);
}

/* With --zero off a page that is asked for whole comes whole. */
void stream_whole(void)
{
	struct stream_writer writer = { .fd = -1 };
	int fd = memfd_create("stream", MFD_CLOEXEC);
	uint8_t zero[STREAM_PAGE] = { 0 };
	struct result *result;

	require_equal(stream_writer_init(&writer, fd, 0, 0), 0);
	stream_put_page(&writer, 0, page_data[2]);
	stream_put_whole(&writer, 0, zero);
	require_equal(stream_end(&writer), 0);
	stream_writer_free(&writer);
	expect(lseek(fd, 0, SEEK_END) > 2 * STREAM_PAGE);
	lseek(fd, 0, SEEK_SET);
	result = read_all(fd);
	expect_equal(result->end, 0);
	expect(!memcmp(result->memory[0], zero, STREAM_PAGE));
	close(fd);
}

void stream_flipped_bytes(void)
{
	int fd = make(STREAM_FEATURE_ZSTD, 1);
	off_t bytes = lseek(fd, 0, SEEK_END);
	uint8_t *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct result *result;

	require(map != MAP_FAILED);
	for (off_t at = 0; at < bytes; at++) {
		map[at] ^= 1u << at % 8;
		lseek(fd, 0, SEEK_SET);
		result = read_all(fd);
		if (result->end >= 0 || !result->error[0])
			tap_check(false, true, "byte %ld flipped: accepted", (long)at);
		if (at >= 32 && !strstr(result->error, " at byte "))
			tap_check(false, true, "byte %ld flipped: \"%s\"", (long)at,
				  result->error);
		map[at] ^= 1u << at % 8;
	}
	munmap(map, bytes);
	close(fd);
}

void stream_cut(void)
{
	int fd = make(STREAM_FEATURE_ZSTD, 1), whole;
	off_t bytes = lseek(fd, 0, SEEK_END);
	uint8_t *copy = malloc(bytes);

	require(copy && pread(fd, copy, bytes, 0) == bytes);
	for (off_t at = bytes - 1; at >= 0; at--) {
		struct result *result;

		require(!ftruncate(fd, at));
		lseek(fd, 0, SEEK_SET);
		result = read_all(fd);
		if (result->end >= 0)
			tap_check(false, true, "cut after %ld bytes: accepted", (long)at);
	}
	/* A cut between two records names the place, too. */
	whole = memfd_create("cut", MFD_CLOEXEC);
	require_equal(write(whole, copy, 32), 32);
	lseek(whole, 0, SEEK_SET);
	expect(strstr(read_all(whole)->error, "record 0 (unknown) at byte 32: the stream ends here"));
	close(whole);
	close(fd);
	free(copy);
}

/* One record with right checksums, after the header; what the reader says of it. */
static const char *verdict(uint64_t features, uint32_t type, uint16_t version, uint16_t flags,
			   const void *payload, uint32_t bytes)
{
	struct stream_writer writer = { .fd = -1 };
	struct stream_record_header header = {
		.type = type, .version = version, .flags = flags, .stored = bytes, .bytes = bytes,
		.payload_checksum = crc32_z(0, payload, bytes),
	};
	int fd = memfd_create("stream", MFD_CLOEXEC);
	struct result *result;

	require_equal(stream_writer_init(&writer, fd, features, 0), 0);
	header.checksum = crc32_z(0, (void *)&header, sizeof(header) - 4);
	require_equal(write(fd, &header, sizeof(header)), sizeof(header));
	require_equal(write(fd, payload, bytes), bytes);
	lseek(fd, 0, SEEK_SET);
	result = read_all(fd);
	expect_equal(result->end, -1);
	stream_writer_free(&writer);
	close(fd);
	return result->error;
}

#define EXPECT_WORDS(words, ...) do {						\
	const char *got_ = verdict(__VA_ARGS__);				\
	tap_check(strstr(got_, words), false, "%s:%d: \"%s\" does not say \"%s\"", __FILE__, \
		  __LINE__, got_, words);					\
} while (0)

/* A hostile sender makes checksums that match. */
void stream_bad_contents(void)
{
	struct {
		struct stream_pages head;
		struct stream_page page[2];
		uint8_t data[STREAM_PAGE];
	} pages = { .head = { .count = 1 }, .page = { { .gpa = 0, .bytes = STREAM_PAGE } } };
	uint32_t one = sizeof(pages) - sizeof(pages.page[0]);
	struct stream_range range = { .gpa = 0, .pages = 1 };
	struct stream_range twice[2] = { { 0, 2 }, { STREAM_PAGE, 1 } };
	struct stream_end end = { .records = 1 };
	struct stream_device device = { .name = "" };
	char garbage[600] = "this is no zstd frame";

	EXPECT_WORDS("needs features", 1ull << 63, STREAM_CLOCK, 1, 0, garbage, 16);
	EXPECT_WORDS("type 7 is not known", 0, 7, 1, 0, garbage, 16);
	EXPECT_WORDS("it has version 2, this program knows 1", 0, STREAM_CLOCK, 2, 0, garbage, 16);
	EXPECT_WORDS("no such record has 15 bytes", 0, STREAM_CLOCK, 1, 0, garbage, 15);
	EXPECT_WORDS("unknown flags 0x8", 0, STREAM_CLOCK, 1, 8, garbage, 16);
	EXPECT_WORDS("a stream without compression", 0, STREAM_CLOCK, 1, 1, garbage, 16);
	EXPECT_WORDS("cannot be decompressed", STREAM_FEATURE_ZSTD, STREAM_CLOCK, 1, 1, garbage, 16);
	/* The end is missing after a good record. */
	EXPECT_WORDS("without its end", 0, STREAM_PAGES, 1, 0, &pages, one);
	EXPECT_WORDS("its pages need", 0, STREAM_PAGES, 1, 0, &pages, one - 1);
	pages.head.count = 0;
	EXPECT_WORDS("cannot have 0 pages", 0, STREAM_PAGES, 1, 0, &pages, one);
	pages.head.count = 0x10000000;
	EXPECT_WORDS("cannot have", 0, STREAM_PAGES, 1, 0, &pages, one);
	pages.head.count = 1;
	pages.page[0].gpa = 1;
	EXPECT_WORDS("has the address 0x1", 0, STREAM_PAGES, 1, 0, &pages, one);
	pages.page[0] = (struct stream_page){ 0, 0, 100 };
	EXPECT_WORDS("has 100 bytes", 0, STREAM_PAGES, 1, 0, &pages, one);
	pages.page[0] = (struct stream_page){ 0, STREAM_PAGE_DELTA, 100 };
	EXPECT_WORDS("unknown flags", 0, STREAM_PAGES, 1, 0, &pages, one);
	pages.page[0] = (struct stream_page){ 0, STREAM_PAGE_DELTA, STREAM_PAGE + 1 };
	EXPECT_WORDS("has 4097 bytes", STREAM_FEATURE_DELTA, STREAM_PAGES, 1, 0, &pages, one);
	range.pages = ~0ull;
	EXPECT_WORDS("range 0 is not one", 0, STREAM_ZERO, 1, 0, &range, sizeof(range));
	range = (struct stream_range){ ~0xfffull, 2 };
	EXPECT_WORDS("range 0 is not one", 0, STREAM_ZERO, 1, 0, &range, sizeof(range));
	EXPECT_WORDS("range 1 begins before", 0, STREAM_ZERO, 1, 0, twice, sizeof(twice));
	twice[1].gpa = 0;
	EXPECT_WORDS("range 1 begins before", 0, STREAM_ZERO, 1, 0, twice, sizeof(twice));
	twice[1].gpa = 2 * STREAM_PAGE;
	EXPECT_WORDS("without its end", 0, STREAM_ZERO, 1, 0, twice, sizeof(twice));
	EXPECT_WORDS("it counts 1 records", 0, STREAM_END, 1, 0, &end, sizeof(end));
	EXPECT_WORDS("has no name", 0, STREAM_DEVICE, 1, 0, &device, sizeof(device));
	memset(device.name, 'x', sizeof(device.name));
	EXPECT_WORDS("has no name", 0, STREAM_DEVICE, 1, 0, &device, sizeof(device));
	strcpy(device.name, "\033]0;x");
	EXPECT_WORDS("name is not of small", 0, STREAM_DEVICE, 1, 0, &device, sizeof(device));
	strcpy(device.name, "../disk");
	EXPECT_WORDS("name is not of small", 0, STREAM_DEVICE, 1, 0, &device, sizeof(device));
}

void stream_full_disk(void)
{
	struct stream_writer writer = { .fd = -1 };
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		tap_skip("there is no /dev/full");
	expect_equal(stream_writer_init(&writer, fd, 0, 0), -ENOSPC);
	/* The first failure stays. */
	expect_equal(stream_put(&writer, STREAM_CONFIG, 1, NULL, 0, "{}", 2), -ENOSPC);
	expect_equal(stream_end(&writer), -ENOSPC);
	stream_writer_free(&writer);
	close(fd);
}
