// SPDX-License-Identifier: GPL-2.0-only
/* The record of a virtio device: the transport, its queues, and the device's own fields. */
#include <stdio.h>
#include <string.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#include "virtio.h"

#define TRANSPORT_VERSION 1u
#define INTERRUPTS	(VIRTIO_MMIO_INT_VRING | VIRTIO_MMIO_INT_CONFIG)

static uint32_t *reg(struct virtio_device *device, unsigned int offset)
{
	return (uint32_t *)(device->registers + offset);
}

/*
 * When we get the lock, the thread may still have a buffer: it serves it or puts it back, and takes
 * no other.  The device's own freeze() puts held buffers back.  The thread must also have left
 * poll(), since that keeps a tap in use that is closed meanwhile.
 */
static void freeze(void *argument)
{
	struct virtio_device *device = argument;

	virtio_lock(device);
	device->frozen = true;
	if (device->ops->freeze)
		device->ops->freeze(device);
	virtio_kick(device);
	while (device->started && !device->parked)
		pthread_cond_wait(&device->parks, &device->lock);
	virtio_unlock(device);
}

/* Repeat notifications and interrupts that may have been in flight: one too many does no harm. */
static void thaw(void *argument)
{
	struct virtio_device *device = argument;

	virtio_lock(device);
	device->frozen = false;
	device->parked = false;
	if (device->loaded && device->ops->thaw)
		device->ops->thaw(device);
	if (device->loaded && *reg(device, VIRTIO_MMIO_INTERRUPT_STATUS))
		virtio_interrupt(device, 0);
	device->loaded = false;
	virtio_unlock(device);
	virtio_kick(device);
}

static bool prepare(void *argument, struct error *error)
{
	struct virtio_device *device = argument;

	return !device->ops->prepare || device->ops->prepare(device, error);
}

static bool flush(void *argument, struct error *error)
{
	struct virtio_device *device = argument;
	bool safe = true;

	virtio_lock(device);
	if (device->ops->settle)
		safe = device->ops->settle(device, error);
	virtio_unlock(device);
	return safe;
}

static void yield(void *argument)
{
	struct virtio_device *device = argument;

	virtio_lock(device);
	if (device->ops->yield)
		device->ops->yield(device);
	virtio_unlock(device);
}

static bool claim(void *argument, struct error *error)
{
	struct virtio_device *device = argument;
	bool ok = true;

	virtio_lock(device);
	if (device->ops->claim)
		ok = device->ops->claim(device, error);
	virtio_unlock(device);
	return ok;
}

/* ---- saving ------------------------------------------------------------------------- */

static void save_queue(struct state_writer *out, const struct queue *queue)
{
	state_put(out, "queue.size", 4, queue->size);
	state_put(out, "queue.ready", 1, queue->ready);
	state_put(out, "queue.broken", 1, !!queue->error);
	state_put(out, "queue.event_idx", 1, queue->event_idx);
	state_put(out, "queue.desc", 8, queue->desc);
	state_put(out, "queue.avail", 8, queue->avail);
	state_put(out, "queue.used", 8, queue->used);
	state_put(out, "queue.next_avail", 2, queue->next_avail);
	state_put(out, "queue.next_used", 2, queue->next_used);
	state_put(out, "queue.signalled", 2, queue->signalled);
}

static void save(void *argument, struct state_writer *out)
{
	struct virtio_device *device = argument;

	virtio_lock(device);
	state_put(out, "features", 8, device->features);
	state_put(out, "driver_features", 8, device->driver_features);
	state_put(out, "negotiated", 8, device->negotiated);
	state_put(out, "features_select", 4, device->features_select);
	state_put(out, "driver_select", 4, device->driver_select);
	state_put(out, "queue_select", 4, device->queue_select);
	state_put(out, "status", 4, device->status);
	state_put(out, "interrupt_status", 4, *reg(device, VIRTIO_MMIO_INTERRUPT_STATUS));
	state_put(out, "config_generation", 4, *reg(device, VIRTIO_MMIO_CONFIG_GENERATION));
	state_put(out, "queues", 4, device->nr_queues);
	for (unsigned int i = 0; i < device->nr_queues; i++)
		save_queue(out, &device->queues[i]);
	if (device->ops->save)
		device->ops->save(device, out);
	virtio_unlock(device);
}

/* ---- loading: what comes may be anything ------------------------------------------------ */

/* Accept only what a driver can cause by writing registers. */
static void load_status(struct virtio_device *device, struct state_reader *in)
{
	bool accepted;

	device->status = state_take(in, "status", 4, 0xff);
	accepted = device->status & VIRTIO_CONFIG_S_FEATURES_OK;
	if (device->status & VIRTIO_CONFIG_S_DRIVER_OK && !accepted)
		state_refuse(in, "status", "0x%x: running without features", device->status);
	if (accepted && !virtio_has(device, VIRTIO_F_VERSION_1))
		state_refuse(in, "status", "0x%x: a legacy driver was accepted", device->status);
}

static void load_features(struct virtio_device *device, struct state_reader *in)
{
	uint64_t offered = device->features, features = state_take(in, "features", 8, UINT64_MAX);

	if (features & ~offered)
		state_refuse(in, "features",
			     "0x%llx are not offered by the device made here (read-only and writable disks differ)",
			     (unsigned long long)(features & ~offered));
	else if (!state_failed(in))
		device->features = features;
	device->driver_features = state_take(in, "driver_features", 8, UINT64_MAX);
	device->negotiated = state_take(in, "negotiated", 8, UINT64_MAX);
	if (device->negotiated & ~device->features)
		state_refuse(in, "negotiated", "0x%llx were never offered",
			     (unsigned long long)(device->negotiated & ~device->features));
}

static void load_queue(struct virtio_device *device, struct queue *queue,
		       struct state_reader *in)
{
	uint16_t next_avail, next_used, signalled;
	bool ready, broken;

	queue_reset(queue);
	queue->size = state_take(in, "queue.size", 4, UINT32_MAX);
	ready = state_take(in, "queue.ready", 1, 1);
	broken = state_take(in, "queue.broken", 1, 1);
	queue->event_idx = state_take(in, "queue.event_idx", 1, 1);
	queue->desc = state_take(in, "queue.desc", 8, UINT64_MAX);
	queue->avail = state_take(in, "queue.avail", 8, UINT64_MAX);
	queue->used = state_take(in, "queue.used", 8, UINT64_MAX);
	next_avail = state_take(in, "queue.next_avail", 2, UINT16_MAX);
	next_used = state_take(in, "queue.next_used", 2, UINT16_MAX);
	signalled = state_take(in, "queue.signalled", 2, UINT16_MAX);
	if (ready && !state_failed(in)) {
		if (!(device->status & VIRTIO_CONFIG_S_FEATURES_OK))
			state_refuse(in, "queue.ready", "no features were accepted");
		else if (!queue_enable(queue))
			state_refuse(in, "queue.ready", "%s", queue->error);
		else if (queue->event_idx != virtio_has(device, VIRTIO_RING_F_EVENT_IDX))
			state_refuse(in, "queue.event_idx", "that was not negotiated");
	}
	/* queue_enable() starts at 0; continue from the saved position. */
	queue->next_avail = next_avail;
	queue->next_used = next_used;
	queue->signalled = signalled;
	if (broken)
		queue->error = "it was broken when it was saved";
}

static bool load(void *argument, struct state_reader *in)
{
	struct virtio_device *device = argument;
	uint64_t offered = device->features;
	uint32_t queues, interrupts, generation;

	virtio_lock(device);
	load_features(device, in);
	device->features_select = state_take(in, "features_select", 4, UINT32_MAX);
	device->driver_select = state_take(in, "driver_select", 4, UINT32_MAX);
	device->queue_select = state_take(in, "queue_select", 4, UINT32_MAX);
	load_status(device, in);
	interrupts = state_take(in, "interrupt_status", 4, INTERRUPTS);
	generation = state_take(in, "config_generation", 4, UINT32_MAX);
	queues = state_take(in, "queues", 4, VIRTIO_MAX_QUEUES);
	if (queues != device->nr_queues)
		state_refuse(in, "queues", "the device made here has %u, not %u",
			     device->nr_queues, queues);
	for (unsigned int i = 0; i < device->nr_queues; i++)
		load_queue(device, &device->queues[i], in);
	if (device->ops->load)
		device->ops->load(device, in);
	device->loaded = state_end(in);
	if (device->loaded) {
		*reg(device, VIRTIO_MMIO_INTERRUPT_STATUS) = interrupts;
		*reg(device, VIRTIO_MMIO_CONFIG_GENERATION) = generation;
		virtio_show(device);
	} else {
		device->features = offered;
		virtio_reset(device);
	}
	virtio_unlock(device);
	return device->loaded;
}

void virtio_register(struct virtio_device *device, uint32_t instance)
{
	snprintf(device->state_name, sizeof(device->state_name), "virtio-%s", device->ops->name);
	device->state = (struct device_state_ops){
		.name = device->state_name, .version = TRANSPORT_VERSION << 16 | device->ops->version,
		.save = save, .load = load, .freeze = freeze, .thaw = thaw,
		.prepare = prepare, .flush = flush, .yield = yield, .claim = claim,
	};
	device_register(&device->state, instance, device);
}
