// SPDX-License-Identifier: GPL-2.0-only
/* A port by which a guest marks a point in time: the counters at that moment go into the report. */
#include <stdlib.h>

#include "device.h"
#include "base/error.h"
#include "lib/libgondola.h"
#include "vm/count_notes.h"
#include "vm/vm.h"

static void count_write(void *device, uint64_t offset, uint64_t value, unsigned int bytes)
{
	struct vm *vm = device;
	struct count_notes *notes = vm->counts;
	struct count_note *note;

	if (offset || bytes != 4)
		return;
	if (notes->count == COUNT_NOTES_MAX) {
		notes->lost++;
		return;
	}
	note = &notes->notes[notes->count];
	note->value = (uint32_t)value;
	/* The writer is out of GONDOLA_RUN, so its counters do not change; those of other vCPUs may. */
	vm_collect_stats(vm, &note->stats);
	notes->count++;
}

bool count_port_create(struct vm *vm, uint16_t port, struct error *error)
{
	static const struct bus_ops ops = { .write = count_write };

	vm->counts = calloc(1, sizeof(*vm->counts));
	if (!vm->counts)
		return error_set(error, EXIT_CODE_ERROR, "out of memory");
	return device_claim_port(vm, "--count-port", port, &ops, error);
}
