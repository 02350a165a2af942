/* SPDX-License-Identifier: GPL-2.0-only */
/* The control socket's commands for migration. */
#ifndef MIGRATE_COMMANDS_H
#define MIGRATE_COMMANDS_H

#include <stdbool.h>

#include "base/error.h"

struct source;
struct vm;

/** migrate_add_commands() - "migrate", "migrate-cancel" and "migrate-recover" */
bool migrate_add_commands(const struct vm *vm, struct error *error);
/** migrate_end() - end the threads of a migration, after the VM has ended */
void migrate_end(struct vm *vm);

/** source_run() - do a migration; the thread's function */
void source_run(struct source *source);
/** source_take_back() - continue the VM here: the user says that the target does not run it */
void source_take_back(struct source *source);

#endif
