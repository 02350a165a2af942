/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A mark in the registry that a VM with a configuration has moved: started here too, it would
 * spoil its disks.  It is written before the target may have the VM, and goes once it is known
 * that the VM is here.
 */
#ifndef MIGRATE_AWAY_H
#define MIGRATE_AWAY_H

#include <stdbool.h>
#include "base/error.h"

/** away_begin() - before the sandbox: which mark, and whether an earlier move left one */
bool away_begin(const char *name, struct error *error);
/** away_mark() - it is about to be at @address, and the mark is on stable storage; or @error */
bool away_mark(const char *address, struct error *error);
/** away_unmark() - it is here */
void away_unmark(void);

#endif
