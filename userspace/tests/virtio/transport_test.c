// SPDX-License-Identifier: GPL-2.0-only
/* The transport, by means of the simplest device. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "driver.h"

static void transport(void)
{
	driver_memory();
	driver.device = rng_create(&driver.memory, driver.registers, NULL);
	expect_equal(get_register(VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	expect_equal(get_register(VIRTIO_MMIO_VERSION), 2);
	expect_equal(get_register(VIRTIO_MMIO_DEVICE_ID), 4);
	require_equal(virtio_start(driver.device), 0);
	set_register(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	expect_equal(get_register(VIRTIO_MMIO_DEVICE_FEATURES), 1);
	set_register(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 7);
	expect_equal(get_register(VIRTIO_MMIO_DEVICE_FEATURES), 0);
	set_register(VIRTIO_MMIO_QUEUE_SEL, 1);
	expect_equal(get_register(VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	set_register(VIRTIO_MMIO_QUEUE_SEL, 0);
	expect_equal(get_register(VIRTIO_MMIO_QUEUE_NUM_MAX), QUEUE_MAX_SIZE);

	/* Without version 1, or with what was not offered, features are not agreed on. */
	set_register(VIRTIO_MMIO_STATUS, 3 | VIRTIO_CONFIG_S_FEATURES_OK);
	expect_equal(get_register(VIRTIO_MMIO_STATUS), 3);
	set_register(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	set_register(VIRTIO_MMIO_DRIVER_FEATURES, 3);
	set_register(VIRTIO_MMIO_STATUS, 3 | VIRTIO_CONFIG_S_FEATURES_OK);
	expect_equal(get_register(VIRTIO_MMIO_STATUS), 3);
	/* Nor does the driver run then, nor is a queue taken. */
	set_register(VIRTIO_MMIO_STATUS, 7);
	expect_equal(get_register(VIRTIO_MMIO_STATUS), 3);
	set_register(VIRTIO_MMIO_QUEUE_NUM, 16);
	set_register(VIRTIO_MMIO_QUEUE_READY, 1);
	expect_equal(get_register(VIRTIO_MMIO_QUEUE_READY), 0);
	set_register(VIRTIO_MMIO_DRIVER_FEATURES, 1);
	set_register(VIRTIO_MMIO_STATUS, 3 | VIRTIO_CONFIG_S_FEATURES_OK);
	expect_equal(get_register(VIRTIO_MMIO_STATUS), 11);
	/* The driver cannot choose other features any more. */
	set_register(VIRTIO_MMIO_DRIVER_FEATURES, 0);
	expect_equal(driver.device->negotiated, BIT64(VIRTIO_F_VERSION_1));
	set_register(VIRTIO_MMIO_STATUS, 0);
	expect_equal(get_register(VIRTIO_MMIO_STATUS), 0);
	driver_end();
}

static void rng(void)
{
	uint8_t *bytes;
	unsigned int zeroes = 0;

	driver_memory();
	driver_start(rng_create(&driver.memory, driver.registers, NULL), 0);
	put_desc(0, 0, BUFFERS, 1000, WRITE, 0);
	offer(0, 0);
	require(used_within(0, 1));
	expect_equal(ring_used(0)->ring[0].len, 1000);
	expect_equal(get_register(VIRTIO_MMIO_INTERRUPT_STATUS), 1);
	set_register(VIRTIO_MMIO_INTERRUPT_ACK, 1);
	expect_equal(get_register(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	bytes = guest(BUFFERS);
	for (unsigned int i = 0; i < 1000; i++)
		zeroes += !bytes[i];
	expect(zeroes < 40);
	expect_equal(bytes[1000], 0);

	/* A request of nearly all memory is bounded, one without room is wrong. */
	put_desc(0, 0, BUFFERS, 2 << 20, WRITE, 0);
	offer(0, 0);
	require(used_within(0, 2));
	expect_equal(ring_used(0)->ring[1].len, 65536);
	put_desc(0, 0, BUFFERS, 8, 0, 0);
	offer(0, 0);
	expect(broken_within());
	expect(get_register(VIRTIO_MMIO_INTERRUPT_STATUS) & 2);
	/* Nothing is served until it is reset. */
	put_desc(0, 0, BUFFERS, 8, WRITE, 0);
	offer(0, 0);
	usleep(20000);
	expect_equal(ring_used(0)->idx, 2);
	set_register(VIRTIO_MMIO_STATUS, 0);
	expect_equal(get_register(VIRTIO_MMIO_STATUS), 0);
	driver_end();
}

/* Each buffer of its first queue is an eighth of what a turn may move. */
struct busy {
	struct virtio_device device;
	unsigned int served;
	unsigned int before_second;
};

static int64_t serve_busy(struct virtio_device *device, struct queue_chain *chain)
{
	struct busy *busy = (void *)device;

	(void)chain;
	if (device->serving) {
		busy->before_second = busy->served;
		return 0;
	}
	busy->served++;
	return virtio_spend(device, VIRTIO_TURN / 8) ? 0 : -1;
}

static void work_busy(struct virtio_device *device)
{
	virtio_serve(device, 0, serve_busy);
	virtio_serve(device, 1, serve_busy);
}

static void turns(void)
{
	static const struct virtio_ops ops = { .name = "busy", .id = 4, .work = work_busy };
	struct busy *busy = calloc(1, sizeof(*busy));

	require(busy != NULL);
	driver_memory();
	require(virtio_init(&busy->device, &ops, &driver.memory, driver.registers, 0, 2, NULL));
	/* All is there before the first turn. */
	for (unsigned int i = 0; i < QUEUE_SIZE; i++) {
		put_desc(0, i, BUFFERS, 8, WRITE, 0);
		ring_avail(0)[2 + i] = i;
	}
	ring_avail(0)[1] = QUEUE_SIZE;
	put_desc(1, 0, BUFFERS, 8, WRITE, 0);
	ring_avail(1)[1] = 1;
	driver_start(&busy->device, 0);
	set_register(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	require(used_within(1, 1));
	expect(busy->before_second > 0 && busy->before_second <= 8);
	/* The rest comes in later turns, without another notification. */
	expect(used_within(0, QUEUE_SIZE));
	driver_end();
}

static struct virtio_device *create_rng(void)
{
	return rng_create(&driver.memory, driver.registers, NULL);
}

static void nonsense_rng(void)
{
	nonsense_to(create_rng);
	put_desc(0, 0, BUFFERS, 1000, WRITE, 0);
	offer(0, 0);
	expect(used_within(0, 1));
	driver_end();
}

int __real_poll(struct pollfd *fds, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout);
static int polls_fail;

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout)
{
	if (__atomic_load_n(&polls_fail, __ATOMIC_RELAXED) > 0) {
		__atomic_fetch_sub(&polls_fail, 1, __ATOMIC_RELAXED);
		errno = ENOMEM;
		return -1;
	}
	return __real_poll(fds, count, timeout);
}

/* The device's thread is the only one here that polls. */
static void host_cannot_wait(void)
{
	driver_memory();
	driver_start(rng_create(&driver.memory, driver.registers, NULL), 0);
	__atomic_store_n(&polls_fail, 20, __ATOMIC_RELAXED);
	put_desc(0, 0, BUFFERS, 100, WRITE, 0);
	offer(0, 0);
	require(used_within(0, 1));
	expect_equal(ring_used(0)->ring[0].len, 100);
	for (int i = 0; i < PATIENCE_MS && __atomic_load_n(&polls_fail, __ATOMIC_RELAXED); i++) {
		virtio_kick(driver.device);
		usleep(1000);
	}
	expect_equal(polls_fail, 0);
	offer(0, 0);
	expect(used_within(0, 2));
	driver_end();
}

/* A device that cannot be made costs its maker an answer, and nothing else. */
static void refused(void)
{
	static const struct {
		enum { DISK, NET, PORT } kind;
		const char *spec, *words;
	} cases[] = {
		{ DISK, "/nowhere/disk", "--disk /nowhere/disk: No such file or directory" },
		{ DISK, "/dev/null", "--disk /dev/null: it is neither a file nor a block device" },
		{ DISK, "/dev/null,format=bochs", "\"bochs\" is none of raw, qcow2" },
		{ NET, "wire", "--net: \"wire\" is none of user, tap=NAME and passt=SOCKET" },
		{ NET, "user,mac=01:00:00:00:00:00", "is not the address of one network card" },
		{ NET, "user,speed=9", "\"speed=9\" is neither mac=ADDRESS nor host-loopback=on|off" },
		{ NET, "tap=a,host-loopback=on", "host-loopback is for the network \"user\" alone" },
		{ NET, "user,host-loopback=may", "host-loopback is on or off, not \"may\"" },
		{ NET, "tap=", "--net tap=: an interface's name has 1 to" },
		{ PORT, "name", "--port: \"name\" is not NAME=unix:PATH or NAME=FILE" },
		{ PORT, "name=unix:", "a socket's path has 1 to" },
		{ PORT, "name=/nowhere/log", "--port name=/nowhere/log: No such file or directory" },
	};
	struct error error;
	unsigned int before;

	driver_memory();
	before = driver_descriptors();
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *const specs[] = { "good=/dev/null", cases[i].spec };
		void *device;

		error = (struct error){ .status = EXIT_CODE_OK };
		if (cases[i].kind == DISK)
			device = block_create(&driver.memory, driver.registers, cases[i].spec, &error);
		else if (cases[i].kind == NET)
			device = net_create(&driver.memory, driver.registers, cases[i].spec, &error);
		else
			device = console_create(&driver.memory, driver.registers, specs, 2, &error);
		tap_check(!device && error.status == EXIT_CODE_USAGE &&
			  strstr(error.words, cases[i].words), false, "%s: %u, \"%s\"",
			  cases[i].spec, error.status, error.words);
	}
	expect_equal(driver_descriptors(), before);
	driver_forget();
}

/* Without descriptors, say: the one that was open goes too. */
static void no_descriptors(void)
{
	static const char *const port = "none=/dev/null";
	struct rlimit all, none;
	struct error error = { .words = "" };
	unsigned int before;
	int next;

	driver_memory();
	before = driver_descriptors();
	next = dup(0);
	close(next);
	require_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
	for (int spare = 0; spare < 2; spare++) {
		none = (struct rlimit){ next + spare, all.rlim_max };
		require_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
		expect(!rng_create(&driver.memory, driver.registers, &error));
		setrlimit(RLIMIT_NOFILE, &all);
		expect(strstr(error.words, "rng: cannot make an event descriptor"));
		expect_equal(error.status, EXIT_CODE_ERROR);
		expect_equal(driver_descriptors(), before);
	}
	/* Nor is it wrong usage, whatever had to be opened. */
	none.rlim_cur = next;
	require_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	expect(!console_create(&driver.memory, driver.registers, &port, 1, &error));
	expect_equal(error.status, EXIT_CODE_ERROR);
	expect(!block_create(&driver.memory, driver.registers, disk_name, &error));
	expect_equal(error.status, EXIT_CODE_ERROR);
	setrlimit(RLIMIT_NOFILE, &all);
	expect_equal(driver_descriptors(), before);
	driver_forget();
}

const struct test_table transport_tests = TEST_TABLE(
	{ "features, status and queues follow the standard", transport },
	{ "rng gives random bytes, and breaks on bad requests", rng },
	{ "a turn has an end, and other queues have theirs", turns },
	{ "100,000 nonsense writes to rng", nonsense_rng },
	{ "a device whose host cannot wait goes on", host_cannot_wait },
	{ "a device that cannot be made says why", refused },
	{ "a device without descriptors leaves none open", no_descriptors }
);
