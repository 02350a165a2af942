/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rounds of the dirty log without a migration, for tools that measure how fast a guest dirties its
 * memory: the control command "dirty-sample".
 */
#ifndef VM_DIRTY_SAMPLE_H
#define VM_DIRTY_SAMPLE_H

struct vm;

/** dirty_sample_add_commands() - add the command, before the control socket opens */
void dirty_sample_add_commands(void);
/**
 * dirty_sample_stop() - stop, and switch the log off
 *
 * Called by a thread that needs the log for itself, in a state that refuses "dirty-sample"
 * (states.c); and before the VM is destroyed.
 */
void dirty_sample_stop(void);

#endif
