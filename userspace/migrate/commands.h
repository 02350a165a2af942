/* SPDX-License-Identifier: GPL-2.0-only */
/* Migration as commands of the control socket. */
#ifndef MIGRATE_COMMANDS_H
#define MIGRATE_COMMANDS_H

#include <stdbool.h>

#include "base/error.h"

struct source;
struct vm;

/** migrate_add_commands() - "migrate", "migrate-cancel" and "migrate-recover" */
bool migrate_add_commands(const struct vm *vm, struct error *error);
/** migrate_end() - the VM has ended: so do the threads of a migration */
void migrate_end(struct vm *vm);

/** source_run() - a whole migration; the thread's body */
void source_run(struct source *source);
/** source_take_back() - the user says that the target does not run it */
void source_take_back(struct source *source);

#endif
