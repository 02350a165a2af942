// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "bus.h"

int bus_add(struct bus *bus, uint64_t start, uint64_t bytes, unsigned int width,
	    const struct bus_ops *ops, void *device)
{
	size_t at = 0;

	if (!bytes || !width || start + (bytes - 1) < start)
		return -EINVAL;
	if (bus->count == BUS_MAX_RANGES)
		return -ENOSPC;
	while (at < bus->count && bus->ranges[at].start < start)
		at++;
	if (at > 0 && start - bus->ranges[at - 1].start < bus->ranges[at - 1].bytes)
		return -EEXIST;
	if (at < bus->count && bus->ranges[at].start - start < bytes)
		return -EEXIST;
	memmove(&bus->ranges[at + 1], &bus->ranges[at],
		(bus->count - at) * sizeof(bus->ranges[0]));
	bus->ranges[at] = (struct bus_range){ start, bytes, width, ops, device };
	bus->count++;
	return 0;
}

static const struct bus_range *find(const struct bus *bus, uint64_t address)
{
	size_t low = 0, high = bus->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct bus_range *range = &bus->ranges[middle];

		if (address < range->start)
			high = middle;
		else if (address - range->start >= range->bytes)
			low = middle + 1;
		else
			return range;
	}
	return NULL;
}

bool bus_access(const struct bus *bus, uint64_t address, void *data, unsigned int bytes,
		bool write)
{
	bool claimed = false;

	while (bytes) {
		const struct bus_range *range = find(bus, address);
		unsigned int part = range && range->width < bytes ? range->width : bytes;
		uint64_t value = ~0ull;

		if (write && range && range->ops->write) {
			value = 0;
			memcpy(&value, data, part);
			range->ops->write(range->device, address - range->start, value, part);
		} else if (!write) {
			if (range && range->ops->read)
				value = range->ops->read(range->device, address - range->start,
							 part);
			memcpy(data, &value, part);
		}
		claimed |= range != NULL;
		address += part;
		data = (char *)data + part;
		bytes -= part;
	}
	return claimed;
}
