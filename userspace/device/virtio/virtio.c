// SPDX-License-Identifier: GPL-2.0-only
/* The transport's registers, and the thread of each device. */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#include "lib/libgondola.h"
#include "base/fail.h"
#include "base/hurry.h"
#include "base/thread.h"
#include "virtio.h"

#define VENDOR		0x4c444e47u	/* "GNDL" */
#define AGAIN_US	10000	/* pause after a failure of poll() */
#define MAX_COMPLAINTS	10
#define MAX_ROUNDS	256u	/* a driver may switch a queue on and off any number of times */
#define BIT64(n)	(1ull << (n))
#define TRANSPORT_FEATURES (BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_RING_F_INDIRECT_DESC) | \
			    BIT64(VIRTIO_RING_F_EVENT_IDX))

static uint32_t *reg(struct virtio_device *device, unsigned int offset)
{
	return (uint32_t *)(device->registers + offset);
}

static void show(struct virtio_device *device, unsigned int offset, uint32_t value)
{
	__atomic_store_n(reg(device, offset), value, __ATOMIC_RELEASE);
}

static void signal_fd(int fd)
{
	uint64_t one = 1;

	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* A mutex tends to go to the thread that has just released it.  So each thread first waits at the gate. */
void virtio_lock(struct virtio_device *device)
{
	assert(hurry_may_wait());
	pthread_mutex_lock(&device->gate);
	pthread_mutex_lock(&device->lock);
	pthread_mutex_unlock(&device->gate);
}

void virtio_unlock(struct virtio_device *device)
{
	if (device->ops->publish)
		device->ops->publish(device);
	pthread_mutex_unlock(&device->lock);
}

void virtio_kick(struct virtio_device *device)
{
	signal_fd(device->kick_fd);
}

void virtio_interrupt(struct virtio_device *device, uint32_t why)
{
	/* The guest must see this before the interrupt. */
	__atomic_fetch_or(reg(device, VIRTIO_MMIO_INTERRUPT_STATUS), why, __ATOMIC_SEQ_CST);
	if (device->raise)
		device->raise(device);
	else
		signal_fd(device->irq_fd);
}

void virtio_complain(struct virtio_device *device, const char *format, ...)
{
	unsigned int before = __atomic_fetch_add(&device->complaints, 1, __ATOMIC_RELAXED);
	char words[256];
	va_list args;

	if (before >= MAX_COMPLAINTS) {
		__atomic_store_n(&device->complaints, MAX_COMPLAINTS, __ATOMIC_RELAXED);
		return;
	}
	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	say("%s: %s%s", device->label, words,
	    before == MAX_COMPLAINTS - 1 ? " (the last message about this device)" : "");
}

bool virtio_running(const struct virtio_device *device)
{
	return (device->status & (VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_NEEDS_RESET |
				  VIRTIO_CONFIG_S_FAILED)) == VIRTIO_CONFIG_S_DRIVER_OK;
}

bool virtio_has(const struct virtio_device *device, unsigned int feature)
{
	return device->negotiated & BIT64(feature);
}

void virtio_set_config(struct virtio_device *device, unsigned int offset, const void *data,
		       unsigned int bytes)
{
	memcpy(device->registers + VIRTIO_CONFIG + offset, data, bytes);
}

void virtio_config_changed(struct virtio_device *device)
{
	show(device, VIRTIO_MMIO_CONFIG_GENERATION,
	     *reg(device, VIRTIO_MMIO_CONFIG_GENERATION) + 1);
	if (device->status & VIRTIO_CONFIG_S_DRIVER_OK)
		virtio_interrupt(device, VIRTIO_MMIO_INT_CONFIG);
}

void virtio_broken(struct virtio_device *device, const char *words)
{
	if (device->status & VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	virtio_complain(device, "the guest's driver broke it: %s", words);
	device->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	show(device, VIRTIO_MMIO_STATUS, device->status);
	if (device->status & VIRTIO_CONFIG_S_DRIVER_OK)
		virtio_interrupt(device, VIRTIO_MMIO_INT_CONFIG);
}

/* ---- queues: the device's thread -------------------------------------------------- */

bool virtio_halts(const struct virtio_device *device)
{
	return device->frozen || __atomic_load_n(&device->stop, __ATOMIC_ACQUIRE);
}

bool virtio_pop(struct virtio_device *device, unsigned int queue)
{
	int ret;

	if (!virtio_running(device) || device->frozen)
		return false;
	ret = queue_pop(&device->queues[queue], &device->chain);
	if (ret < 0)
		virtio_broken(device, device->queues[queue].error);
	device->serving = queue;
	return ret > 0;
}

void virtio_push_other(struct virtio_device *device, unsigned int queue,
		       const struct queue_chain *chain, uint64_t written)
{
	queue_push(&device->queues[queue], chain, written);
	if (queue_wants_interrupt(&device->queues[queue]))
		virtio_interrupt(device, VIRTIO_MMIO_INT_VRING);
}

void virtio_push(struct virtio_device *device, unsigned int queue, uint64_t written)
{
	virtio_push_other(device, queue, &device->chain, written);
}

void virtio_put_back(struct virtio_device *device)
{
	queue_unpop(&device->queues[device->serving], &device->chain);
}

bool virtio_more(struct virtio_device *device, unsigned int queue)
{
	if (!virtio_running(device) || device->frozen)
		return false;
	if (!device->rounds) {
		virtio_kick(device);
		return false;
	}
	device->rounds--;
	return queue_notify_on(&device->queues[queue]);
}

void virtio_breathe(struct virtio_device *device, uint64_t bytes)
{
	device->turn += bytes;
	device->piece += bytes;
	if (device->piece < VIRTIO_PIECE)
		return;
	virtio_unlock(device);
	virtio_lock(device);
	device->piece = 0;
}

bool virtio_spend(struct virtio_device *device, uint64_t bytes)
{
	virtio_breathe(device, bytes);
	return virtio_running(device) &&
	       queue_owns(&device->queues[device->serving], device->chain.generation);
}

void virtio_serve(struct virtio_device *device, unsigned int queue,
		  int64_t (*serve)(struct virtio_device *device, struct queue_chain *chain))
{
	/* Let other queues have a turn, even if the guest adds buffers as fast as we serve. */
	unsigned int budget = device->queues[queue].rings.size;

	do {
		queue_notify_off(&device->queues[queue]);
		while (virtio_pop(device, queue)) {
			const struct queue_chain *chain = &device->chain;
			int64_t written = serve(device, &device->chain);

			if (written < 0)
				return;
			virtio_push(device, queue, written);
			if (!virtio_spend(device, VIRTIO_SEGMENT * (chain->in + chain->out)) ||
			    !--budget || device->turn >= VIRTIO_TURN) {
				virtio_kick(device);
				return;
			}
		}
	} while (virtio_more(device, queue));
}

static void turn(struct virtio_device *device, const struct pollfd *fds, unsigned int count)
{
	device->piece = 0;
	device->turn = 0;
	device->rounds = MAX_ROUNDS;
	if (device->ops->polled)
		device->ops->polled(device, fds, count);
	if (virtio_running(device))
		device->ops->work(device);
}

static void *serve(void *argument)
{
	struct virtio_device *device = argument;
	const struct virtio_ops *ops = device->ops;

	if (device->begin)
		device->begin();
	while (!__atomic_load_n(&device->stop, __ATOMIC_ACQUIRE)) {
		struct pollfd fds[1 + VIRTIO_MAX_FDS];
		unsigned int count = 0;
		int timeout = -1;
		uint64_t kicks;

		fds[0] = (struct pollfd){ .fd = device->kick_fd, .events = POLLIN };
		virtio_lock(device);
		device->parked = device->frozen;
		if (device->parked)
			pthread_cond_broadcast(&device->parks);
		else if (ops->poll)
			count = ops->poll(device, fds + 1, VIRTIO_MAX_FDS, &timeout);
		virtio_unlock(device);
		if (poll(fds, 1 + count, timeout) < 0 && errno != EINTR) {
			/* The host may lack memory: try again soon. */
			virtio_complain(device, "cannot wait for events: %s", strerror(errno));
			usleep(AGAIN_US);
		}
		while (read(device->kick_fd, &kicks, sizeof(kicks)) < 0 && errno == EINTR)
			;
		virtio_lock(device);
		if (!device->frozen)
			turn(device, fds + 1, count);
		virtio_unlock(device);
	}
	return NULL;
}

int virtio_start(struct virtio_device *device)
{
	int ret = thread_start(&device->thread, serve, device);

	device->started = !ret;
	return -ret;
}

void virtio_stop(struct virtio_device *device)
{
	if (!device->started)
		return;
	__atomic_store_n(&device->stop, true, __ATOMIC_RELEASE);
	virtio_kick(device);
	pthread_join(device->thread, NULL);
	device->started = false;
}

void virtio_destroy(struct virtio_device *device)
{
	if (device->ops->destroy)
		device->ops->destroy(device);
	close(device->kick_fd);
	close(device->irq_fd);
	pthread_cond_destroy(&device->parks);
	pthread_mutex_destroy(&device->lock);
	pthread_mutex_destroy(&device->gate);
	free(device);
}

/* ---- registers: lock held ------------------------------------------------------------ */

static struct queue *selected(struct virtio_device *device)
{
	return device->queue_select < device->nr_queues ?
	       &device->queues[device->queue_select] : NULL;
}

static void show_features(struct virtio_device *device)
{
	show(device, VIRTIO_MMIO_DEVICE_FEATURES, device->features_select > 1 ? 0 :
	     device->features >> (32 * device->features_select));
}

static void show_queue(struct virtio_device *device)
{
	struct queue *queue = selected(device);

	show(device, VIRTIO_MMIO_QUEUE_NUM_MAX, queue ? QUEUE_MAX_SIZE : 0);
	show(device, VIRTIO_MMIO_QUEUE_READY, queue && queue->ready);
}

void virtio_show(struct virtio_device *device)
{
	show_features(device);
	show_queue(device);
	show(device, VIRTIO_MMIO_STATUS, device->status);
}

void virtio_reset(struct virtio_device *device)
{
	for (unsigned int i = 0; i < device->nr_queues; i++)
		queue_reset(&device->queues[i]);
	device->driver_features = 0;
	device->negotiated = 0;
	device->features_select = 0;
	device->driver_select = 0;
	device->queue_select = 0;
	device->status = 0;
	if (device->ops->reset)
		device->ops->reset(device);
	show(device, VIRTIO_MMIO_INTERRUPT_STATUS, 0);
	virtio_show(device);
}

bool virtio_attach(struct virtio_device *device, const uint64_t *rings, uint64_t features)
{
	const uint32_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
				VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK;

	/* The rings have their own way to say when they want to hear. */
	features &= ~BIT64(VIRTIO_RING_F_EVENT_IDX);
	device->driver_features = (features | BIT64(VIRTIO_F_VERSION_1)) & device->features;
	device->negotiated = device->driver_features;
	for (unsigned int i = 0; i < device->nr_queues; i++) {
		device->queues[i].desc = rings[i];
		if (!queue_enable(&device->queues[i]))
			return false;
	}
	device->status = status;
	virtio_show(device);
	virtio_kick(device);
	return true;
}

static void write_status(struct virtio_device *device, uint32_t value)
{
	uint32_t before = device->status;

	if (!value) {
		virtio_reset(device);
		return;
	}
	/* The driver sets bits one after the other; only a reset clears them. */
	value = (value & 0xff & ~VIRTIO_CONFIG_S_NEEDS_RESET) | before;
	if (value & ~before & VIRTIO_CONFIG_S_FEATURES_OK) {
		if (device->driver_features & ~device->features ||
		    !(device->driver_features & BIT64(VIRTIO_F_VERSION_1)))
			value &= ~VIRTIO_CONFIG_S_FEATURES_OK;
		else
			device->negotiated = device->driver_features;
	}
	if (!(value & VIRTIO_CONFIG_S_FEATURES_OK))
		value &= ~VIRTIO_CONFIG_S_DRIVER_OK;
	device->status = value;
	show(device, VIRTIO_MMIO_STATUS, value);
	if (value & ~before & VIRTIO_CONFIG_S_DRIVER_OK)
		virtio_kick(device);
}

static void write_ready(struct virtio_device *device, struct queue *queue, uint32_t value)
{
	if (!(value & 1)) {
		queue_disable(queue);
		if (device->ops->disable)
			device->ops->disable(device);
	} else if (!queue->ready && device->status & VIRTIO_CONFIG_S_FEATURES_OK) {
		queue->event_idx = virtio_has(device, VIRTIO_RING_F_EVENT_IDX);
		if (!queue_enable(queue))
			virtio_broken(device, queue->error);
	}
	show_queue(device);
}

static uint64_t with_low(uint64_t address, uint32_t value)
{
	return (address & ~0xffffffffull) | value;
}

static uint64_t with_high(uint64_t address, uint32_t value)
{
	return (address & 0xffffffffull) | (uint64_t)value << 32;
}

/* These registers may change only while the queue is off. */
static void write_queue(struct queue *queue, uint64_t offset, uint32_t value)
{
	switch (offset) {
	case VIRTIO_MMIO_QUEUE_NUM:
		queue->size = value;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
		queue->desc = with_low(queue->desc, value);
		break;
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		queue->desc = with_high(queue->desc, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
		queue->avail = with_low(queue->avail, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		queue->avail = with_high(queue->avail, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
		queue->used = with_low(queue->used, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		queue->used = with_high(queue->used, value);
		break;
	}
}

static void write_driver_features(struct virtio_device *device, uint32_t value)
{
	if (device->status & VIRTIO_CONFIG_S_FEATURES_OK || device->driver_select > 1)
		return;
	if (device->driver_select)
		device->driver_features = with_high(device->driver_features, value);
	else
		device->driver_features = with_low(device->driver_features, value);
}

static void write_register(struct virtio_device *device, uint64_t offset, uint32_t value)
{
	struct queue *queue = selected(device);

	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		device->features_select = value;
		show_features(device);
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		device->driver_select = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		write_driver_features(device, value);
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		device->queue_select = value;
		show_queue(device);
		break;
	case VIRTIO_MMIO_QUEUE_READY:
		if (queue)
			write_ready(device, queue, value);
		break;
	case VIRTIO_MMIO_STATUS:
		write_status(device, value);
		break;
	default:
		if (queue && !queue->ready)
			write_queue(queue, offset, value);
	}
}

static void write_config(struct virtio_device *device, uint64_t offset, uint64_t value,
			 unsigned int bytes)
{
	offset -= VIRTIO_CONFIG;
	if (!device->ops->config_write || offset + bytes > VIRTIO_CONFIG_MAX || bytes > 4)
		return;
	virtio_lock(device);
	device->ops->config_write(device, offset, value, bytes);
	virtio_unlock(device);
}

void virtio_write(struct virtio_device *device, uint64_t offset, uint64_t value,
		  unsigned int bytes)
{
	if (offset >= VIRTIO_CONFIG) {
		write_config(device, offset, value, bytes);
		return;
	}
	/* The standard has no other access to these registers. */
	if (bytes != 4 || offset % 4)
		return;
	/* Every request writes these two, so they must not wait while another is served. */
	if (offset == VIRTIO_MMIO_QUEUE_NOTIFY) {
		virtio_kick(device);
	} else if (offset == VIRTIO_MMIO_INTERRUPT_ACK) {
		__atomic_fetch_and(reg(device, VIRTIO_MMIO_INTERRUPT_STATUS), ~(uint32_t)value,
				   __ATOMIC_SEQ_CST);
	} else {
		virtio_lock(device);
		write_register(device, offset, value);
		virtio_unlock(device);
	}
}

uint64_t virtio_read(struct virtio_device *device, uint64_t offset, unsigned int bytes)
{
	uint64_t value = 0;

	if (bytes <= sizeof(value) && offset + bytes <= VIRTIO_MMIO_STRIDE)
		memcpy(&value, device->registers + offset, bytes);
	return value;
}

static void mark_dirty(void *argument, uint64_t gpa, uint64_t bytes)
{
	const struct virtio_device *device = argument;

	memory_mark_dirty(device->memory, device->number, gpa, bytes);
}

int virtio_name(struct virtio_device *device, int vm_fd, uint32_t number, unsigned int index)
{
	char name[GONDOLA_DEVICE_NAME_LEN];

	snprintf(name, sizeof(name), "%s%u", device->ops->name, index);
	device->number = number;
	return __gondola_name_device(vm_fd, number, name);
}

bool virtio_init(struct virtio_device *device, const struct virtio_ops *ops,
		 struct guest_memory *memory, uint8_t *registers, uint64_t features,
		 unsigned int nr_queues, struct error *error)
{
	device->ops = ops;
	device->registers = registers;
	device->features = features | TRANSPORT_FEATURES;
	device->memory = memory;
	device->nr_queues = nr_queues;
	pthread_mutex_init(&device->gate, NULL);
	pthread_mutex_init(&device->lock, NULL);
	pthread_cond_init(&device->parks, NULL);
	device->irq_fd = -1;
	device->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (device->kick_fd >= 0)
		device->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (device->irq_fd < 0) {
		error_set(error, EXIT_CODE_ERROR, "%s: cannot make an event descriptor: %s",
			  device->label, strerror(errno));
		virtio_destroy(device);
		return false;
	}
	for (unsigned int i = 0; i < nr_queues; i++)
		device->queues[i] = (struct queue){
			.memory = memory, .dirty = mark_dirty, .dirty_argument = device,
		};
	show(device, VIRTIO_MMIO_MAGIC_VALUE, 'v' | 'i' << 8 | 'r' << 16 | 't' << 24);
	show(device, VIRTIO_MMIO_VERSION, 2);
	show(device, VIRTIO_MMIO_DEVICE_ID, ops->id);
	show(device, VIRTIO_MMIO_VENDOR_ID, VENDOR);
	/* A length of all ones means that there is no shared memory. */
	show(device, VIRTIO_MMIO_SHM_LEN_LOW, ~0u);
	show(device, VIRTIO_MMIO_SHM_LEN_HIGH, ~0u);
	show(device, VIRTIO_MMIO_SHM_BASE_LOW, ~0u);
	show(device, VIRTIO_MMIO_SHM_BASE_HIGH, ~0u);
	virtio_reset(device);
	return true;
}
