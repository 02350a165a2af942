/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A virtio device on the memory-mapped transport, version 2.
 *
 * Reads of its registers have no effects.  So the registers are in a page that the guest reads as
 * memory, without an exit; only writes come here.  The device writes the page and never trusts its
 * contents.
 *
 * Each device has one thread, which serves its queues: no request runs on a
 * vCPU's thread.  Notifications come as an eventfd that the module signals
 * (a write to QueueNotify), interrupts go out through one that it waits for.
 */
#ifndef DEVICE_VIRTIO_VIRTIO_H
#define DEVICE_VIRTIO_VIRTIO_H

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "device/device.h"
#include "device/state.h"
#include "queue.h"

#define VIRTIO_MAX_QUEUES	34	/* a console of 16 ports */
#define VIRTIO_CONFIG		0x100	/* offset of the device's own configuration */
#define VIRTIO_CONFIG_MAX	256
#define VIRTIO_MAX_FDS		512
/* Bytes served in one hold of the lock, and in one turn of the thread; one buffer may exceed them. */
#define VIRTIO_PIECE		(1u << 20)
#define VIRTIO_TURN		(32u << 20)
#define VIRTIO_SEGMENT		4096u	/* the cost of a segment, in bytes */

/**
 * enum virtio_counter - what a device counts, as its guest sees it
 * @VIRTIO_IN, @VIRTIO_IN_BYTES: read from the disk, or received
 * @VIRTIO_OUT, @VIRTIO_OUT_BYTES: written to the disk, or sent
 * @VIRTIO_FLUSHES: that succeeded
 * @VIRTIO_DISCARDS: likewise; also writes of zeroes
 * @VIRTIO_ERRORS: requests that were answered with an error
 * @VIRTIO_DROPPED: frames that were lost
 */
enum virtio_counter {
	VIRTIO_IN,
	VIRTIO_IN_BYTES,
	VIRTIO_OUT,
	VIRTIO_OUT_BYTES,
	VIRTIO_FLUSHES,
	VIRTIO_DISCARDS,
	VIRTIO_ERRORS,
	VIRTIO_DROPPED,
	VIRTIO_COUNTERS
};

struct virtio_device;

/**
 * struct virtio_ops - operations of a kind of device
 * @name: for messages
 * @id: the standard's device number
 * @work: serve the queues and @poll's descriptors; only while the driver runs the device
 * @reset: drop the driver's state (may be NULL)
 * @disable: a queue was switched off: do not touch its buffers any more (may be NULL)
 * @config_write: the driver wrote to its configuration (may be NULL)
 * @poll: set other descriptors to wait for in @fds, and lower *@timeout (ms); returns their number
 *	(may be NULL)
 * @polled: handle the events of @poll's descriptors
 * @destroy: close what was opened, after the thread has ended (may be NULL)
 * @version: of the fields that @save adds
 * @save: append the device's own fields to the transport's (may be NULL)
 * @load: take these fields; if the record is refused, @reset undoes its changes (may be NULL)
 * @freeze: put back buffers that are not done (may be NULL)
 * @thaw: after @load: tell the outside (may be NULL)
 * @prepare: see struct device_state_ops; without the lock, any thread (may be NULL)
 * @settle: flush in struct device_state_ops; with the lock (may be NULL)
 * @yield, @claim: likewise (may be NULL)
 *
 * @publish: update what others read without the lock (may be NULL)
 *
 * All but @destroy and @prepare are called with @lock held; @work, @poll and @polled by the
 * device's thread.  @work may lose the lock for a moment in each virtio_spend().
 */
struct virtio_ops {
	const char *name;
	uint32_t id;
	void (*work)(struct virtio_device *device);
	void (*reset)(struct virtio_device *device);
	void (*disable)(struct virtio_device *device);
	void (*config_write)(struct virtio_device *device, unsigned int offset, uint32_t value,
			     unsigned int bytes);
	unsigned int (*poll)(struct virtio_device *device, struct pollfd *fds, unsigned int room,
			     int *timeout);
	void (*polled)(struct virtio_device *device, const struct pollfd *fds, unsigned int count);
	void (*destroy)(struct virtio_device *device);
	uint32_t version;
	void (*save)(struct virtio_device *device, struct state_writer *out);
	void (*load)(struct virtio_device *device, struct state_reader *in);
	void (*freeze)(struct virtio_device *device);
	void (*thaw)(struct virtio_device *device);
	bool (*prepare)(struct virtio_device *device, struct error *error);
	bool (*settle)(struct virtio_device *device, struct error *error);
	void (*yield)(struct virtio_device *device);
	bool (*claim)(struct virtio_device *device, struct error *error);
	void (*publish)(struct virtio_device *device);
};

/**
 * struct virtio_device - the common part of all devices; first in each
 * @label: for messages: "disk a.img"
 * @registers: the page that the guest reads
 * @gate: held by a thread that waits for @lock, so that the device's thread cannot overtake it
 * @lock: for everything below it, and the device's own state; virtio_lock()
 * @features: the offered features
 * @negotiated: the features that the driver took, final once FEATURES_OK is set
 * @kick_fd: signalled if the driver notified a queue, or somebody needs the thread
 * @irq_fd: written to interrupt the guest
 * @begin: called first by its thread, or NULL
 * @raise: interrupts the guest in place of @irq_fd, with @raise_data and the lock held; or NULL
 * @chain: the buffer that the device's thread is serving, from the queue @serving
 * @piece, @turn: bytes served in this hold of the lock, and in this turn of the thread
 * @rounds: number of times that the thread may still look again in this turn
 * @complaints: number of lines printed about this device
 * @frozen: its thread must wait, see devices_freeze()
 * @parked: its thread waits, and uses no descriptor of the device
 * @parks: signalled when @parked becomes true
 * @loaded: a record was loaded since the last thaw
 * @state: its name and operations for saved state
 * @memory: the guest's
 * @number: its own among the devices that were named for the module, from 1; 0: it was not
 * @counters: by enum virtio_counter; read and written without the lock
 */
struct virtio_device {
	const struct virtio_ops *ops;
	char label[96];
	uint8_t *registers;
	int kick_fd;
	int irq_fd;
	pthread_t thread;
	void (*begin)(void);
	void (*raise)(struct virtio_device *device);
	void *raise_data;
	bool started;
	bool stop;
	unsigned int complaints;
	bool frozen;
	bool parked;
	bool loaded;
	char state_name[STATE_NAME_MAX + 1];
	struct device_state_ops state;
	struct guest_memory *memory;
	uint32_t number;
	uint64_t counters[VIRTIO_COUNTERS];

	pthread_mutex_t gate;
	pthread_mutex_t lock;
	pthread_cond_t parks;
	uint64_t features;
	uint64_t driver_features;
	uint64_t negotiated;
	uint32_t features_select;
	uint32_t driver_select;
	uint32_t queue_select;
	uint32_t status;
	unsigned int nr_queues;
	struct queue queues[VIRTIO_MAX_QUEUES];
	struct queue_chain chain;
	unsigned int serving;
	uint64_t piece;
	uint64_t turn;
	unsigned int rounds;
};

/** virtio_lock() - take @device->lock in turn: no thread waits longer than for one piece of work */
void virtio_lock(struct virtio_device *device);
void virtio_unlock(struct virtio_device *device);

/** virtio_counted() - add to a counter; any thread */
static inline void virtio_counted(struct virtio_device *device, enum virtio_counter counter,
				  uint64_t value)
{
	__atomic_fetch_add(&device->counters[counter], value, __ATOMIC_RELAXED);
}

/** virtio_write() - a register write, as the bus hands it on; any thread */
void virtio_write(struct virtio_device *device, uint64_t offset, uint64_t value,
		  unsigned int bytes);
uint64_t virtio_read(struct virtio_device *device, uint64_t offset, unsigned int bytes);

/**
 * virtio_init() - initialise a device to its state after power-on, without its thread
 * @registers: a zeroed page
 * @features: without those of the transport
 *
 * @device is zeroed except @label and what ops->destroy() undoes.  False: it is destroyed and
 *	freed.
 */
bool virtio_init(struct virtio_device *device, const struct virtio_ops *ops,
		 struct guest_memory *memory, uint8_t *registers, uint64_t features,
		 unsigned int nr_queues, struct error *error);
/**
 * virtio_name() - name the device, so that traces tell its writes to guest memory apart
 * @number: from 1, unique among the VM's
 * @index: number among devices of its kind, for "disk0"
 */
int virtio_name(struct virtio_device *device, int vm_fd, uint32_t number, unsigned int index);
/**
 * virtio_attach() - let a driver that knows no virtio run the device, by rings of another form; lock held
 * @rings: where the ring of each queue is
 * @features: as if the driver had taken these, where the device has them
 *
 * Each queue has got its form before.  False: a ring is bad.  virtio_reset() ends it.
 */
bool virtio_attach(struct virtio_device *device, const uint64_t *rings, uint64_t features);
/** virtio_register() - register the device for saved state, as "virtio-NAME" @instance: state.c */
void virtio_register(struct virtio_device *device, uint32_t instance);
/** virtio_start() - start its thread, which blocks all signals; 0 or -errno */
int virtio_start(struct virtio_device *device);
/** virtio_stop() - stop its thread, after the request in progress */
void virtio_stop(struct virtio_device *device);
/** virtio_destroy() - destroy and free it; its thread is stopped */
void virtio_destroy(struct virtio_device *device);

/** virtio_running() - has the driver started it, and is it not broken?  Lock held */
bool virtio_running(const struct virtio_device *device);
bool virtio_has(const struct virtio_device *device, unsigned int feature);
/** virtio_set_config() - set the guest's value at @offset of the configuration */
void virtio_set_config(struct virtio_device *device, unsigned int offset, const void *data,
		       unsigned int bytes);
/** virtio_show() - update the registers that the guest reads; lock held */
void virtio_show(struct virtio_device *device);
/**
 * virtio_interrupt() - interrupt the guest; @why: VIRTIO_MMIO_INT_*, or 0 to repeat for reasons not
 * acknowledged
 */
void virtio_interrupt(struct virtio_device *device, uint32_t why);
/** virtio_reset() - reset to the state after power-on; lock held */
void virtio_reset(struct virtio_device *device);
/** virtio_config_changed() - tell the driver that the configuration changed; lock held */
void virtio_config_changed(struct virtio_device *device);
/** virtio_kick() - make the device's thread check everything once more; any thread */
void virtio_kick(struct virtio_device *device);
/** virtio_broken() - stop serving until a reset, since the guest broke the rules; lock held */
void virtio_broken(struct virtio_device *device, const char *words);
/** virtio_complain() - print a line on stderr; the number is limited, since guests can cause them */
void virtio_complain(struct virtio_device *device, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * virtio_pop() - queue_pop() into device->chain; a bad queue breaks the device
 *
 * True if there was one.  There is none while the driver does not run the device, or it is frozen.
 */
bool virtio_pop(struct virtio_device *device, unsigned int queue);
/** virtio_push() - return device->chain, and interrupt if the driver wants it */
void virtio_push(struct virtio_device *device, unsigned int queue, uint64_t written);
/** virtio_push_other() - likewise for a chain that was kept; any thread */
void virtio_push_other(struct virtio_device *device, unsigned int queue,
		       const struct queue_chain *chain, uint64_t written);
/** virtio_put_back() - put device->chain back to the queue, to be popped again */
void virtio_put_back(struct virtio_device *device);
/** virtio_more() - ask for a notification of the next buffer; true if one came meanwhile */
bool virtio_more(struct virtio_device *device, unsigned int queue);
/** virtio_halts() - must the thread freeze or end? */
bool virtio_halts(const struct virtio_device *device);
/** virtio_breathe() - count @bytes as served, and now and then let others have the lock */
void virtio_breathe(struct virtio_device *device, uint64_t bytes);
/**
 * virtio_spend() - likewise, while device->chain is served
 *
 * False: the driver took it away meanwhile, so guest memory must not be accessed for it.
 */
bool virtio_spend(struct virtio_device *device, uint64_t bytes);
/**
 * virtio_serve() - serve the waiting chains of a queue, within this turn
 * @serve: serves device->chain; returns the number of bytes written, or -1 if there is nothing to
 *	return, after virtio_broken(), virtio_put_back(), or a virtio_spend() that returned false
 */
void virtio_serve(struct virtio_device *device, unsigned int queue,
		  int64_t (*serve)(struct virtio_device *device, struct queue_chain *chain));

#endif
