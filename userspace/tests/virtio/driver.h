/* SPDX-License-Identifier: GPL-2.0-only */
/* A driver for tests: memory, rings and registers of one device, as right or wrong as wanted. */
#ifndef TESTS_VIRTIO_DRIVER_H
#define TESTS_VIRTIO_DRIVER_H

#include <string.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#include "device/virtio/devices.h"
#include "tap.h"

/* The wait is short, but on a busy computer. */
#define PATIENCE_MS	30000

#define GUEST_BYTES	(4u << 20)
#define QUEUE_SIZE	16u
/* Guest-physical: each queue has its rings and tables in 64 KiB, then come buffers. */
#define RINGS		0x10000u
#define RINGS_STRIDE	0x10000u
#define BUFFERS		0x100000u

#define BIT64(n)	(1ull << (n))
#define EVENT_IDX	BIT64(VIRTIO_RING_F_EVENT_IDX)
#define NEXT		VRING_DESC_F_NEXT
#define WRITE		VRING_DESC_F_WRITE
#define INDIRECT	VRING_DESC_F_INDIRECT

/* A file for disks, and the name that others are derived from. */
#define DISK_NAME_ROOM	32
extern char disk_name[DISK_NAME_ROOM];

/* The tests of one file. */
struct test_table {
	const struct tap_test *tests;
	unsigned int count;
};
#define TEST_TABLE(...) {							\
	.tests = (const struct tap_test[]){ __VA_ARGS__ },			\
	.count = sizeof((const struct tap_test[]){ __VA_ARGS__ }) / sizeof(struct tap_test), \
}
extern const struct test_table queue_tests, transport_tests, disk_tests, net_tests, console_tests,
	state_tests, vhost_tests, image_tests, passt_tests;

struct driver {
	struct guest_memory memory;
	uint8_t *registers;
	struct virtio_device *device;
};

/* The one that the current test drives. */
extern struct driver driver;

/** driver_memory() - fresh memory and registers, no device yet */
void driver_memory(void);
/** driver_shared_memory() - likewise, with memory that can be given to others */
void driver_shared_memory(void);
/** driver_descriptors() - the number of this process' open descriptors */
unsigned int driver_descriptors(void);
/** driver_forget() - they go, without a device */
void driver_forget(void);
/** driver_start() - bring @device up, with all features that it offers but @without */
void driver_start(struct virtio_device *device, uint64_t without);
/** driver_end() - stop and forget it */
void driver_end(void);

void *guest(uint64_t gpa);
uint32_t get_register(unsigned int offset);
void set_register(unsigned int offset, uint32_t value);

struct vring_desc *ring_desc(unsigned int queue);
uint16_t *ring_avail(unsigned int queue);		/* flags, idx, ring … */
volatile struct vring_used *ring_used(unsigned int queue);
/** put_desc() - one descriptor of the queue's table */
void put_desc(unsigned int queue, unsigned int at, uint64_t gpa, uint32_t bytes,
	      unsigned int flags, unsigned int next);
/** offer() - make the chain from @head available and notify */
void offer(unsigned int queue, uint16_t head);
/** used_within() - wait until the used index is @index; false after PATIENCE_MS */
bool used_within(unsigned int queue, uint16_t index);
/** broken_within() - wait for NEEDS_RESET; false after PATIENCE_MS */
bool broken_within(void);
/** connect_peer() - a client of a port's socket */
int connect_peer(const char *path);

/** nonsense_to() - 100,000 seeded writes to a device, which is then up and must work */
void nonsense_to(struct virtio_device *(*create)(void));

#endif
