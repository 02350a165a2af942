/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes a whole VM to a stream, and reads it.  Suspend and resume use all of it, migration uses
 * parts. A reader relies on this order: configuration, CPUID; then memory and state in any order;
 * the end.
 */
#ifndef MIGRATE_MACHINE_H
#define MIGRATE_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "stream.h"
#include "vm/vm.h"

/* ---- saving: each 0, or -errno with @error --------------------------------------------- */

/** machine_put_config() - write configuration and CPUID; the VM may run */
int machine_put_config(struct vm *vm, struct stream_writer *writer, struct error *error);
/**
 * machine_rehearse_load() - load what this machine has, to see how long that takes
 *
 * For one whose state is yet to come: its vCPUs have not run, and its devices are frozen.
 */
void machine_rehearse_load(struct vm *vm);
/** machine_put_state() - write module, vCPUs, devices, clock; VM paused, devices frozen */
int machine_put_state(struct vm *vm, struct stream_writer *writer, struct error *error);
/**
 * machine_put_memory() - write every page once; likewise
 * @progress: called now and then with the number of pages done; false: give up (-ECANCELED); or
 *	NULL
 */
int machine_put_memory(struct vm *vm, struct stream_writer *writer,
		       bool (*progress)(void *argument, uint64_t done, uint64_t all),
		       void *argument, struct error *error);

/* ---- loading: each 0, or -1 with reader->error ------------------------------------------ */

/**
 * struct machine_config - the start of a stream
 * @json: the configuration (struct json_object)
 * @cpuid, @nr_cpuid: the vCPUs' CPUID
 */
struct machine_config {
	struct json_object *json;
	struct gondola_cpuid_entry cpuid[GONDOLA_MAX_CPUID];
	uint32_t nr_cpuid;
};

/** machine_read_config() - read the first two records */
int machine_read_config(struct stream_reader *reader, struct machine_config *config);

/**
 * struct machine_loader - a machine that is being loaded
 * @seen: a bit for each page that has arrived; NULL: not counted
 * @missing: number of pages that have not arrived
 * @vcpus: a bit for each vCPU whose state has arrived
 * @vm_state: the module's records of the VM have arrived
 * @clock: the launcher's clock has arrived
 */
struct machine_loader {
	struct vm *vm;
	struct stream_reader *reader;
	uint64_t *seen;
	uint64_t missing;
	uint32_t vcpus;
	bool vm_state;
	bool clock;
};

/**
 * machine_loader_init() - begin to load; VM paused for PAUSE_START, devices incoming and frozen
 * @count_pages: machine_loaded() checks that each page has arrived
 */
int machine_loader_init(struct machine_loader *loader, struct vm *vm,
			struct stream_reader *reader, bool count_pages);
void machine_loader_free(struct machine_loader *loader);
/** machine_load() - one record; those of a migration are not its business (-1) */
int machine_load(struct machine_loader *loader, const struct stream_record *record);
/** machine_loaded() - is all there? */
int machine_loaded(struct machine_loader *loader);

#endif
