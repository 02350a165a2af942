/* SPDX-License-Identifier: GPL-2.0-only */
/* From the BPF program's tables to a report. */
#ifndef DIRTY_READ_H
#define DIRTY_READ_H

#include "dirty.h"

struct dirty_options {
	bool by_phase;
	uint64_t sample_ms;
	const char *control;
	uint64_t rips;
	uint64_t pages;
	unsigned int hot_least, hot_of;
	const char *svg;
	uint64_t column_ms;
	unsigned int row_shift;
	uint64_t bandwidth;
	uint64_t downtime_ms;
	uint64_t memory;
	uint64_t room;
};

extern struct dirty_options dirty_options;

/** struct dirty_maps - descriptors of the BPF program's tables */
struct dirty_maps {
	int vms, pages, rounds, writers, sources, heat;
};

/** dirty_read() - all about VM @id; what it points at is the caller's to free, or the exit's */
void dirty_read(const struct dirty_maps *maps, uint32_t id, struct dirty_vm *vm);
/** dirty_report() - all VMs, as the options say */
void dirty_report(const struct dirty_maps *maps, const struct losses *lost, uint64_t start_ns);

#endif
