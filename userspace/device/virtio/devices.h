/* SPDX-License-Identifier: GPL-2.0-only */
/* The virtio devices, and what the launcher puts where. */
#ifndef DEVICE_VIRTIO_DEVICES_H
#define DEVICE_VIRTIO_DEVICES_H

#include "virtio.h"

struct json_object;
struct vm;

/**
 * struct virtio_spec - one device as asked for on the command line
 * @kind: "--disk" …, as the user wrote it
 * @value: what followed
 */
struct virtio_spec {
	enum virtio_kind { VIRTIO_DISK, VIRTIO_NET, VIRTIO_RNG, VIRTIO_PORT,
		VIRTIO_BALLOON, VIRTIO_BALLOON_OOM } kind;
	const char *value;
};

/**
 * virtio_create_all() - make the devices in the order in which they were asked for
 *
 * False, with @error, at the first that cannot be made; virtio_stop_all() frees those before it.
 * The n-th one lies at VIRTIO_MMIO_BASE + n * VIRTIO_MMIO_STRIDE: the same options give the same
 * addresses.  All ports are one console device, at the place of the first.
 */
bool virtio_create_all(struct vm *vm, const struct virtio_spec *specs, unsigned int count,
		       struct error *error);
/** virtio_start_all() - their threads, once the launcher has confined itself */
bool virtio_start_all(struct vm *vm, struct error *error);
/** virtio_makes_connections() - on behalf of the guest: "--net user" */
bool virtio_makes_connections(const struct virtio_spec *spec);
/** virtio_count() - how many devices that makes */
unsigned int virtio_count(const struct virtio_spec *specs, unsigned int count);
/** virtio_stop_all() - all threads are joined; what the guest has handed over is done */
void virtio_stop_all(struct vm *vm);

/** virtio_balloon() - the guest's balloon, or NULL */
struct virtio_device *virtio_balloon(const struct vm *vm);
/** virtio_counts_json() - an array of what disks and network cards counted; any thread */
struct json_object *virtio_counts_json(const struct vm *vm);

/**
 * struct disk_options - what may follow the name of a disk's file
 * @readonly: ",ro": the guest only reads it
 * @raw: ",format=raw": it is raw, whatever it begins with
 */
struct disk_options {
	bool readonly, raw;
};

/** disk_split() - cut the options off @spec, which is the file's name then; false with @error */
bool disk_split(char *spec, struct disk_options *options, struct error *error);

/*
 * Could one be made of @spec, as far as that can be told without making it?  False with @error.  A
 * disk's file is read, a tap and a port's file are not looked at.
 */
bool disk_check(const char *spec, struct error *error);
bool net_check(const char *spec, struct error *error);
bool port_check(const char *spec, struct error *error);

/* Each returns NULL with @error if it cannot be made; @registers is a zeroed page. */
struct virtio_device *block_create(struct guest_memory *memory, uint8_t *registers,
				   const char *spec, struct error *error);
struct virtio_device *rng_create(struct guest_memory *memory, uint8_t *registers,
				 struct error *error);
struct virtio_device *net_create(struct guest_memory *memory, uint8_t *registers,
				 const char *spec, struct error *error);
/** console_create() - @specs: NAME=unix:PATH[,console] or NAME=FILE[,console], for each port */
struct virtio_device *console_create(struct guest_memory *memory, uint8_t *registers,
				     const char *const *specs, unsigned int count,
				     struct error *error);

#endif
