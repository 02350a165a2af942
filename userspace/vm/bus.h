/* SPDX-License-Identifier: GPL-2.0-only */
/* An address space with devices: one for ports, one for memory. */
#ifndef VM_BUS_H
#define VM_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUS_MAX_RANGES	64

/**
 * struct bus_ops - a device's operations for accesses to a range
 * @read: read @bytes at @offset from the range's start
 * @write: likewise
 *
 * Called with the VM's device lock held.  Either may be NULL: then reads give all ones, and writes
 * are ignored.
 */
struct bus_ops {
	uint64_t (*read)(void *device, uint64_t offset, unsigned int bytes);
	void (*write)(void *device, uint64_t offset, uint64_t value, unsigned int bytes);
};

/**
 * struct bus_range - a device's range
 * @width: the device's widest access; wider ones are split, as on the ISA bus
 */
struct bus_range {
	uint64_t start;
	uint64_t bytes;
	unsigned int width;
	const struct bus_ops *ops;
	void *device;
};

/** struct bus - ranges in ascending order, none overlapping */
struct bus {
	struct bus_range ranges[BUS_MAX_RANGES];
	size_t count;
};

/** bus_add() - add a range; 0, -EINVAL (empty or wrapping), -EEXIST (overlap) or -ENOSPC */
int bus_add(struct bus *bus, uint64_t start, uint64_t bytes, unsigned int width,
	    const struct bus_ops *ops, void *device);
/** bus_access() - access 1 … 8 @bytes; unclaimed reads give all ones; true if a device claimed it */
bool bus_access(const struct bus *bus, uint64_t address, void *data, unsigned int bytes,
		bool write);

#endif
