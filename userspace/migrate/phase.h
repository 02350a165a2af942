/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The phases of a live migration.  Both ends go through the same; the source
 * marks them, and the round, into the module (GONDOLA_MARK), so that tools that
 * watch a guest know what was going on.  The numbers are fixed: append only.
 */
#ifndef MIGRATE_PHASE_H
#define MIGRATE_PHASE_H

/**
 * enum migrate_phase - what a migration is doing
 * @MIGRATE_IDLE: none is under way
 * @MIGRATE_CHECK: connecting; do both ends fit?
 * @MIGRATE_RESERVE: the target makes the machine and sets its memory aside
 * @MIGRATE_COPY: rounds of copying while the guest runs
 * @MIGRATE_STOP: the guest stands: what is left, and its state
 * @MIGRATE_COMMIT: the VM changes hands
 * @MIGRATE_RESUME: the target lets it run; before this the source would
 * @MIGRATE_POSTCOPY: it runs at the target, pages follow
 * @MIGRATE_BROKEN: the link was lost after the VM changed hands, or while it did
 * @MIGRATE_DONE: over, the VM is at the target
 * @MIGRATE_FAILED: over, the VM is at the source
 * @MIGRATE_PHASES: how many there are
 */
enum migrate_phase {
	MIGRATE_IDLE = 0,
	MIGRATE_CHECK = 1,
	MIGRATE_RESERVE = 2,
	MIGRATE_COPY = 3,
	MIGRATE_STOP = 4,
	MIGRATE_COMMIT = 5,
	MIGRATE_RESUME = 6,
	MIGRATE_POSTCOPY = 7,
	MIGRATE_BROKEN = 8,
	MIGRATE_DONE = 9,
	MIGRATE_FAILED = 10,
	MIGRATE_PHASES
};

/** migrate_phase_name() - "copy" …; NULL for a number that is none */
const char *migrate_phase_name(unsigned int phase);

#endif
