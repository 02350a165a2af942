/* SPDX-License-Identifier: GPL-2.0-only */
/* Suspend and resume: a VM's whole state in a file. */
#ifndef MIGRATE_SUSPEND_H
#define MIGRATE_SUSPEND_H

#include <json-c/json.h>
#include "machine.h"

/** suspend_add_commands() - add the control socket's "suspend"; false if the keeper refuses */
bool suspend_add_commands(const struct vm *vm, struct error *error);

/** suspend_wait() - wait for the end of a suspend, before its VM is destroyed */
void suspend_wait(void);

/**
 * struct resume - a file that is resumed
 * @path: its path
 * @remove: remove the file once the VM runs
 * @renew: others may go on from the same state: the guest gets another generation ID
 */
struct resume {
	const char *path;
	bool remove;
	bool renew;
	struct stream_reader reader;
	struct machine_config config;
};

/** resume_open() - open the file and read its start; false with @error */
bool resume_open(struct resume *resume, const char *path, struct error *error);
void resume_close(struct resume *resume);
/** resume_refuse() - say in @error why the reader refuses the file; returns false */
bool resume_refuse(const struct resume *resume, struct error *error);
/** resume_ended() - nothing follows the stream's end; false with @error */
bool resume_ended(const struct resume *resume, struct error *error);
/** resume_loaded() - the VM has its state: let it run; false with @error */
bool resume_loaded(struct vm *vm, const struct resume *resume, struct error *error);
/** resume_copy() - after resume_open(): write the same state with another configuration; false with @error */
bool resume_copy(struct resume *resume, struct json_object *config, int to, struct error *error);
/** resume_begin() - for struct launch: @argument is the struct resume; false with @error */
bool resume_begin(struct vm *vm, void *argument, struct error *error);

#endif
