/* SPDX-License-Identifier: GPL-2.0-only */
/* The states of a VM, their names, and the commands allowed in each. */
#ifndef VM_STATES_H
#define VM_STATES_H

#include <stddef.h>

/**
 * enum vm_state - the state of a VM for users
 * @VM_STATE_INACTIVE: a configuration, no process
 * @VM_STATE_SUSPENDED: its state is in a file, no process
 * @VM_STATE_AWAY: it moved to another host, or its process ended in the attempt, no process
 * @VM_STATE_STARTING: its process does not listen yet
 * @VM_STATE_WAITING: "receive" waits for a source
 * @VM_STATE_RUNNING: its vCPUs run
 * @VM_STATE_PAUSED: its vCPUs do not run
 * @VM_STATE_SUSPENDING: its state is being written to a file
 * @VM_STATE_DUMPING: its memory is being written to a file for people, and it goes on then
 * @VM_STATE_RECEIVING: it is coming from another host, and does not run here yet
 * @VM_STATE_COMMITTING: it has arrived; it becomes this host's at any moment, or already has and
 *	opens its disks
 * @VM_STATE_MIGRATING: it is moving to another host, and still belongs here
 * @VM_STATE_MIGRATED: it runs on another host; this process only cleans up
 * @VM_STATE_UNRESPONSIVE: its process listens and does not answer
 * @VM_STATE_COUNT: number of states
 */
enum vm_state {
	VM_STATE_INACTIVE,
	VM_STATE_SUSPENDED,
	VM_STATE_AWAY,
	VM_STATE_STARTING,
	VM_STATE_WAITING,
	VM_STATE_RUNNING,
	VM_STATE_PAUSED,
	VM_STATE_SUSPENDING,
	VM_STATE_DUMPING,
	VM_STATE_RECEIVING,
	VM_STATE_COMMITTING,
	VM_STATE_MIGRATING,
	VM_STATE_MIGRATED,
	VM_STATE_UNRESPONSIVE,
	VM_STATE_COUNT
};

#define VM_IN(state)	(1u << VM_STATE_##state)
/* There is a process. */
#define VM_IN_ACTIVE	(VM_IN(STARTING) | VM_IN(WAITING) | VM_IN(RUNNING) | VM_IN(PAUSED) | VM_IN(SUSPENDING) | \
			 VM_IN(DUMPING) | VM_IN(RECEIVING) | VM_IN(COMMITTING) | VM_IN(MIGRATING) | \
			 VM_IN(MIGRATED) | VM_IN(UNRESPONSIVE))

/** vm_state_name() - get "running" … */
const char *vm_state_name(enum vm_state state);
/** vm_state_by_name() - find a state, or -1 */
int vm_state_by_name(const char *name);
/**
 * vm_state_allows() - is @command allowed in @state?
 *
 * Returns 0, or -1 with a sentence in @words: "vm1 is paused; pause needs a running VM".
 * A command that is not in the table is allowed in every state.
 */
int vm_state_allows(const char *command, const char *name, enum vm_state state, char *words,
		    size_t room);

#endif
