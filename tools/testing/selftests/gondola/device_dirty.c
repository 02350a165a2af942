// SPDX-License-Identifier: GPL-2.0-only
/* The dirty log has what a virtio device writes to guest memory: rings and buffers, no more. */
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <linux/virtio_blk.h>

#include "machine.h"
#include "tests/virtio/driver.h"

#define PAGE	4096u
#define ALL	(GUEST_BYTES / PAGE)

char disk_name[DISK_NAME_ROOM] = "/tmp/gondola-dirty-XXXXXX";

static uint64_t bitmap[ALL / 64];
static int vm_fd;

static void start_log(void)
{
	int sys = machine_open();

	driver_memory();
	vm_fd = gondola_create_vm(sys, GONDOLA_ENGINE_ANY, "device-dirty");
	require_equal(memory_register(&driver.memory, vm_fd), 0);
	close(sys);
}

static void start(struct virtio_device *device, uint64_t without)
{
	require_equal(virtio_name(device, vm_fd, 1, 0), 0);
	driver_start(device, without);
}

static void clear_log(void)
{
	require_equal(__gondola_get_dirty(vm_fd, 0, 0, ALL, bitmap), 0);
	require_equal(__gondola_clear_dirty(vm_fd, 0, 0, ALL, bitmap), 0);
}

static bool is_dirty(uint64_t gpa)
{
	return bitmap[gpa / PAGE / 64] >> (gpa / PAGE % 64) & 1;
}

/* The device's thread may have a turn left that has nothing to do but to look at its rings. */
static void clear_until_quiet(void)
{
	unsigned int quiet = 0;

	for (int i = 0; i < PATIENCE_MS && quiet < 3; i += 20) {
		quiet++;
		clear_log();
		for (unsigned int j = 0; j < ALL / 64; j++)
			if (bitmap[j])
				quiet = 0;
		usleep(20000);
	}
	require_equal(quiet, 3);
}

/* Exactly the pages of @gpas are dirty, or become so: a ring is marked when it was written. */
static void expect_dirty(const uint64_t *gpas, unsigned int count)
{
	for (unsigned int i = 0, marked = 0; i < PATIENCE_MS && marked < count; i++) {
		usleep(1000);
		require_equal(__gondola_get_dirty(vm_fd, 0, 0, ALL, bitmap), 0);
		for (marked = 0; marked < count && is_dirty(gpas[marked]); marked++)
			;
	}
	require_equal(__gondola_get_dirty(vm_fd, 0, 0, ALL, bitmap), 0);
	for (unsigned int i = 0; i < ALL; i++) {
		bool dirty = is_dirty((uint64_t)i * PAGE), expected = false;

		for (unsigned int j = 0; j < count; j++)
			expected |= gpas[j] / PAGE == i;
		tap_check(dirty == expected, false, "page 0x%x is %s", i,
			  dirty ? "dirty" : "not dirty");
	}
	clear_log();
}

static void end_log(void)
{
	driver_end();
	close(vm_fd);
}

static void rng(void)
{
	static const uint64_t written[] = { RINGS + 0x4000, BUFFERS, BUFFERS + PAGE };

	start_log();
	start(rng_create(&driver.memory, driver.registers, NULL), 0);
	/* Without a log nothing is marked. */
	put_desc(0, 0, BUFFERS, PAGE + 100, WRITE, 0);
	offer(0, 0);
	require(used_within(0, 1));
	require_equal(memory_log_dirty(&driver.memory, true), 0);
	clear_until_quiet();
	expect_dirty(NULL, 0);
	offer(0, 0);
	require(used_within(0, 2));
	expect_dirty(written, 3);
	require_equal(memory_log_dirty(&driver.memory, false), 0);
	offer(0, 0);
	expect(used_within(0, 3));
	end_log();
}

static void disk(void)
{
	static const uint64_t read[] = { RINGS + 0x4000, BUFFERS + 2 * PAGE, BUFFERS + PAGE };
	static const uint64_t written[] = { RINGS + 0x4000, BUFFERS + PAGE };
	struct virtio_blk_outhdr *header;

	require_equal(truncate(disk_name, 1 << 20), 0);
	start_log();
	start(block_create(&driver.memory, driver.registers, disk_name, NULL), 0);
	require_equal(memory_log_dirty(&driver.memory, true), 0);
	clear_until_quiet();
	header = guest(BUFFERS);
	header->type = VIRTIO_BLK_T_IN;
	put_desc(0, 0, BUFFERS, sizeof(*header), NEXT, 1);
	put_desc(0, 1, BUFFERS + 2 * PAGE, PAGE, NEXT | WRITE, 2);
	put_desc(0, 2, BUFFERS + PAGE, 1, WRITE, 0);
	offer(0, 0);
	require(used_within(0, 1));
	expect_dirty(read, 3);
	/* A write reads the guest's memory: its status alone is written. */
	header->type = VIRTIO_BLK_T_OUT;
	put_desc(0, 1, BUFFERS + 2 * PAGE, PAGE, NEXT, 2);
	offer(0, 0);
	require(used_within(0, 2));
	expect_dirty(written, 2);
	end_log();
}

static char socket_name[DISK_NAME_ROOM + 8];

/* Input on a port, whose ring for output is looked at too: that is told to the guest. */
static void port(void)
{
	static const uint64_t written[] = {
		RINGS + 0x4000, BUFFERS, RINGS + RINGS_STRIDE + 0x4000,
	};
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char spec[sizeof(socket_name) + 16];
	const char *const specs[] = { spec };
	int peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(socket_name, sizeof(socket_name), "%s.sock", disk_name);
	snprintf(spec, sizeof(spec), "port=unix:%s", socket_name);
	start_log();
	start(console_create(&driver.memory, driver.registers, specs, 1, NULL),
	      1ull << 1 /* VIRTIO_CONSOLE_F_MULTIPORT */);
	strcpy(address.sun_path, socket_name);
	require_equal(connect(peer, (struct sockaddr *)&address, sizeof(address)), 0);
	put_desc(0, 0, BUFFERS, 100, WRITE, 0);
	offer(0, 0);
	require_equal(memory_log_dirty(&driver.memory, true), 0);
	clear_until_quiet();
	require_equal(write(peer, "hello", 5), 5);
	require(used_within(0, 1));
	expect_dirty(written, 3);
	close(peer);
	end_log();
}

static const struct tap_test tests[] = {
	{ "an entropy device marks its buffers and its ring", rng },
	{ "a disk marks what it reads into, not what it writes from", disk },
	{ "a port marks its input", port },
};

int main(void)
{
	int fd = mkstemp(disk_name), status;

	if (fd < 0) {
		perror(disk_name);
		return 1;
	}
	close(fd);
	status = tap_run(tests, sizeof(tests) / sizeof(tests[0]));
	unlink(disk_name);
	return status;
}
