/* SPDX-License-Identifier: GPL-2.0-only */
/* A guest's memory and registers in a file: when somebody asks, or when it has crashed. */
#ifndef INSPECT_DUMP_H
#define INSPECT_DUMP_H

#include <stdbool.h>
#include "base/error.h"

struct vm;

#define DUMP_WORDS_MAX	4096	/* Linux has a page for them, with a note's header */

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
/**
 * dump_kernels_words() - what the guest's kernel says about itself in VMCOREINFO: lines, and a NUL behind
 *
 * The guest stands still.  False: no kernel has left such words.
 */
bool dump_kernels_words(const struct vm *vm, char words[DUMP_WORDS_MAX]);

#endif
