/* SPDX-License-Identifier: GPL-2.0-only */
/* The virtio devices, and their creation by the launcher. */
#ifndef DEVICE_VIRTIO_DEVICES_H
#define DEVICE_VIRTIO_DEVICES_H

#include "virtio.h"

struct json_object;
struct vm;

/**
 * struct virtio_spec - a device of the command line
 * @kind: the option: "--disk" …
 * @value: the option's value
 */
struct virtio_spec {
	enum virtio_kind { VIRTIO_DISK, VIRTIO_NET, VIRTIO_RNG, VIRTIO_PORT,
		VIRTIO_BALLOON, VIRTIO_BALLOON_OOM, VIRTIO_VHOST_USER } kind;
	const char *value;
};

/**
 * virtio_create_all() - create the devices in the order of the command line
 *
 * False, with @error, at the first that cannot be created; virtio_stop_all() frees those before it.
 * The n-th one is at VIRTIO_MMIO_BASE + n * VIRTIO_MMIO_STRIDE, so the same options give the same
 * addresses.  All ports are one console device, at the place of the first.
 */
bool virtio_create_all(struct vm *vm, const struct virtio_spec *specs, unsigned int count,
		       struct error *error);
/** virtio_start_all() - start their threads, once the launcher has confined itself */
bool virtio_start_all(struct vm *vm, struct error *error);
/** virtio_makes_connections() - does this process make connections for the guest ("--net user")? */
bool virtio_makes_connections(const struct virtio_spec *spec);
/** virtio_shares_memory() - does another program serve one of the devices ("--vhost-user", qcow2)? */
bool virtio_shares_memory(const struct virtio_spec *specs, unsigned int count);
/** virtio_count() - get the number of devices that @specs make */
unsigned int virtio_count(const struct virtio_spec *specs, unsigned int count);
/** virtio_stop_all() - complete the guest's requests and join all threads */
void virtio_stop_all(struct vm *vm);

/** virtio_balloon() - get the guest's balloon, or NULL */
struct virtio_device *virtio_balloon(const struct vm *vm);
/** virtio_device_at() - the device in that place; NULL behind the last one */
struct virtio_device *virtio_device_at(const struct vm *vm, unsigned int slot);
/** virtio_counts_json() - an array of what disks and network cards counted; any thread */
struct json_object *virtio_counts_json(const struct vm *vm);

/**
 * struct disk_options - options after the name of a disk's file
 * @readonly: ",ro": the guest only reads it
 * @format: ",format=qcow2" or the like; "raw": even if it looks like another image; NULL: not said
 * @unlocked: ",lock=off": no lock keeps others from it
 */
struct disk_options {
	bool readonly, unlocked;
	const char *format;
};

/** disk_split() - cut the options off @spec, which leaves the file's name; false with @error */
bool disk_split(char *spec, struct disk_options *options, struct error *error);
/** disk_is_served() - does QEMU's storage daemon read its format for us? */
bool disk_is_served(const struct disk_options *options);
/**
 * disk_lock() - keep other VMs from the open file of a disk
 *
 * Readers share the lock, a writer holds it alone; it ends with the process.  False with @error.
 */
bool disk_lock(int fd, const struct disk_options *options, struct error *error);

/*
 * Check @spec, as far as possible without creating the device.  False with @error.  Reads a disk's
 * file, but does not check a tap, a port's file and a back-end's socket.
 */
bool disk_check(const char *spec, struct error *error);
bool net_check(const char *spec, struct error *error);
bool port_check(const char *spec, struct error *error);
bool vhost_user_check(const char *spec, struct error *error);

/* Each creates a device, or returns NULL with @error; @registers is a zeroed page. */
struct virtio_device *block_create(struct guest_memory *memory, uint8_t *registers,
				   const char *spec, struct error *error);
/** block_count() - count a disk's request of @type in the metrics, by how it ended */
void block_count(struct virtio_device *device, const struct queue_chain *chain, uint32_t type,
		 int status);
/** vhost_blk_create() - @spec: blk=SOCKET, where the back-end listens; @memory must be shared */
struct virtio_device *vhost_blk_create(struct guest_memory *memory, uint8_t *registers,
				       const char *spec, struct error *error);
/** image_create() - likewise of a disk_is_served() disk, whose program is started */
struct virtio_device *image_create(struct guest_memory *memory, uint8_t *registers,
				   const char *spec, struct error *error);
struct virtio_device *rng_create(struct guest_memory *memory, uint8_t *registers,
				 struct error *error);
struct virtio_device *net_create(struct guest_memory *memory, uint8_t *registers,
				 const char *spec, struct error *error);
/**
 * console_create() - create a console; @specs: NAME=unix:PATH[,console] or NAME=FILE[,console], for
 * each port
 */
struct virtio_device *console_create(struct guest_memory *memory, uint8_t *registers,
				     const char *const *specs, unsigned int count,
				     struct error *error);

#endif
