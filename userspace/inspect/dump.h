/* SPDX-License-Identifier: GPL-2.0-only */
/* A guest's memory and registers in a file: when somebody asks, or when it has crashed. */
#ifndef INSPECT_DUMP_H
#define INSPECT_DUMP_H

#include <stdbool.h>
#include "base/error.h"

struct vm;

/** dump_add_commands() - "dump" of the control socket, and the event "panic"; before control_open() */
void dump_add_commands(struct vm *vm);
/** dump_at_crash() - @path is for the dump of a guest that crashes; before keeper_seal() */
bool dump_at_crash(struct vm *vm, const char *path, struct error *error);
/**
 * dump_crashed() - the VM has ended: write the dump, if it crashed and dump_at_crash() was called
 *
 * Waits for a dump that is under way.
 */
void dump_crashed(struct vm *vm);

#endif
