/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The phases of a live migration, the same for both ends.  The source sets the phase and the round
 * as marks in the module (GONDOLA_MARK), for tools that watch a guest.  The numbers are fixed:
 * append only.
 */
#ifndef MIGRATE_PHASE_H
#define MIGRATE_PHASE_H

/**
 * enum migrate_phase - the phase of a migration
 * @MIGRATE_IDLE: there is no migration
 * @MIGRATE_CHECK: connect, and check that both ends fit
 * @MIGRATE_RESERVE: the target creates the machine and reserves memory
 * @MIGRATE_COPY: rounds of copying while the guest runs
 * @MIGRATE_STOP: the guest is stopped: send the rest and its state
 * @MIGRATE_COMMIT: the VM changes hands
 * @MIGRATE_RESUME: the target runs it; before, the source would continue it after a failure
 * @MIGRATE_POSTCOPY: it runs at the target, pages follow
 * @MIGRATE_BROKEN: the link was lost while the VM changed hands, or later
 * @MIGRATE_DONE: over, the VM is at the target
 * @MIGRATE_FAILED: over, the VM is at the source
 * @MIGRATE_PHASES: number of phases
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

/** migrate_phase_name() - get "copy" …; NULL for an invalid number */
const char *migrate_phase_name(unsigned int phase);

#endif
