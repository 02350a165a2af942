/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A mark in the registry that a VM with a configuration has moved: if it were started here too, it
 * would corrupt its disks.  The mark is written before the target may have the VM, and removed once
 * it is certain that the VM is here.
 */
#ifndef MIGRATE_AWAY_H
#define MIGRATE_AWAY_H

#include <stdbool.h>
#include "base/error.h"

/** away_begin() - before the sandbox: note the VM's mark, and whether an earlier move left it */
bool away_begin(const char *name, struct error *error);
/** away_mark() - write the mark for @address to stable storage; false with @error */
bool away_mark(const char *address, struct error *error);
/** away_unmark() - remove the mark: the VM is here */
void away_unmark(void);

#endif
