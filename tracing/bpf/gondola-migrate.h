/* SPDX-License-Identifier: GPL-2.0-only */
/* The maps' layout, for gondola-migrate and its BPF program. */
#ifndef GONDOLA_MIGRATE_H
#define GONDOLA_MIGRATE_H

#include "common.h"

/* The launcher's static probes (userspace/vm/probes.h); X(KIND, probe, number of arguments). */
#define MIGRATE_PROBES(X)			\
	X(PHASE, migrate_phase, 2)		\
	X(ROUND_BEGIN, migrate_round_begin, 2)	\
	X(ROUND_END, migrate_round_end, 5)	\
	X(PREDICTION, migrate_prediction, 2)	\
	X(DOWNTIME, migrate_downtime, 2)	\
	X(STALL, migrate_stall, 3)		\
	X(THROTTLE, migrate_throttle, 1)

enum migrate_kind {
#define X(kind, probe, arguments) MIGRATE_EVENT_##kind,
	MIGRATE_PROBES(X)
#undef X
};

/**
 * struct migrate_event - a probe fired
 * @pid: the launcher
 */
struct migrate_event {
	__u64 ns;
	__u32 pid;
	__u32 kind;
	__s64 arguments[5];
};

/** struct migrate_faults - post-copy: pages that the guest waited for; by launcher */
struct migrate_faults {
	__u64 count;
	__u64 total_ns;
	__u64 max_ns;
	__u64 slots[SLOTS];
};

#endif
