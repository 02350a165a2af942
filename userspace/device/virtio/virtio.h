/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A virtio device on the memory-mapped transport, version 2.
 *
 * None of its registers has an effect when read.  So they lie in a page that
 * the guest reads as memory, without an exit; only writes come here.  The page
 * is what the guest sees, and is written by the device, never trusted by it.
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
#define VIRTIO_MAX_FDS		64
/* How much is served in one hold of the lock, and in one turn of the thread, but for one buffer. */
#define VIRTIO_PIECE		(1u << 20)
#define VIRTIO_TURN		(32u << 20)
#define VIRTIO_SEGMENT		4096u	/* bytes that a segment is as dear as to handle */

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
 * struct virtio_ops - what makes a device a disk, a network card …
 * @name: for messages
 * @id: the standard's device number
 * @work: queues may have something, or @poll's descriptors: serve them.  Only while the driver
 *        runs the device
 * @reset: forget what belongs to the driver (may be NULL)
 * @config_write: the driver wrote to its configuration (may be NULL)
 * @poll: what else to wait for (may be NULL): fills @fds, lowers *@timeout (ms); returns how many
 * @polled: what @poll asked for, with revents
 * @destroy: close what was opened (may be NULL); the thread is gone
 * @version: of the fields that @save adds
 * @save: add the device's own fields to those of the transport (may be NULL)
 * @load: take them; what it changes, @reset undoes if it is refused (may be NULL)
 * @freeze: put back what was taken off a queue and is not done (may be NULL)
 * @thaw: after @load: what the outside has to know (may be NULL)
 * @prepare: see struct device_state_ops; without the lock, any thread (may be NULL)
 * @settle: devices_flush(); with it (may be NULL)
 * @yield, @claim: likewise (may be NULL)
 *
 * @publish: show what others read without the lock (may be NULL)
 *
 * All but @destroy and @prepare are called with @lock held; @work, @poll and @polled by the device's
 * thread.  @work may lose the lock for a moment each time that it calls virtio_spend().
 */
struct virtio_ops {
	const char *name;
	uint32_t id;
	void (*work)(struct virtio_device *device);
	void (*reset)(struct virtio_device *device);
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
 * struct virtio_device - the part that all devices share; it comes first in each
 * @label: for messages: "disk a.img"
 * @registers: the page that the guest reads
 * @gate: held while @lock is waited for, so that the thread cannot overtake
 * @lock: everything below it, and the device's own state; virtio_lock()
 * @features: what is offered
 * @negotiated: what the driver took, final once FEATURES_OK is set
 * @kick_fd: the driver notified a queue, or somebody wants the thread's attention
 * @irq_fd: written to interrupt the guest
 * @begin: called by its thread before all else, or NULL
 * @chain: the buffer that the device's thread serves, from the queue @serving
 * @piece, @turn: bytes served since the lock, and the thread's turn, began
 * @rounds: how often the thread may still look again in this turn
 * @complaints: lines about this device so far
 * @frozen: its thread only waits, see devices_freeze()
 * @parked: it does by now: it has no descriptor of the device's in its hands
 * @parks: signalled when @parked becomes true
 * @loaded: it was, since it was last thawed
 * @state: under what name and how it is saved
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

/** virtio_lock() - @device->lock, in turn: no thread waits for longer than one piece of work */
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
 * virtio_init() - a device after power-on; its thread does not run yet
 * @registers: a zeroed page
 * @features: besides those of the transport
 *
 * @device is zeroed but for @label and what ops->destroy() undoes.  False: that is done, and
 * @device is freed.
 */
bool virtio_init(struct virtio_device *device, const struct virtio_ops *ops,
		 struct guest_memory *memory, uint8_t *registers, uint64_t features,
		 unsigned int nr_queues, struct error *error);
/**
 * virtio_name() - what it writes to guest memory is told from what others write, in traces
 * @number: from 1, unique among the VM's
 * @index: among those of its kind: "disk0"
 */
int virtio_name(struct virtio_device *device, int vm_fd, uint32_t number, unsigned int index);
/** virtio_register() - "virtio-NAME" @instance among the devices that are saved: state.c */
void virtio_register(struct virtio_device *device, uint32_t instance);
/** virtio_start() - its thread, which blocks all signals; 0 or -errno */
int virtio_start(struct virtio_device *device);
/** virtio_stop() - waits for the request under way */
void virtio_stop(struct virtio_device *device);
/** virtio_destroy() - once it is stopped: frees it too */
void virtio_destroy(struct virtio_device *device);

/** virtio_running() - has the driver started it, and is it not broken? Lock held. */
bool virtio_running(const struct virtio_device *device);
bool virtio_has(const struct virtio_device *device, unsigned int feature);
/** virtio_set_config() - what the guest reads at @offset of the configuration */
void virtio_set_config(struct virtio_device *device, unsigned int offset, const void *data,
		       unsigned int bytes);
/** virtio_show() - the registers that the guest reads, from what the device knows; lock held */
void virtio_show(struct virtio_device *device);
/** virtio_interrupt() - @why: VIRTIO_MMIO_INT_*, or 0: repeat the interrupt for reasons that the guest has not acknowledged */
void virtio_interrupt(struct virtio_device *device, uint32_t why);
/** virtio_reset() - as after power-on; lock held */
void virtio_reset(struct virtio_device *device);
/** virtio_config_changed() - tell the driver so; lock held */
void virtio_config_changed(struct virtio_device *device);
/** virtio_kick() - make the device's thread look at everything once more; any thread */
void virtio_kick(struct virtio_device *device);
/** virtio_broken() - the guest broke the rules: nothing more is served until it resets; lock held */
void virtio_broken(struct virtio_device *device, const char *words);
/** virtio_complain() - a line on stderr, bounded in number: guests can cause them */
void virtio_complain(struct virtio_device *device, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * virtio_pop() - queue_pop() into device->chain; a bad queue breaks the device
 *
 * True if one came.  None comes while the driver does not run the device, or it is frozen.
 */
bool virtio_pop(struct virtio_device *device, unsigned int queue);
/** virtio_push() - give device->chain back, and interrupt if the driver wants that */
void virtio_push(struct virtio_device *device, unsigned int queue, uint64_t written);
/** virtio_push_other() - likewise a chain that was kept; any thread */
void virtio_push_other(struct virtio_device *device, unsigned int queue,
		       const struct queue_chain *chain, uint64_t written);
/** virtio_put_back() - give device->chain back to the queue unserved: it comes again */
void virtio_put_back(struct virtio_device *device);
/** virtio_more() - ask to be notified of the next buffer; true if one has come meanwhile */
bool virtio_more(struct virtio_device *device, unsigned int queue);
/** virtio_halts() - does somebody wait for the thread to freeze or end? */
bool virtio_halts(const struct virtio_device *device);
/** virtio_breathe() - @bytes are served: now and then, let others have the lock */
void virtio_breathe(struct virtio_device *device, uint64_t bytes);
/**
 * virtio_spend() - likewise, while device->chain is served
 *
 * False: the driver took it away meanwhile, and guest memory must not be touched for it.
 */
bool virtio_spend(struct virtio_device *device, uint64_t bytes);
/**
 * virtio_serve() - the waiting chains of a queue, as far as this turn goes
 * @serve: what to do with device->chain; returns how many bytes it wrote, or -1 if there is nothing
 *         to give back: it called virtio_broken() or virtio_put_back(), or virtio_spend() said no
 */
void virtio_serve(struct virtio_device *device, unsigned int queue,
		  int64_t (*serve)(struct virtio_device *device, struct queue_chain *chain));

#endif
