/* SPDX-License-Identifier: GPL-2.0-only */
/* Suspend and resume: a VM's whole state in a file. */
#ifndef MIGRATE_SUSPEND_H
#define MIGRATE_SUSPEND_H

#include "machine.h"

/** suspend_add_commands() - add the control socket's "suspend"; false if the keeper refuses */
bool suspend_add_commands(const struct vm *vm, struct error *error);

/** suspend_wait() - wait for the end of a suspend, before its VM is destroyed */
void suspend_wait(void);

/**
 * struct resume - a file that is resumed
 * @path: its path
 * @remove: remove the file once the VM runs; else the guest gets another generation ID, since others
 *	may go on from the same state
 */
struct resume {
	const char *path;
	bool remove;
	struct stream_reader reader;
	struct machine_config config;
};

/** resume_open() - open the file and read its start; false with @error */
bool resume_open(struct resume *resume, const char *path, struct error *error);
/** resume_begin() - for struct launch: @argument is the struct resume; false with @error */
bool resume_begin(struct vm *vm, void *argument, struct error *error);

#endif
