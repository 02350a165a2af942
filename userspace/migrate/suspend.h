/* SPDX-License-Identifier: GPL-2.0-only */
/* Suspend: a VM's whole state in one file, and back. */
#ifndef MIGRATE_SUSPEND_H
#define MIGRATE_SUSPEND_H

#include "machine.h"

/** suspend_add_commands() - "suspend" on the control socket; false if the keeper refuses */
bool suspend_add_commands(const struct vm *vm, struct error *error);

/** suspend_wait() - one under way has ended: before its VM goes */
void suspend_wait(void);

/**
 * struct resume - a file being resumed
 * @path: of it
 * @remove: once the VM runs the file is out of date, and goes
 */
struct resume {
	const char *path;
	bool remove;
	struct stream_reader reader;
	struct machine_config config;
};

/** resume_open() - open it and read what comes first; false with @error */
bool resume_open(struct resume *resume, const char *path, struct error *error);
/** resume_begin() - for struct launch: @argument is the struct resume; false with @error */
bool resume_begin(struct vm *vm, void *argument, struct error *error);

#endif
