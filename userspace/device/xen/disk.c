// SPDX-License-Identifier: GPL-2.0-only
/*
 * A disk behind the driver that a paravirtualized guest has for one (Xen's public/io/blkif.h).  Its ring is
 * another form of the queue of our virtio disk: each request becomes a chain of that disk's requests, so
 * that the disk knows nothing of it.
 */
#include <stdlib.h>
#include <string.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_mmio.h>

#include "device/device.h"
#include "ring.h"
#include "xen.h"

#define SECTOR		512u
#define ENTRIES		32u
#define ENTRY_BYTES	112u
#define SEGMENTS	11u
#define FIRST_DISK	51712u	/* xvda */
#define DISK_STEP	16u	/* to xvdb */
#define OLD_NUMBERS	16u	/* disks whose number is Linux's old one, of major and minor */
#define NEW_NUMBER	(1u << 28)
#define NEW_STEP	256u
#define LETTERS		26u
#define MAX_RANGE	(1u << 22)	/* sectors of a discard that the disk takes at once */
#define RANGES		16u
#define VDISK_READONLY	4u
#define BAD		(~0u)	/* a type that no disk knows */

enum { READ, WRITE, BARRIER, FLUSH, DISCARD = 5 };
enum { DONE = 0, FAILED = -1, UNSUPPORTED = -2 };

/* The layout is ABI: the requests of 64-bit guests. */
struct segment {
	uint32_t grant;
	uint8_t first;
	uint8_t last;
	uint16_t pad;
};

struct request {
	uint8_t op;
	uint8_t segments;
	uint16_t handle;
	uint32_t pad;
	uint64_t id;
	uint64_t sector;
	union {
		struct segment segment[SEGMENTS];
		uint64_t sectors;	/* of a discard */
	};
};
_Static_assert(sizeof(struct request) == ENTRY_BYTES, "requests are ABI");

struct response {
	uint64_t id;
	uint8_t op;
	uint8_t pad;
	int16_t status;
};

/**
 * struct disk_ring - what a request is translated to; the disk serves one at a time
 * @now: the request
 */
struct disk_ring {
	struct xen_ring ring;
	struct request now;
	struct virtio_blk_outhdr header;
	struct virtio_blk_discard_write_zeroes ranges[RANGES];
	uint8_t status;
};

/* ---- requests -------------------------------------------------------------------------------- */

static bool add_segments(struct disk_ring *ring, struct queue_chain *chain)
{
	const struct request *now = &ring->now;

	if (!now->segments || now->segments > SEGMENTS)
		return false;
	for (unsigned int i = 0; i < now->segments; i++) {
		const struct segment *segment = &now->segment[i];

		if (segment->first > segment->last ||
		    !xen_chain_add_granted(&ring->ring, chain, now->op == READ, segment->grant, segment->first * SECTOR,
					   (segment->last - segment->first + 1) * SECTOR))
			return false;
	}
	return true;
}

/* The disk has a limit for each range, and for their number. */
static bool add_ranges(struct disk_ring *ring, struct queue_chain *chain)
{
	uint64_t sector = ring->now.sector, left = ring->now.sectors;
	unsigned int count = 0;

	if (left > (uint64_t)MAX_RANGE * RANGES)
		return false;
	while (left) {
		uint32_t part = left < MAX_RANGE ? left : MAX_RANGE;

		ring->ranges[count++] = (struct virtio_blk_discard_write_zeroes){
			.sector = sector, .num_sectors = part,
		};
		sector += part;
		left -= part;
	}
	if (count)
		xen_chain_add(chain, false, ring->ranges, count * sizeof(ring->ranges[0]), 0);
	return count;
}

static uint32_t translate(struct disk_ring *ring, struct queue_chain *chain)
{
	switch (ring->now.op) {
	case READ:
		return add_segments(ring, chain) ? VIRTIO_BLK_T_IN : BAD;
	case WRITE:
		return add_segments(ring, chain) ? VIRTIO_BLK_T_OUT : BAD;
	case FLUSH:
		return ring->now.segments ? BAD : VIRTIO_BLK_T_FLUSH;
	case DISCARD:
		return add_ranges(ring, chain) ? VIRTIO_BLK_T_DISCARD : BAD;
	}
	return BAD;
}

/* ---- a form of queue --------------------------------------------------------------------------- */

static int pop(struct queue *queue, struct queue_chain *chain)
{
	struct disk_ring *ring = queue->form_data;
	int waiting = xen_ring_waiting(queue);

	if (waiting <= 0)
		return waiting;
	xen_ring_read(queue, queue->next_avail, &ring->now, sizeof(ring->now));
	ring->header = (struct virtio_blk_outhdr){ .sector = ring->now.sector };
	ring->status = VIRTIO_BLK_S_UNSUPP;
	xen_chain_add(chain, false, &ring->header, sizeof(ring->header), 0);
	ring->header.type = translate(ring, chain);
	if (ring->header.type == BAD) {
		chain->out = 1;
		chain->in = 0;
		chain->in_bytes = 0;
		chain->out_bytes = sizeof(ring->header);
	}
	xen_chain_add(chain, true, &ring->status, sizeof(ring->status), 0);
	return 1;
}

static int16_t status_of(const struct disk_ring *ring)
{
	if (ring->status == VIRTIO_BLK_S_OK)
		return DONE;
	/* A driver that hears of an operation that there is not, does without from then on. */
	return ring->status == VIRTIO_BLK_S_UNSUPP && ring->now.op >= BARRIER ? UNSUPPORTED : FAILED;
}

static void push(struct queue *queue, const struct queue_chain *chain, uint64_t written)
{
	struct disk_ring *ring = queue->form_data;
	const struct response response = { .id = ring->now.id, .op = ring->now.op, .status = status_of(ring) };

	/* Also of a request that failed, some may have been written. */
	xen_chain_mark(queue, chain, chain->in_bytes);
	(void)written;
	xen_ring_answer(queue, &response, sizeof(response));
	xen_ring_publish(queue);
}

/* ---- connection ----------------------------------------------------------------------------------- */

static const char *open_ring(struct xen_backend *backend)
{
	const char *protocol = xen_backend_read(backend, "protocol");
	uint32_t grant;
	uint64_t gpa;

	if (protocol && strcmp(protocol, "x86_64-abi"))
		return "its driver speaks another protocol than that of 64-bit guests";
	if (!xen_backend_number(backend, "ring-ref", &grant))
		return "its driver names no ring";
	if (!grants_page(backend->grants, grant, true, &gpa))
		return "its driver names a ring that it did not grant";
	return xen_backend_attach(backend, &gpa);
}

unsigned int xen_disk_number(unsigned int number, char name[XEN_DISK_NAME])
{
	char *at = name + 3;

	memset(name, 0, XEN_DISK_NAME);
	memcpy(name, "xvd", 3);
	if (number >= LETTERS)
		*at++ = 'a' + number / LETTERS - 1;
	*at = 'a' + number % LETTERS;
	return number < OLD_NUMBERS ? FIRST_DISK + number * DISK_STEP : NEW_NUMBER + number * NEW_STEP;
}

void xen_disk_create(struct xen_backend *backend, unsigned int number)
{
	static const struct queue_form form = {
		.enable = xen_ring_enable, .pop = pop, .push = push, .notify_on = xen_ring_notify_on,
	};
	const struct virtio_device *device = backend->device;
	const bool readonly = device->features & 1ull << VIRTIO_BLK_F_RO;
	char name[XEN_DISK_NAME];
	unsigned int id = xen_disk_number(number, name);
	struct disk_ring *ring = device_alloc(sizeof(*ring));
	struct virtio_blk_config config;

	ring->ring = (struct xen_ring){ .backend = backend, .entries = ENTRIES, .entry_bytes = ENTRY_BYTES };
	backend->open = open_ring;
	xen_backend_ring(backend, 0, &form, ring);
	memcpy(&config, device->registers + VIRTIO_MMIO_CONFIG, sizeof(config));
	xen_backend_name(backend, "vbd", id);
	/* What a boot loader calls it. */
	xen_backend_tell(backend, backend->back, "dev", "%s", name);
	xen_backend_tell(backend, backend->back, "mode", readonly ? "r" : "w");
	xen_backend_tell(backend, backend->back, "sectors", "%llu", (unsigned long long)config.capacity);
	xen_backend_tell(backend, backend->back, "sector-size", "%u", SECTOR);
	xen_backend_tell(backend, backend->back, "info", "%u", readonly ? VDISK_READONLY : 0);
	xen_backend_tell(backend, backend->back, "feature-flush-cache", "1");
	xen_backend_tell(backend, backend->back, "feature-discard", "%u", !readonly);
	if (!readonly) {
		xen_backend_tell(backend, backend->back, "discard-granularity", "%u", config.discard_sector_alignment * SECTOR);
		xen_backend_tell(backend, backend->back, "discard-alignment", "0");
	}
	xen_backend_tell(backend, backend->front, "virtual-device", "%u", id);
	xen_backend_tell(backend, backend->front, "device-type", "disk");
	xen_backend_begin(backend);
}
