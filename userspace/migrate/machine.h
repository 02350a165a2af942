/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A whole VM to and from a stream: suspend and resume use all of it, migration
 * the parts.  The order that a reader relies on: configuration, CPUID; then
 * memory and state in any order; the end.
 */
#ifndef MIGRATE_MACHINE_H
#define MIGRATE_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "stream.h"
#include "vm/vm.h"

/* ---- saving: each 0, or -errno with @error --------------------------------------------- */

/** machine_put_config() - configuration and CPUID; the VM may run */
int machine_put_config(struct vm *vm, struct stream_writer *writer, struct error *error);
/**
 * machine_rehearse_state() - read what the module has of the VM and its vCPUs, to no end
 *
 * The vCPUs stand.  Returns how many bytes it is, or 0 with @error.
 */
uint64_t machine_rehearse_state(struct vm *vm, struct error *error);
/** machine_put_state() - module, vCPUs, devices, clock.  The VM is paused, its devices are frozen */
int machine_put_state(struct vm *vm, struct stream_writer *writer, struct error *error);
/**
 * machine_put_memory() - every page once; likewise
 * @progress: called now and then with the pages done so far; false: give up (-ECANCELED); or NULL
 */
int machine_put_memory(struct vm *vm, struct stream_writer *writer,
		       bool (*progress)(void *argument, uint64_t done, uint64_t all),
		       void *argument, struct error *error);

/* ---- loading: each 0, or -1 with reader->error ------------------------------------------ */

/**
 * struct machine_config - what comes first in a stream
 * @json: the configuration (struct json_object)
 * @cpuid, @nr_cpuid: what the vCPUs are shown
 */
struct machine_config {
	struct json_object *json;
	struct gondola_cpuid_entry cpuid[GONDOLA_MAX_CPUID];
	uint32_t nr_cpuid;
};

/** machine_read_config() - the first two records */
int machine_read_config(struct stream_reader *reader, struct machine_config *config);

/**
 * struct machine_loader - a machine being filled
 * @seen: a bit for each page that came; NULL: not counted
 * @missing: pages that did not come yet
 * @vcpus: a bit for each vCPU whose state came
 * @vm_state: the module's records of the VM came
 * @clock: the launcher's clock came
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
 * machine_loader_init() - the VM is paused for PAUSE_START, its devices are incoming and frozen
 * @count_pages: machine_loaded() is to find that each page of memory came
 */
int machine_loader_init(struct machine_loader *loader, struct vm *vm,
			struct stream_reader *reader, bool count_pages);
void machine_loader_free(struct machine_loader *loader);
/** machine_load() - one record; those of a migration are not its business (-1) */
int machine_load(struct machine_loader *loader, const struct stream_record *record);
/** machine_loaded() - is all there? */
int machine_loaded(struct machine_loader *loader);

#endif
