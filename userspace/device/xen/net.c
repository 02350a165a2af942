// SPDX-License-Identifier: GPL-2.0-only
/*
 * A network card behind the driver that a paravirtualized guest has for one (Xen's public/io/netif.h).  Its
 * two rings are another form of the queues of our virtio card, whose header no one else sees.
 */
#include <string.h>
#include <linux/virtio_net.h>

#include "device/device.h"
#include "device/virtio/net.h"
#include "ring.h"
#include "xen.h"

#define ENTRIES		256u	/* of either ring */
#define ETHER_BYTES	14u
#define PROTOCOL_TCP	6u
#define PROTOCOL_UDP	17u
#define SLOTS		18u	/* of one frame that is sent, at most */
#define SUM_BLANK	1u	/* of TCP or UDP: the sum of the addresses alone is there */
#define MORE_DATA	4u
#define EXTRA_INFO	8u
enum { RX, TX, QUEUES };	/* as in the card */

/* The layout is ABI: netif_tx_request and those that follow it. */
struct tx_request {
	uint32_t grant;
	uint16_t offset;
	uint16_t flags;
	uint16_t id;
	uint16_t bytes;			/* of the first slot: of the whole frame */
};
_Static_assert(sizeof(struct tx_request) == 12, "requests are ABI");

struct tx_response {
	uint16_t id;
	int16_t status;
};

struct rx_request {
	uint16_t id;
	uint16_t pad;
	uint32_t grant;
};

struct rx_response {
	uint16_t id;
	uint16_t offset;
	uint16_t flags;
	int16_t status;			/* bytes */
};
_Static_assert(sizeof(struct rx_request) == 8 && sizeof(struct rx_response) == 8, "requests are ABI");

/**
 * struct net_ring - what a request is translated to; the card serves one at a time
 * @frame: a copy, since its checksum may have to be completed, and the guest's pages are not to be written
 * @ids: of the slots of the frame, @slots of them
 */
struct net_ring {
	struct xen_ring ring;
	struct virtio_net_hdr_v1 header;
	uint8_t frame[NET_MAX_FRAME];
	uint16_t ids[SLOTS];
	unsigned int slots;
};

/* ---- frames from the guest ------------------------------------------------------------------- */

/* All slots of a frame; what they have together is in the first one. */
static int take_slots(struct queue *queue, struct tx_request *slots, int waiting)
{
	int count = 0;

	do {
		if (count == waiting || count == SLOTS) {
			queue->error = "a frame to send has no end";
			return -1;
		}
		xen_ring_read(queue, queue->next_avail + count, &slots[count], sizeof(slots[0]));
		if (slots[count].flags & EXTRA_INFO) {
			queue->error = "a frame to send wants work that was not offered";
			return -1;
		}
	} while (slots[count++].flags & MORE_DATA);
	return count;
}

/* Its bytes; 0: it is too long for Ethernet, and the card will drop it; -1: it was not granted. */
static int copy_frame(struct net_ring *ring, const struct tx_request *slots, int count)
{
	size_t used = 0;

	for (int i = 0; i < count; i++) {
		const uint8_t *part = xen_granted(&ring->ring, false, slots[i].grant, slots[i].offset, slots[i].bytes);

		if (!part)
			return -1;
		if (slots[i].bytes > sizeof(ring->frame) - used)
			return 0;
		memcpy(ring->frame + used, part, slots[i].bytes);
		used += slots[i].bytes;
	}
	return (int)used;
}

/* Linux leaves the sum of TCP and UDP over IPv4 to the device, whatever that offers. */
static void complete_sum(uint8_t *frame, size_t bytes)
{
	const uint8_t *ip = frame + ETHER_BYTES;
	size_t header, end, at;
	uint32_t sum = 0;

	if (bytes < ETHER_BYTES + 20 || frame[12] != 8 || frame[13] || ip[0] >> 4 != 4)
		return;
	header = (ip[0] & 15) * 4;
	end = ip[2] << 8 | ip[3];
	at = header + (ip[9] == PROTOCOL_TCP ? 16 : 6);
	if (header < 20 || end > bytes - ETHER_BYTES || at + 2 > end || (ip[9] != PROTOCOL_TCP && ip[9] != PROTOCOL_UDP))
		return;
	for (size_t i = header; i < end; i++)
		sum += (i - header) & 1 ? ip[i] : (uint32_t)ip[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	sum = ~sum & 0xffff;
	/* To UDP 0 means that there is none. */
	if (!sum)
		sum = 0xffff;
	frame[ETHER_BYTES + at] = sum >> 8;
	frame[ETHER_BYTES + at + 1] = sum;
}

static int pop_tx(struct queue *queue, struct queue_chain *chain)
{
	struct net_ring *ring = queue->form_data;
	struct tx_request slots[SLOTS];
	int waiting = xen_ring_waiting(queue), count, bytes;

	if (waiting <= 0)
		return waiting;
	count = take_slots(queue, slots, waiting);
	if (count < 0)
		return -1;
	for (int i = 0; i < count; i++) {
		ring->ids[i] = slots[i].id;
		if (i && slots[i].bytes <= slots[0].bytes)
			slots[0].bytes -= slots[i].bytes;
	}
	ring->slots = count;
	bytes = copy_frame(ring, slots, count);
	if (bytes < 0) {
		queue->error = "a frame to send is not in memory that was granted";
		return -1;
	}
	if (slots[0].flags & SUM_BLANK)
		complete_sum(ring->frame, bytes);
	xen_chain_add(chain, false, &ring->header, sizeof(ring->header), 0);
	if (bytes)
		xen_chain_add(chain, false, ring->frame, bytes, 0);
	return count;
}

static void push_tx(struct queue *queue, const struct queue_chain *chain, uint64_t written)
{
	const struct net_ring *ring = queue->form_data;

	(void)chain;
	(void)written;
	for (unsigned int i = 0; i < ring->slots; i++) {
		const struct tx_response response = { .id = ring->ids[i] };

		xen_ring_answer(queue, &response, sizeof(response));
	}
	xen_ring_publish(queue);
}

/* ---- frames for the guest ----------------------------------------------------------------------- */

static int pop_rx(struct queue *queue, struct queue_chain *chain)
{
	struct net_ring *ring = queue->form_data;
	struct rx_request request;
	int waiting = xen_ring_waiting(queue);

	if (waiting <= 0)
		return waiting;
	xen_ring_read(queue, queue->next_avail, &request, sizeof(request));
	ring->ids[0] = request.id;
	xen_chain_add(chain, true, &ring->header, sizeof(ring->header), 0);
	if (xen_chain_add_granted(&ring->ring, chain, true, request.grant, 0, 4096))
		return 1;
	queue->error = "a buffer for received frames was not granted";
	return -1;
}

static void push_rx(struct queue *queue, const struct queue_chain *chain, uint64_t written)
{
	const struct net_ring *ring = queue->form_data;
	const struct rx_response response = {
		.id = ring->ids[0], .status = written > sizeof(ring->header) ? written - sizeof(ring->header) : 0,
	};

	xen_chain_mark(queue, chain, written);
	xen_ring_answer(queue, &response, sizeof(response));
	xen_ring_publish(queue);
}

/* ---- connection ------------------------------------------------------------------------------------ */

static const char *open_rings(struct xen_backend *backend)
{
	static const char *const names[QUEUES] = { [RX] = "rx-ring-ref", [TX] = "tx-ring-ref" };
	uint64_t rings[QUEUES];
	uint32_t grant;

	for (unsigned int i = 0; i < QUEUES; i++) {
		if (!xen_backend_number(backend, names[i], &grant))
			return "its driver names no ring";
		if (!grants_page(backend->grants, grant, true, &rings[i]))
			return "its driver names a ring that it did not grant";
	}
	return xen_backend_attach(backend, rings);
}

static void make_ring(struct xen_backend *backend, unsigned int number, unsigned int entry_bytes,
		      const struct queue_form *form)
{
	struct net_ring *ring = device_alloc(sizeof(*ring));

	ring->ring = (struct xen_ring){ .backend = backend, .entries = ENTRIES, .entry_bytes = entry_bytes };
	xen_backend_ring(backend, number, form, ring);
}

void xen_net_create(struct xen_backend *backend, unsigned int number)
{
	static const struct queue_form rx = {
		.enable = xen_ring_enable, .pop = pop_rx, .push = push_rx, .notify_on = xen_ring_notify_on,
	};
	static const struct queue_form tx = {
		.enable = xen_ring_enable, .pop = pop_tx, .push = push_tx, .notify_on = xen_ring_notify_on,
	};
	const uint8_t *mac = backend->device->registers + VIRTIO_CONFIG;

	backend->open = open_rings;
	make_ring(backend, RX, sizeof(struct rx_request), &rx);
	make_ring(backend, TX, sizeof(struct tx_request), &tx);
	xen_backend_name(backend, "vif", number);
	xen_backend_tell(backend, backend->front, "handle", "%u", number);
	xen_backend_tell(backend, backend->front, "mac", "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
			 mac[3], mac[4], mac[5]);
	/* Frames are copied, and come with their checksums. */
	xen_backend_tell(backend, backend->back, "feature-rx-copy", "1");
	xen_backend_begin(backend);
}
