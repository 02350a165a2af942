/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rounds of the dirty log without a migration, for tools that want to know how
 * fast a guest dirties its memory: the control command "dirty-sample".
 */
#ifndef VM_DIRTY_SAMPLE_H
#define VM_DIRTY_SAMPLE_H

struct vm;

/** dirty_sample_add_commands() - once, before the control socket opens */
void dirty_sample_add_commands(void);
/**
 * dirty_sample_stop() - returns when the log is off
 *
 * To be called by any thread that wants the log for itself, in a state in which
 * "dirty-sample" is refused (states.c); and before the VM is destroyed.
 */
void dirty_sample_stop(void);

#endif
