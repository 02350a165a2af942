// SPDX-License-Identifier: GPL-2.0-only
/* A disk behind vhost-user: with a back-end of our own that is good or wrong, and with QEMU's. */
#include <fcntl.h>
#include <endian.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/virtio_blk.h>

#include "base/wait.h"
#include "device/virtio/vhost_user.h"
#include "device/virtio/shadow.h"
#include "backend.h"
#include "driver.h"

#define SHORT_MS	300	/* the launcher's patience with a back-end that answers nothing */
#define DATA		(BUFFERS + 0x1000)
#define STATUS		(BUFFERS + 0x100)

static char where[DISK_NAME_ROOM + 8], spec[DISK_NAME_ROOM + 16];

static const char *spec_here(void)
{
	snprintf(where, sizeof(where), "%s.sock", disk_name);
	snprintf(spec, sizeof(spec), "blk=%s", where);
	return spec;
}

/* A request in descriptors 3 * @n and after, with its own header, data and status. */
static uint8_t *put_request(unsigned int n, uint32_t type, uint64_t sector, uint32_t bytes)
{
	struct virtio_blk_outhdr *header = guest(BUFFERS + 16 * n);
	uint8_t *status = guest(STATUS + n);
	bool write = type == VIRTIO_BLK_T_OUT;

	*header = (struct virtio_blk_outhdr){ .type = type, .sector = sector };
	*status = 0xaa;
	put_desc(0, 3 * n, BUFFERS + 16 * n, sizeof(*header), NEXT, bytes ? 3 * n + 1 : 3 * n + 2);
	put_desc(0, 3 * n + 1, DATA + 0x1000 * n, bytes, NEXT | (write ? 0 : WRITE), 3 * n + 2);
	put_desc(0, 3 * n + 2, STATUS + n, 1, WRITE, 0);
	return status;
}

/* Its status, or -1 if it does not come back. */
static int request(uint32_t type, uint64_t sector, uint32_t bytes)
{
	uint16_t next = ring_used(0)->idx + 1;
	const uint8_t *status = put_request(0, type, sector, bytes);

	offer(0, 0);
	return used_within(0, next) ? *status : -1;
}

static void begin(enum backend_manner manner)
{
	struct error error = { .words = "" };
	struct virtio_device *device;

	backend_start(spec_here() + 4, manner);
	driver_shared_memory();
	vhost_user_patience_ms = 5000;
	vhost_blk_window_ms = SHORT_MS;
	device = vhost_blk_create(&driver.memory, driver.registers, spec, &error);
	tap_check(device, true, "%s", error.words);
	driver_start(device, 0);
}

static void start_anew(uint64_t without)
{
	virtio_stop(driver.device);
	driver.device->stop = false;
	memset(guest(RINGS), 0, RINGS_STRIDE);
	driver_start(driver.device, without);
}

static void end(void)
{
	driver_end();
	backend_end();
}

static void serves(void)
{
	struct virtio_blk_config config;
	uint8_t *data;

	begin(BACKEND_GOOD);
	data = guest(DATA);
	memcpy(&config, driver.registers + VIRTIO_CONFIG, sizeof(config));
	expect_equal(config.capacity, BACKEND_BYTES / 512);
	/* No more than the launcher takes from the driver, and one queue. */
	expect_equal(config.seg_max, SHADOW_MOST - 2);
	expect_equal(config.num_queues, 1);
	expect(!(driver.device->features & BIT64(VIRTIO_BLK_F_MQ)));
	/* What is written is safe when it comes back. */
	expect(!(driver.device->features & BIT64(VIRTIO_BLK_F_FLUSH)));
	expect(!(driver.device->features & BIT64(30)));
	expect_equal(request(VIRTIO_BLK_T_IN, 3, 1024), 0);
	expect_equal(data[0], 3);
	expect_equal(data[512 + 9], 4 + 9);
	expect_equal(ring_used(0)->ring[0].len, 1025);
	expect(get_register(VIRTIO_MMIO_INTERRUPT_STATUS) & 1);
	memset(data, 'x', 512);
	expect_equal(request(VIRTIO_BLK_T_OUT, 2047, 512), 0);
	expect_equal(backend_byte(2047 * 512), 'x');
	expect_equal(request(VIRTIO_BLK_T_FLUSH, 0, 0), 0);
	expect_equal(driver.device->counters[VIRTIO_IN_BYTES], 1024);
	expect_equal(driver.device->counters[VIRTIO_OUT_BYTES], 512);
	expect_equal(driver.device->counters[VIRTIO_FLUSHES], 1);
	expect_equal(driver.device->counters[VIRTIO_ERRORS], 0);
	/* More than the ring has room for, one after the other. */
	for (unsigned int i = 0; i < 300; i++)
		require_equal(request(VIRTIO_BLK_T_IN, i, 512), 0);
	end();
}

static void readonly(void)
{
	begin(BACKEND_READONLY);
	expect(driver.device->features & BIT64(VIRTIO_BLK_F_RO));
	end();
}

/* Answers in another order than the requests belong to their own. */
static void reversed(void)
{
	begin(BACKEND_REVERSES);
	for (unsigned int n = 0; n < 4; n++) {
		put_request(n, VIRTIO_BLK_T_IN, 10 * n, 512);
		offer(0, 3 * n);
	}
	require(used_within(0, 4));
	for (unsigned int n = 0; n < 4; n++) {
		const uint8_t *data = guest(DATA + 0x1000 * n);

		expect_equal(ring_used(0)->ring[n].id, 3 * (3 - n));
		expect_equal(*(uint8_t *)guest(STATUS + n), 0);
		expect_equal(data[0], 10 * n);
	}
	end();
}

static void run_again(void)
{
	begin(BACKEND_GOOD);
	expect_equal(request(VIRTIO_BLK_T_IN, 3, 512), 0);
	start_anew(EVENT_IDX);
	expect_equal(request(VIRTIO_BLK_T_IN, 7, 512), 0);
	expect_equal(*(uint8_t *)guest(DATA), 7);
	expect_equal(backend_starts(), 2);
	/* The queue alone is switched off and on. */
	set_register(VIRTIO_MMIO_QUEUE_READY, 0);
	memset(guest(RINGS), 0, RINGS_STRIDE);
	set_register(VIRTIO_MMIO_QUEUE_READY, 1);
	expect_equal(request(VIRTIO_BLK_T_IN, 8, 512), 0);
	expect_equal(backend_starts(), 3);
	end();
}

/* A driver that breaks the rules is not the back-end's business. */
static void bad_requests(void)
{
	begin(BACKEND_GOOD);
	put_desc(0, 0, BUFFERS, 15, NEXT, 1);
	put_desc(0, 1, BUFFERS, 1, WRITE, 0);
	offer(0, 0);
	expect(broken_within());
	expect_equal(backend_taken(), 0);
	expect_equal(ring_used(0)->idx, 0);
	end();
}

/* ---- back-ends that are wrong from the start ------------------------------------------ */

/* "" if a device could be made. */
static const char *refusal(enum backend_manner manner)
{
	static struct error error;
	struct virtio_device *device;

	backend_start(spec_here() + 4, manner);
	driver_shared_memory();
	error.words[0] = 0;
	device = vhost_blk_create(&driver.memory, driver.registers, spec, &error);
	expect_equal(!device, !!error.words[0]);
	if (device)
		virtio_destroy(device);
	backend_end();
	driver_forget();
	return error.words;
}

static void bad_from_the_start(void)
{
	static const struct {
		enum backend_manner manner;
		const char *words;
	} rows[] = {
		{ BACKEND_SILENT, "it does not answer GET_FEATURES in time" },
		{ BACKEND_HANGS_UP, "GET_FEATURES" },
		{ BACKEND_HALF, "it answers GET_FEATURES with nonsense" },
		{ BACKEND_OTHER, "it answers GET_FEATURES with nonsense" },
		{ BACKEND_LEGACY, "only drivers from before virtio 1.0" },
		{ BACKEND_NO_CONFIG, "it lacks CONFIG" },
		{ BACKEND_SHORT_CONFIG, "it answers GET_CONFIG with nonsense" },
		{ BACKEND_LONG, "it answers GET_CONFIG with nonsense" },
	};

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *words;

		vhost_user_patience_ms = rows[i].manner == BACKEND_SILENT ? SHORT_MS : 5000;
		words = refusal(rows[i].manner);
		tap_check(strstr(words, rows[i].words), false, "manner %d: \"%s\"",
			  rows[i].manner, words);
		expect(strstr(words, "--vhost-user blk=/"));
	}
}

static void absent(void)
{
	struct error error = { .words = "" };

	driver_shared_memory();
	expect(!vhost_blk_create(&driver.memory, driver.registers, spec_here(), &error));
	expect(strstr(error.words, "cannot connect to it: No such file"));
	expect(!vhost_blk_create(&driver.memory, driver.registers, "blk=", &error));
	expect(strstr(error.words, "not of the form blk=SOCKET"));
	expect(!vhost_blk_create(&driver.memory, driver.registers, "disk=/x", &error));
	expect_equal(error.status, EXIT_CODE_USAGE);
	driver_forget();
}

/* Where the host lacks descriptors, nothing that the user said was wrong. */
static void no_descriptors(void)
{
	struct error error = { .words = "" };
	struct rlimit old, none;
	bool created;

	driver_shared_memory();
	require_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = old.rlim_max };
	require_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	created = vhost_blk_create(&driver.memory, driver.registers, spec_here(), &error);
	require_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	expect(!created);
	expect(strstr(error.words, "Too many open files"));
	expect_equal(error.status, EXIT_CODE_ERROR);
	driver_forget();
}

/* ---- back-ends that go wrong later ----------------------------------------------------- */

/* Requests that it has, and later ones, are answered with an error. The device is not broken. */
static void lost_with(enum backend_manner manner)
{
	begin(manner);
	if (manner == BACKEND_FORGETS)
		vhost_user_patience_ms = SHORT_MS;
	tap_check(request(VIRTIO_BLK_T_IN, 3, 512) == VIRTIO_BLK_S_IOERR ||
		  manner == BACKEND_DOUBLES, false, "manner %d: no I/O error", manner);
	if (manner == BACKEND_DOUBLES)
		while (request(VIRTIO_BLK_T_IN, 3, 512) == VIRTIO_BLK_S_OK)
			usleep(1000);
	expect_equal(request(VIRTIO_BLK_T_OUT, 4, 512), VIRTIO_BLK_S_IOERR);
	expect_equal(request(VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_IOERR);
	expect(!(get_register(VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET));
	/* A driver that starts anew finds a disk that fails. */
	start_anew(0);
	expect_equal(request(VIRTIO_BLK_T_IN, 3, 512), VIRTIO_BLK_S_IOERR);
	end();
}

static void lost(void)
{
	static const enum backend_manner manners[] = {
		BACKEND_REFUSES, BACKEND_FORGETS, BACKEND_DIES, BACKEND_INVENTS, BACKEND_DOUBLES,
		BACKEND_COUNTS, BACKEND_CHATTERS,
	};

	for (unsigned int i = 0; i < sizeof(manners) / sizeof(manners[0]); i++)
		lost_with(manners[i]);
}

/* A back-end has four requests, and answers none. */
static void begin_with_many(void)
{
	begin(BACKEND_KEEPS);
	for (unsigned int n = 0; n < 4; n++) {
		put_request(n, VIRTIO_BLK_T_IN, n, 512);
		offer(0, 3 * n);
	}
	require(backend_wait(4));
	expect_equal(ring_used(0)->idx, 0);
}

/* All that it had comes back, each once. */
static void killed_with_many(void)
{
	begin_with_many();
	backend_end();
	require(used_within(0, 4));
	for (unsigned int n = 0; n < 4; n++)
		expect_equal(*(uint8_t *)guest(STATUS + n), VIRTIO_BLK_S_IOERR);
	usleep(20000);
	expect_equal(ring_used(0)->idx, 4);
	expect_equal(driver.device->counters[VIRTIO_ERRORS], 4);
	driver_end();
}

/* ---- another back-end comes ------------------------------------------------------------ */

/* It gets what the first one had, and whatever comes meanwhile. */
static void another(void)
{
	begin_with_many();
	vhost_blk_window_ms = PATIENCE_MS;
	backend_end();
	put_request(4, VIRTIO_BLK_T_IN, 4, 512);
	offer(0, 12);
	usleep(20000);
	expect_equal(ring_used(0)->idx, 0);
	backend_start(where, BACKEND_GOOD);
	require(used_within(0, 5));
	for (unsigned int n = 0; n < 5; n++) {
		expect_equal(*(uint8_t *)guest(STATUS + n), 0);
		expect_equal(*(uint8_t *)guest(DATA + 0x1000 * n), n);
	}
	expect_equal(request(VIRTIO_BLK_T_IN, 9, 512), 0);
	usleep(20000);
	expect_equal(ring_used(0)->idx, 6);
	expect_equal(backend_taken(), 6);
	expect_equal(driver.device->counters[VIRTIO_ERRORS], 0);
	end();
}

/* What the first one may have forgotten is written again: the driver has not heard of it yet. */
static void another_gets_what_was_written(void)
{
	begin(BACKEND_KEEPS_FLUSH);
	vhost_blk_window_ms = PATIENCE_MS;
	memset(guest(DATA), 'x', 512);
	put_request(0, VIRTIO_BLK_T_OUT, 8, 512);
	offer(0, 0);
	require(backend_wait(2));
	expect_equal(backend_byte(8 * 512), 'x');
	usleep(20000);
	expect_equal(ring_used(0)->idx, 0);
	backend_end();
	backend_start(where, BACKEND_GOOD);
	require(used_within(0, 1));
	expect_equal(*(uint8_t *)guest(STATUS), 0);
	expect_equal(backend_byte(8 * 512), 'x');
	/* Each write and its flush. */
	expect_equal(request(VIRTIO_BLK_T_OUT, 9, 512), 0);
	expect_equal(backend_taken(), 4);
	expect_equal(driver.device->counters[VIRTIO_OUT_BYTES], 1024);
	expect_equal(driver.device->counters[VIRTIO_FLUSHES], 0);
	end();
}

/* I/O errors until it comes. */
static void another_comes_late(void)
{
	int status;

	begin_with_many();
	backend_end();
	require(used_within(0, 4));
	expect_equal(*(uint8_t *)guest(STATUS), VIRTIO_BLK_S_IOERR);
	expect_equal(request(VIRTIO_BLK_T_IN, 3, 512), VIRTIO_BLK_S_IOERR);
	backend_start(where, BACKEND_GOOD);
	for (int i = 0; i < PATIENCE_MS; i++) {
		status = request(VIRTIO_BLK_T_IN, 3, 512);
		if (status != VIRTIO_BLK_S_IOERR)
			break;
		usleep(1000);
	}
	expect_equal(status, 0);
	expect_equal(*(uint8_t *)guest(DATA), 3);
	end();
}

/* A driver that starts anew meanwhile takes its requests away. */
static void reset_meanwhile(void)
{
	begin_with_many();
	vhost_blk_window_ms = PATIENCE_MS;
	backend_end();
	start_anew(0);
	put_request(4, VIRTIO_BLK_T_IN, 6, 512);
	offer(0, 12);
	backend_start(where, BACKEND_GOOD);
	require(used_within(0, 1));
	usleep(20000);
	expect_equal(ring_used(0)->idx, 1);
	expect_equal(backend_taken(), 1);
	expect_equal(*(uint8_t *)guest(STATUS), 0xaa);
	expect_equal(*(uint8_t *)guest(STATUS + 4), 0);
	end();
}

static void another_disk(void)
{
	static const enum backend_manner manners[] = { BACKEND_READONLY, BACKEND_SMALLER };

	for (unsigned int i = 0; i < sizeof(manners) / sizeof(manners[0]); i++) {
		begin_with_many();
		vhost_blk_window_ms = 2 * PATIENCE_MS;
		backend_end();
		backend_start(where, manners[i]);
		require(used_within(0, 4));
		expect_equal(*(uint8_t *)guest(STATUS), VIRTIO_BLK_S_IOERR);
		expect_equal(backend_taken(), 0);
		expect_equal(request(VIRTIO_BLK_T_IN, 3, 512), VIRTIO_BLK_S_IOERR);
		end();
	}
}

/* A request that kills each of them does not do so for ever. */
static void all_die(void)
{
	unsigned int deaths = 0;

	begin(BACKEND_DIES);
	vhost_blk_window_ms = 2 * PATIENCE_MS;
	put_request(0, VIRTIO_BLK_T_IN, 3, 512);
	offer(0, 0);
	while (deaths < 20 && !ring_used(0)->idx) {
		for (int i = 0; i < PATIENCE_MS && !backend_starts() && !ring_used(0)->idx; i++)
			usleep(1000);
		/* It dies by itself; or it was the last one. */
		usleep(20000);
		deaths++;
		backend_end();
		backend_start(where, BACKEND_DIES);
	}
	tap_check(deaths > 2 && deaths < 10, false, "%u deaths", deaths);
	expect_equal(*(uint8_t *)guest(STATUS), VIRTIO_BLK_S_IOERR);
	end();
}

/* A reset does not wait for ever; what the driver took away is not written to by us. */
static void reset_while_kept(void)
{
	int64_t began;

	begin(BACKEND_KEEPS);
	put_request(0, VIRTIO_BLK_T_IN, 0, 512);
	offer(0, 0);
	require(backend_wait(1));
	vhost_user_patience_ms = SHORT_MS;
	began = wait_now_ms();
	set_register(VIRTIO_MMIO_STATUS, 0);
	expect(wait_now_ms() - began >= SHORT_MS);
	expect(wait_now_ms() - began < PATIENCE_MS);
	expect_equal(*(uint8_t *)guest(STATUS), 0xaa);
	expect_equal(ring_used(0)->idx, 0);
	end();
}

/* ---- saved and moved -------------------------------------------------------------------- */

static struct virtio_device *create(void)
{
	return vhost_blk_create(&driver.memory, driver.registers, spec, NULL);
}

static uint8_t record_data[4096];
static struct device_record record;
static struct error error;

static bool keep(void *argument, const struct device_record *saved)
{
	(void)argument;
	require(saved->bytes <= sizeof(record_data));
	memcpy(record_data, saved->data, saved->bytes);
	record = *saved;
	record.data = record_data;
	record.name = "virtio-vhost-blk";
	return !strcmp(saved->name, record.name);
}

/* To the moment at which another process may have the disk; this back-end is gone then. */
static void give_away(void)
{
	virtio_register(driver.device, 0);
	require(devices_prepare(&error));
	devices_freeze();
	tap_check(devices_flush(&error), true, "%s", error.words);
	require(devices_save(keep, NULL, NULL));
	devices_yield();
	backend_end();
}

/* In a new process, whose back-end need not be there yet. */
static void load(void)
{
	size_t bytes = record.bytes;

	virtio_stop(driver.device);
	virtio_destroy(driver.device);
	devices_forget();
	memset(driver.registers, 0, VIRTIO_MMIO_STRIDE);
	devices_set_incoming();
	driver.device = create();
	virtio_register(driver.device, 0);
	require_equal(virtio_start(driver.device), 0);
	devices_freeze();
	for (record.bytes = 0; record.bytes < bytes; record.bytes++)
		expect(!devices_load(&record, &error));
	record.bytes = bytes;
	tap_check(devices_load(&record, &error), true, "%s", error.words);
	require(devices_loaded(&error));
	expect_equal(get_register(VIRTIO_CONFIG), BACKEND_BYTES / 512);
}

static void moves(void)
{
	begin(BACKEND_GOOD);
	expect_equal(request(VIRTIO_BLK_T_OUT, 8, 512), 0);
	give_away();
	/* It waits until the disk is here. */
	put_request(0, VIRTIO_BLK_T_IN, 3, 512);
	offer(0, 0);
	load();
	backend_start(where, BACKEND_GOOD);
	tap_check(devices_thaw(&error), true, "%s", error.words);
	require(used_within(0, 2));
	expect_equal(*(uint8_t *)guest(DATA), 3);
	expect_equal(request(VIRTIO_BLK_T_IN, 5, 512), 0);
	devices_forget();
	end();
}

/* A move that fails after all. */
static void is_taken_back(void)
{
	begin(BACKEND_GOOD);
	expect_equal(request(VIRTIO_BLK_T_IN, 3, 512), 0);
	give_away();
	backend_start(where, BACKEND_GOOD);
	tap_check(devices_thaw(&error), true, "%s", error.words);
	expect_equal(request(VIRTIO_BLK_T_IN, 4, 512), 0);
	expect_equal(*(uint8_t *)guest(DATA), 4);
	devices_forget();
	end();
}

static void moves_to_another_disk(void)
{
	static const struct {
		enum backend_manner manner;
		const char *words;
	} rows[] = {
		{ BACKEND_SMALLER, "another size or other features" },
		{ BACKEND_READONLY, "another size or other features" },
		{ BACKEND_LEGACY, "only drivers from before virtio 1.0" },
		{ BACKEND_HANGS_UP, "GET_FEATURES" },
	};

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(BACKEND_GOOD);
		give_away();
		load();
		backend_start(where, rows[i].manner);
		expect(!devices_thaw(&error));
		tap_check(strstr(error.words, rows[i].words), false, "\"%s\"", error.words);
		/* It did not run, nor does it now. */
		expect_equal(backend_starts(), 0);
		devices_forget();
		end();
	}
}

static void stays_while_requests_are_kept(void)
{
	begin_with_many();
	virtio_register(driver.device, 0);
	vhost_user_patience_ms = SHORT_MS;
	vhost_blk_window_ms = PATIENCE_MS;
	require(devices_prepare(&error));
	devices_freeze();
	expect(!devices_flush(&error));
	expect(strstr(error.words, "its back-end keeps requests"));
	require(devices_thaw(&error));
	vhost_user_patience_ms = 5000;
	backend_end();
	/* It is away now, and nothing is lost. */
	for (int i = 0; i < PATIENCE_MS && devices_prepare(&error); i++)
		usleep(1000);
	expect(strstr(error.words, "its back-end is gone"));
	backend_start(where, BACKEND_GOOD);
	require(used_within(0, 4));
	expect_equal(*(uint8_t *)guest(STATUS), 0);
	expect(devices_prepare(&error));
	devices_forget();
	end();
}

/* ---- one that others wrote -------------------------------------------------------------- */

#define CLUSTER		65536u
#define IMAGE_BYTES	(8ull << 20)

/* An empty image: header, a table of one block of reference counts, that block, a table of one page. */
static void make_qcow2(const char *path)
{
	static uint8_t image[4 * CLUSTER];
	const uint32_t header[] = {
		htobe32(0x514649fb), htobe32(2), 0, 0, 0, htobe32(16),
		0, htobe32(IMAGE_BYTES), 0, htobe32(1), 0, htobe32(3 * CLUSTER),
		0, htobe32(CLUSTER), htobe32(1), 0, 0, 0,
	};
	const uint64_t block = htobe64(2 * CLUSTER);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	memcpy(image, header, sizeof(header));
	memcpy(image + CLUSTER, &block, sizeof(block));
	for (unsigned int i = 0; i < 4; i++)
		image[2 * CLUSTER + 2 * i + 1] = 1;
	require(fd >= 0);
	require_equal(write(fd, image, sizeof(image)), sizeof(image));
	close(fd);
}

static pid_t start_qemu(void)
{
	char file[160], export[160];
	char *const argv[] = {
		"qemu-storage-daemon", "--blockdev", file, "--blockdev", "qcow2,node-name=q,file=f",
		"--export", export, NULL,
	};
	struct stat st;
	pid_t child;

	snprintf(file, sizeof(file), "file,node-name=f,filename=%s", disk_name);
	snprintf(export, sizeof(export),
		 "vhost-user-blk,id=e,node-name=q,writable=on,addr.type=unix,addr.path=%s", where);
	unlink(where);
	if (posix_spawnp(&child, argv[0], NULL, NULL, argv, environ))
		tap_skip("qemu-storage-daemon is not installed (tools/testing/machine/packages)");
	for (int i = 0; i < PATIENCE_MS && stat(where, &st); i++)
		usleep(1000);
	return child;
}

/* Its socket is there a moment before it listens. */
static struct virtio_device *create_with_qemu(void)
{
	struct virtio_device *device;

	error.words[0] = 0;
	driver_shared_memory();
	vhost_user_patience_ms = PATIENCE_MS;
	for (int i = 0; i < PATIENCE_MS; i++) {
		device = vhost_blk_create(&driver.memory, driver.registers, spec, &error);
		if (device || !strstr(error.words, "refused"))
			break;
		usleep(1000);
	}
	tap_check(device, true, "%s", error.words);
	return device;
}

static void run_qemu(uint8_t fill, bool write)
{
	pid_t child = start_qemu();
	struct virtio_device *device = create_with_qemu();
	uint16_t next;
	uint8_t *data;

	vhost_blk_window_ms = PATIENCE_MS;
	driver_start(device, 0);
	data = guest(DATA);
	expect_equal(get_register(VIRTIO_CONFIG), IMAGE_BYTES / 512);
	if (write) {
		expect_equal(request(VIRTIO_BLK_T_IN, 8000, 512), 0);
		expect_equal(data[0], 0);
		memset(data, fill, 4096);
		expect_equal(request(VIRTIO_BLK_T_OUT, 8000, 4096), 0);
	}
	memset(data, 0, 4096);
	expect_equal(request(VIRTIO_BLK_T_IN, 8007, 512), 0);
	expect_equal(data[511], fill);
	/* A driver that starts anew. */
	start_anew(0);
	expect_equal(request(VIRTIO_BLK_T_IN, IMAGE_BYTES / 512, 512), VIRTIO_BLK_S_IOERR);
	expect_equal(request(VIRTIO_BLK_T_IN, 8000, 512), 0);
	expect_equal(data[0], fill);
	kill(child, SIGKILL);
	require_equal(waitpid(child, NULL, 0), child);
	/* What was written is there, though no flush was asked for. */
	memset(data, 0, 512);
	put_request(0, VIRTIO_BLK_T_IN, 8000, 512);
	next = ring_used(0)->idx + 1;
	offer(0, 0);
	child = start_qemu();
	expect(used_within(0, next));
	expect_equal(*(uint8_t *)guest(STATUS), 0);
	expect_equal(data[0], fill);
	vhost_blk_window_ms = SHORT_MS;
	kill(child, write ? SIGKILL : SIGTERM);
	require_equal(waitpid(child, NULL, 0), child);
	expect_equal(request(VIRTIO_BLK_T_IN, 8000, 512), VIRTIO_BLK_S_IOERR);
	driver_end();
}

/* Written data is there when the next back-end serves the image. */
static void with_qemu(void)
{
	spec_here();
	make_qcow2(disk_name);
	run_qemu('q', true);
	run_qemu('q', false);
	unlink(where);
}

static void nonsense(void)
{
	backend_start(spec_here() + 4, BACKEND_GOOD);
	vhost_user_patience_ms = 5000;
	nonsense_to(create);
	expect_equal(request(VIRTIO_BLK_T_IN, 3, 512), 0);
	end();
}

const struct test_table vhost_tests = TEST_TABLE(
	{ "a vhost-user disk serves what its back-end has", serves },
	{ "a back-end's disk that is read-only is so to the guest", readonly },
	{ "a back-end answers in any order", reversed },
	{ "a vhost-user disk is started again after a reset", run_again },
	{ "a request that is none does not reach the back-end", bad_requests },
	{ "a back-end that is none is refused in words", bad_from_the_start },
	{ "a back-end that is absent is told in words", absent },
	{ "... and a host that has no more descriptors", no_descriptors },
	{ "a back-end that dies or lies means I/O errors", lost },
	{ "what a killed back-end had comes back once", killed_with_many },
	{ "another back-end gets what a killed one had", another },
	{ "... and what that was about to forget", another_gets_what_was_written },
	{ "a back-end that comes late ends the I/O errors", another_comes_late },
	{ "a reset while there is no back-end takes the requests away", reset_meanwhile },
	{ "another disk is not taken for the first", another_disk },
	{ "a request that kills each back-end ends in an error", all_die },
	{ "a reset does not wait for a back-end for ever", reset_while_kept },
	{ "a vhost-user disk that was saved goes on with the back-end that is there", moves },
	{ "... and here, if the move fails", is_taken_back },
	{ "... but not with another disk", moves_to_another_disk },
	{ "a vhost-user disk whose requests are kept is not moved", stays_while_requests_are_kept },
	{ "nonsense does no harm to a vhost-user disk", nonsense },
	{ "qemu-storage-daemon serves a qcow2 image", with_qemu },
);
