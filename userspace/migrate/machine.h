/* SPDX-License-Identifier: GPL-2.0-only */
/* The state of a VM, but for its memory, as records of a stream: out of it and into it. */
#ifndef MIGRATE_MACHINE_H
#define MIGRATE_MACHINE_H

#include <stdbool.h>
#include "stream.h"
#include "vm/vm.h"

#define MACHINE_WORDS	512

/**
 * machine_put() - STREAM_VM, each STREAM_VCPU, each STREAM_DEVICE, STREAM_CLOCK
 *
 * The VM is paused and its devices are frozen.  0, or -1 with @error (MACHINE_WORDS bytes).
 */
int machine_put(struct vm *vm, struct stream_writer *out, char *error);

/** struct machine_taken - which records have come, zeroed before the first */
struct machine_taken {
	bool vm;
	bool clock;
	uint32_t vcpus;			/* a bit each */
};

/**
 * machine_take() - if @record is one of those, give the VM this part of its state
 *
 * The VM is paused and its devices are frozen.  1: it was; 0: it is another's business; -1: it
 * was refused, with words by stream_refuse().
 */
int machine_take(struct vm *vm, struct stream_reader *in, const struct stream_record *record,
	       struct machine_taken *taken);
/** machine_complete() - has everything come? False with @error (MACHINE_WORDS bytes) */
bool machine_complete(struct vm *vm, const struct machine_taken *taken, char *error);

#endif
