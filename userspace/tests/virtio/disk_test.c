// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/virtio_blk.h>

#include "driver.h"

#define DISK_BYTES	(1u << 20)

static void make_disk(unsigned int bytes)
{
	static uint8_t data[DISK_BYTES];
	int fd = open(disk_name, O_RDWR | O_TRUNC | O_CREAT | O_CLOEXEC, 0600);

	require(fd >= 0);
	for (unsigned int i = 0; i < sizeof(data); i++)
		data[i] = i / 512 + i;
	require_equal(write(fd, data, bytes), bytes);
	close(fd);
}

static void start_disk(const char *option)
{
	char spec[64];

	driver_memory();
	snprintf(spec, sizeof(spec), "%s%s", disk_name, option);
	driver_start(block_create(&driver.memory, driver.registers, spec, NULL), 0);
}

/* A request with data at BUFFERS + 0x1000; returns its status. */
static int disk_request(uint32_t type, uint64_t sector, uint32_t bytes, bool write)
{
	struct virtio_blk_outhdr *header = guest(BUFFERS);
	uint8_t *status = guest(BUFFERS + 0x100);
	uint16_t next = ring_used(0)->idx + 1;

	*header = (struct virtio_blk_outhdr){ .type = type, .sector = sector };
	*status = 0xaa;
	put_desc(0, 0, BUFFERS, sizeof(*header), NEXT, bytes ? 1 : 2);
	put_desc(0, 1, BUFFERS + 0x1000, bytes, NEXT | (write ? 0 : WRITE), 2);
	put_desc(0, 2, BUFFERS + 0x100, 1, WRITE, 0);
	offer(0, 0);
	if (!used_within(0, next))
		return -1;
	return *status;
}

static uint8_t disk_byte(unsigned int at)
{
	int fd = open(disk_name, O_RDONLY | O_CLOEXEC);
	uint8_t byte = 0;

	expect_equal(pread(fd, &byte, 1, at), 1);
	close(fd);
	return byte;
}

/* Its counts so far, by enum virtio_counter. */
static void counted(const uint64_t wanted[VIRTIO_COUNTERS])
{
	for (unsigned int i = 0; i < VIRTIO_COUNTERS; i++)
		tap_check(driver.device->counters[i] == wanted[i], false, "counter %u is %llu, not %llu",
			  i, (unsigned long long)driver.device->counters[i],
			  (unsigned long long)wanted[i]);
}

static void disk(void)
{
	static const uint64_t all[VIRTIO_COUNTERS] = {
		[VIRTIO_IN] = 1, [VIRTIO_IN_BYTES] = 1024, [VIRTIO_OUT] = 1,
		[VIRTIO_OUT_BYTES] = 512, [VIRTIO_FLUSHES] = 1, [VIRTIO_DISCARDS] = 2,
	};
	uint8_t *data;
	struct virtio_blk_discard_write_zeroes range = { .sector = 16, .num_sectors = 16 };

	make_disk(DISK_BYTES);
	start_disk("");
	data = guest(BUFFERS + 0x1000);
	expect_equal(get_register(VIRTIO_CONFIG), DISK_BYTES / 512);
	expect_equal(disk_request(VIRTIO_BLK_T_IN, 3, 1024, false), 0);
	expect_equal(data[0], 3);
	expect_equal(data[512 + 9], 4 + 9);
	memset(data, 'x', 512);
	expect_equal(disk_request(VIRTIO_BLK_T_OUT, 2047, 512, true), 0);
	expect_equal(disk_request(VIRTIO_BLK_T_FLUSH, 0, 0, false), 0);
	expect_equal(disk_byte(2047 * 512), 'x');
	expect_equal(disk_request(VIRTIO_BLK_T_GET_ID, 0, 20, false), 0);
	expect(!memcmp(data, "gondola-", 8));
	memcpy(data, &range, sizeof(range));
	expect_equal(disk_request(VIRTIO_BLK_T_WRITE_ZEROES, 0, sizeof(range), true), 0);
	expect_equal(disk_byte(16 * 512 + 100), 0);
	expect(disk_byte(32 * 512 + 100));
	range.sector = 64;
	memcpy(data, &range, sizeof(range));
	expect_equal(disk_request(VIRTIO_BLK_T_DISCARD, 0, sizeof(range), true), 0);
	expect_equal(disk_byte(64 * 512 + 100), 0);
	counted(all);
	driver_end();
}

static void disk_bad_requests(void)
{
	static const uint64_t errors[VIRTIO_COUNTERS] = { [VIRTIO_ERRORS] = 10 };
	struct virtio_blk_discard_write_zeroes range = { .sector = 2047, .num_sectors = 2 };

	make_disk(DISK_BYTES);
	start_disk("");
	expect_equal(disk_request(VIRTIO_BLK_T_IN, 2048, 512, false), VIRTIO_BLK_S_IOERR);
	expect_equal(disk_request(VIRTIO_BLK_T_IN, 2047, 1024, false), VIRTIO_BLK_S_IOERR);
	expect_equal(disk_request(VIRTIO_BLK_T_IN, ~0ull, 512, false), VIRTIO_BLK_S_IOERR);
	expect_equal(disk_request(VIRTIO_BLK_T_IN, 1ull << 55, 512, false), VIRTIO_BLK_S_IOERR);
	expect_equal(disk_request(VIRTIO_BLK_T_OUT, 2047, 1024, true), VIRTIO_BLK_S_IOERR);
	expect_equal(disk_request(VIRTIO_BLK_T_IN, 0, 100, false), VIRTIO_BLK_S_IOERR);
	expect_equal(disk_request(77, 0, 512, false), VIRTIO_BLK_S_UNSUPP);
	memcpy(guest(BUFFERS + 0x1000), &range, sizeof(range));
	expect_equal(disk_request(VIRTIO_BLK_T_DISCARD, 0, sizeof(range), true),
		     VIRTIO_BLK_S_IOERR);
	expect_equal(disk_request(VIRTIO_BLK_T_DISCARD, 0, 17, true), VIRTIO_BLK_S_UNSUPP);
	range = (struct virtio_blk_discard_write_zeroes){ .num_sectors = 1, .flags = 2 };
	memcpy(guest(BUFFERS + 0x1000), &range, sizeof(range));
	expect_equal(disk_request(VIRTIO_BLK_T_WRITE_ZEROES, 0, sizeof(range), true),
		     VIRTIO_BLK_S_UNSUPP);
	counted(errors);
	/* No header. */
	put_desc(0, 0, BUFFERS, 15, NEXT, 1);
	put_desc(0, 1, BUFFERS, 1, WRITE, 0);
	offer(0, 0);
	expect(broken_within());
	driver_end();
	start_disk("");
	/* No room for the status. */
	put_desc(0, 0, BUFFERS, 16, 0, 0);
	offer(0, 0);
	expect(broken_within());
	driver_end();
}

static void disk_cut(void)
{
	make_disk(DISK_BYTES);
	start_disk("");
	expect_equal(disk_request(VIRTIO_BLK_T_IN, 2000, 512, false), 0);
	require_equal(truncate(disk_name, DISK_BYTES / 2), 0);
	expect_equal(disk_request(VIRTIO_BLK_T_IN, 2000, 512, false), VIRTIO_BLK_S_IOERR);
	expect_equal(disk_request(VIRTIO_BLK_T_OUT, 2000, 512, true), VIRTIO_BLK_S_IOERR);
	expect_equal(disk_request(VIRTIO_BLK_T_IN, 20, 512, false), 0);
	driver_end();
}

/* ---- a host that fails: the linker puts these in place of the C library's ------------------ */

ssize_t __real_preadv(int fd, const struct iovec *iov, int count, off_t offset);
ssize_t __wrap_preadv(int fd, const struct iovec *iov, int count, off_t offset);
ssize_t __real_pwritev(int fd, const struct iovec *iov, int count, off_t offset);
ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int count, off_t offset);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_posix_fadvise(int fd, off_t offset, off_t bytes, int advice);
int __real_fcntl(int fd, int what, ...);
int __wrap_fcntl(int fd, int what, ...);

/*
 * struct fault - what happens to the calls to come
 * @interrupted: so many fail with EINTR first
 * @shortened: then so many transfer no more than 100 bytes
 * @error: then all fail with this, if it is not 0
 * @slow: each takes a millisecond
 * @stale: reads find what was there before another host wrote, until the cache is dropped
 * @lockless: a lock fails with this, if it is not 0
 */
static struct fault {
	unsigned int interrupted;
	unsigned int shortened;
	int error;
	bool slow;
	bool stale;
	int lockless;
} fault;

/* Bytes that were asked for so far. */
static uint64_t moved;

/* 0: go on; else how many bytes at most, or -1 with errno. */
static int strike(void)
{
	if (fault.interrupted) {
		fault.interrupted--;
		errno = EINTR;
		return -1;
	}
	if (fault.shortened) {
		fault.shortened--;
		return 100;
	}
	errno = fault.error;
	return fault.error ? -1 : 0;
}

static void count_moved(const struct iovec *iov, int count)
{
	for (int i = 0; i < count; i++)
		__atomic_fetch_add(&moved, iov[i].iov_len, __ATOMIC_SEQ_CST);
	if (fault.slow)
		usleep(1000);
}

ssize_t __wrap_preadv(int fd, const struct iovec *iov, int count, off_t offset)
{
	int most = strike();

	count_moved(iov, count);
	if (most < 0)
		return -1;
	if (fault.stale) {
		memset(iov->iov_base, 0xee, iov->iov_len);
		return iov->iov_len;
	}
	return most ? pread(fd, iov->iov_base, most < (int)iov->iov_len ? most : (int)iov->iov_len,
			    offset) : __real_preadv(fd, iov, count, offset);
}

ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
	int most = strike();

	if (most < 0)
		return -1;
	return most ? pwrite(fd, iov->iov_base, most < (int)iov->iov_len ? most : (int)iov->iov_len,
			     offset) : __real_pwritev(fd, iov, count, offset);
}

int __wrap_fdatasync(int fd)
{
	return strike() < 0 ? -1 : __real_fdatasync(fd);
}

int __wrap_fcntl(int fd, int what, ...)
{
	va_list more;
	void *argument;

	va_start(more, what);
	argument = va_arg(more, void *);
	va_end(more);
	if (what == F_OFD_SETLK && fault.lockless) {
		errno = fault.lockless;
		return -1;
	}
	return __real_fcntl(fd, what, argument);
}

int __wrap_posix_fadvise(int fd, off_t offset, off_t bytes, int advice)
{
	(void)fd;
	if (!offset && !bytes && advice == POSIX_FADV_DONTNEED)
		fault.stale = false;
	return 0;
}

/* A disk that comes from another host was written there until a moment ago. */
static void disk_is_read_anew(void)
{
	struct error error;
	uint8_t *data;

	make_disk(DISK_BYTES);
	devices_set_incoming();
	start_disk("");
	virtio_register(driver.device, 0);
	devices_freeze();
	fault = (struct fault){ .stale = true };
	require(devices_thaw(&error));
	data = guest(BUFFERS + 0x1000);
	expect_equal(disk_request(VIRTIO_BLK_T_IN, 3, 512, false), 0);
	expect_equal(data[0], 3);
	fault = (struct fault){ .stale = false };
	devices_forget();
	driver_end();
}

/* A target of post-copy that ends early: zeroes in place of pages that never came. */
static void disk_without_memory(void)
{
	make_disk(DISK_BYTES);
	start_disk("");
	memset(guest(BUFFERS + 0x1000), 'z', 512);
	driver.memory.absent = true;
	expect_equal(disk_request(VIRTIO_BLK_T_OUT, 7, 512, true), 0);
	expect_equal(disk_byte(7 * 512), 'z');
	memset(guest(BUFFERS + 0x1000), 0, 512);
	__atomic_store_n(&driver.memory.lost, true, __ATOMIC_RELEASE);
	expect_equal(disk_request(VIRTIO_BLK_T_OUT, 7, 512, true), VIRTIO_BLK_S_IOERR);
	expect_equal(disk_byte(7 * 512), 'z');
	driver.memory.absent = false;
	driver.memory.lost = false;
	driver_end();
}

/* Interrupted and in pieces is no error; one in the middle is the guest's. */
static void disk_fails(void)
{
	struct error error;
	uint8_t *data;

	make_disk(DISK_BYTES);
	start_disk("");
	data = guest(BUFFERS + 0x1000);
	fault = (struct fault){ .interrupted = 3, .shortened = 7 };
	expect_equal(disk_request(VIRTIO_BLK_T_IN, 3, 1024, false), 0);
	expect_equal(data[0], 3);
	expect_equal(data[1023], (uint8_t)(4 + 511));
	fault = (struct fault){ .interrupted = 3, .shortened = 7 };
	memset(data, 'y', 1024);
	expect_equal(disk_request(VIRTIO_BLK_T_OUT, 100, 1024, true), 0);
	expect_equal(disk_byte(100 * 512 + 1023), 'y');
	fault = (struct fault){ .shortened = 2, .error = EIO };
	expect_equal(disk_request(VIRTIO_BLK_T_IN, 3, 1024, false), VIRTIO_BLK_S_IOERR);
	fault = (struct fault){ .shortened = 2, .error = ENOSPC };
	expect_equal(disk_request(VIRTIO_BLK_T_OUT, 3, 1024, true), VIRTIO_BLK_S_IOERR);
	/* It goes on working. */
	fault = (struct fault){ .error = 0 };
	expect_equal(disk_request(VIRTIO_BLK_T_IN, 100, 1024, false), 0);
	expect_equal(data[1023], 'y');
	expect_equal(disk_request(VIRTIO_BLK_T_FLUSH, 0, 0, false), 0);
	/* The kernel tells of lost data once; the guest hears of it each time. */
	fault = (struct fault){ .error = EIO };
	expect_equal(disk_request(VIRTIO_BLK_T_FLUSH, 0, 0, false), VIRTIO_BLK_S_IOERR);
	fault = (struct fault){ .error = 0 };
	expect_equal(disk_request(VIRTIO_BLK_T_FLUSH, 0, 0, false), VIRTIO_BLK_S_IOERR);
	expect(!(get_register(VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET));
	driver_end();
	/* Told to the launcher itself while it prepares to move, it is not kept from the guest. */
	start_disk("");
	fault = (struct fault){ .error = EIO };
	expect(!driver.device->ops->prepare(driver.device, &error));
	expect(strstr(error.words, "may be lost"));
	fault = (struct fault){ .error = 0 };
	expect_equal(disk_request(VIRTIO_BLK_T_FLUSH, 0, 0, false), VIRTIO_BLK_S_IOERR);
	driver_end();
}

/* The field of a record that says it. */
static bool says_lost(void *argument, const struct device_record *record)
{
	char name[STATE_NAME_MAX + 1];
	unsigned int kind;
	const void *value;
	size_t bytes;

	for (size_t at = 0; at < record->bytes;) {
		at = state_next(record, at, name, &kind, &value, &bytes);
		require(at);
		if (!strcmp(name, "disk.lost"))
			*(bool *)argument = *(const uint8_t *)value;
	}
	return true;
}

/* A machine that is saved must not say that it is, and what is saved must know. */
static void disk_fails_when_saved(void)
{
	struct error error;
	bool lost = true;

	make_disk(DISK_BYTES);
	start_disk("");
	virtio_register(driver.device, 0);
	devices_freeze();
	expect(devices_flush(&error));
	require(devices_save(says_lost, &lost, NULL));
	expect(!lost);
	fault = (struct fault){ .error = EIO };
	expect(!devices_flush(&error));
	expect(strstr(error.words, "may be lost"));
	fault = (struct fault){ .error = 0 };
	require(devices_save(says_lost, &lost, NULL));
	expect(lost);
	require(devices_thaw(&error));
	expect_equal(disk_request(VIRTIO_BLK_T_FLUSH, 0, 0, false), VIRTIO_BLK_S_IOERR);
	devices_forget();
	driver_end();
}

/* "" if the disk was taken. */
static const char *refusal_of(const char *start, size_t bytes, const char *option)
{
	static struct error error;
	struct virtio_device *device;
	char spec[64];
	int fd;

	make_disk(DISK_BYTES);
	fd = open(disk_name, O_WRONLY | O_CLOEXEC);
	require(fd >= 0);
	require_equal(pwrite(fd, start, bytes, 0), (ssize_t)bytes);
	close(fd);
	snprintf(spec, sizeof(spec), "%s%s", disk_name, option);
	driver_memory();
	error.words[0] = 0;
	device = block_create(&driver.memory, driver.registers, spec, &error);
	expect_equal(!device, !!error.words[0]);
	if (device)
		virtio_destroy(device);
	driver_forget();
	return error.words;
}

static void disk_images(void)
{
	static const struct {
		const char *start;
		size_t bytes;
		const char *words;
	} images[] = {
		{ "QFI\xfb\0\0\0\3", 8, "it is a qcow2 image" },
		{ "KDMV\1\0\0\0", 8, "it is a vmdk image" },
		{ "vhdxfile", 8, "it is a vhdx image" },
		{ "conectix", 8, "it is a vpc image" },
		{ "<<< Oracle VM VirtualBox Disk Image >>>\n\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x7f\x10\xda\xbe",
		  68, "it is a vdi image" },
		{ "\xeb\x63\x90\0", 4, "" },
		{ "QFI", 3, "" },
	};
	const char *words;

	for (unsigned int i = 0; i < sizeof(images) / sizeof(images[0]); i++) {
		words = refusal_of(images[i].start, images[i].bytes, "");
		tap_check(*images[i].words ? !!strstr(words, images[i].words) : !*words, false,
			  "image %u: \"%s\"", i, words);
	}
}

/* A guest may write any bytes to the start of its disk: with format=raw they mean nothing. */
static void disk_insists(void)
{
	static const char *const options[] = { ",format=raw", ",ro,format=raw", ",format=raw,ro" };
	static const char start[] = "QFI\xfb\0\0\0\3";
	const char *words;

	for (unsigned int i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		words = refusal_of(start, 8, options[i]);
		tap_check(!*words, false, "\"%s\": \"%s\"", options[i], words);
	}
	words = refusal_of(start, 8, "");
	expect(strstr(words, "FILE,format=qcow2") && strstr(words, ",format=raw"));
	expect(strstr(refusal_of("\xeb\x63", 2, ",format=bochs"), "\"bochs\" is none of raw"));
	/* Another host's VM had it as a raw disk. */
	devices_set_incoming();
	expect(!*refusal_of(start, 8, ""));
	devices_forget();
	make_disk(DISK_BYTES);
	start_disk(",format=raw,ro");
	expect(driver.device->features & BIT64(VIRTIO_BLK_F_RO));
	driver_end();
}

#define LARGE_CHAINS	8u
#define LARGE_BYTES	(2u << 20)	/* of each of the segments of a chain */
#define LARGE_SEGMENTS	13u
#define PIECES(n)	((n) * (uint64_t)VIRTIO_PIECE)

static uint64_t moved_now(void)
{
	return __atomic_load_n(&moved, __ATOMIC_SEQ_CST);
}

/* Requests of 26 MiB each, eight at once, that take their time. */
static void start_large(void)
{
	struct virtio_blk_outhdr *header;

	make_disk(DISK_BYTES);
	require_equal(truncate(disk_name, 64 << 20), 0);
	start_disk("");
	header = guest(BUFFERS);
	*header = (struct virtio_blk_outhdr){ .type = VIRTIO_BLK_T_IN };
	put_desc(0, 0, BUFFERS, sizeof(*header), NEXT, 1);
	for (unsigned int i = 1; i <= LARGE_SEGMENTS; i++)
		put_desc(0, i, BUFFERS + 0x1000, LARGE_BYTES, NEXT | WRITE, i + 1);
	put_desc(0, LARGE_SEGMENTS + 1, BUFFERS + 0x100, 1, WRITE, 0);
	moved = 0;
	fault = (struct fault){ .slow = true };
	for (unsigned int i = 0; i < LARGE_CHAINS; i++)
		offer(0, 0);
	while (!moved_now())
		usleep(100);
}

/* Counted in bytes, since time says little on a busy computer. */
static void disk_lets_others_in(void)
{
	start_large();
	for (unsigned int i = 0; i < 5; i++) {
		uint64_t before = moved_now(), after;

		set_register(VIRTIO_MMIO_QUEUE_SEL, 0);
		after = moved_now();
		tap_check(after - before <= PIECES(4), true, "%llu bytes were moved meanwhile",
			  (unsigned long long)(after - before));
	}
	expect(used_within(0, LARGE_CHAINS));
	expect_equal(moved_now(), (uint64_t)LARGE_CHAINS * LARGE_SEGMENTS * LARGE_BYTES);
	fault = (struct fault){ .slow = false };
	driver_end();
}

/* After a reset the guest's memory is its own again. */
static void disk_reset_under_way(void)
{
	uint64_t after;
	uint16_t used;

	start_large();
	set_register(VIRTIO_MMIO_STATUS, 0);
	after = moved_now();
	used = ring_used(0)->idx;
	usleep(50000);
	expect_equal(moved_now(), after);
	expect_equal(ring_used(0)->idx, used);
	expect(used < LARGE_CHAINS);
	fault = (struct fault){ .slow = false };
	driver_end();
}

/* A file system may have no locks, and a user who knows that nobody else comes can do without. */
static void disk_without_locks(void)
{
	static const int errors[] = { ENOLCK, EOPNOTSUPP };

	for (unsigned int i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		fault = (struct fault){ .lockless = errors[i] };
		expect(strstr(refusal_of("", 0, ""), "FILE,lock=off"));
		expect(strstr(refusal_of("", 0, ",ro"), "no locks"));
		expect_equal(refusal_of("", 0, ",lock=off")[0], 0);
		expect_equal(refusal_of("", 0, ",ro,lock=off")[0], 0);
	}
	fault = (struct fault){ .lockless = EIO };
	expect(strstr(refusal_of("", 0, ""), "cannot lock it: Input/output error"));
	fault = (struct fault){ .lockless = EAGAIN };
	expect(strstr(refusal_of("", 0, ""), "in use by another"));
	fault = (struct fault){ .lockless = 0 };
}

static void disk_readonly(void)
{
	make_disk(DISK_BYTES);
	start_disk(",ro");
	expect(driver.device->features & BIT64(VIRTIO_BLK_F_RO));
	expect_equal(disk_request(VIRTIO_BLK_T_IN, 0, 512, false), 0);
	expect_equal(disk_request(VIRTIO_BLK_T_OUT, 0, 512, true), VIRTIO_BLK_S_IOERR);
	expect_equal(disk_request(VIRTIO_BLK_T_FLUSH, 0, 0, false), 0);
	driver_end();
}

static struct virtio_device *create_disk(void)
{
	return block_create(&driver.memory, driver.registers, disk_name, NULL);
}

static void nonsense_disk(void)
{
	make_disk(DISK_BYTES);
	nonsense_to(create_disk);
	expect_equal(disk_request(VIRTIO_BLK_T_IN, 0, 512, false), 0);
	driver_end();
}

const struct test_table disk_tests = TEST_TABLE(
	{ "a disk reads, writes, flushes, discards", disk },
	{ "bad requests get errors or break the disk", disk_bad_requests },
	{ "a disk that became shorter gives I/O errors", disk_cut },
	{ "a disk whose host fails gives I/O errors and goes on", disk_fails },
	{ "a disk whose host fails is not said to be saved", disk_fails_when_saved },
	{ "a disk that comes from another host is read anew", disk_is_read_anew },
	{ "what never came is not written to a disk", disk_without_memory },
	{ "images of other formats are no raw disks", disk_images },
	{ "format=raw insists, whatever a disk begins with", disk_insists },
	{ "a disk with large requests lets others in", disk_lets_others_in },
	{ "a reset ends a large request", disk_reset_under_way },
	{ "a disk without locks is refused in words, or taken without", disk_without_locks },
	{ "a read-only disk is not written", disk_readonly },
	{ "100,000 nonsense writes to a disk", nonsense_disk }
);
