/* SPDX-License-Identifier: GPL-2.0-only */
/* The parts of sandbox_enter().  Each returns 0, or -errno if the kernel cannot do it. */
#ifndef SANDBOX_INTERNAL_H
#define SANDBOX_INTERNAL_H

#include <linux/filter.h>
#include "sandbox.h"

/** drop_privileges() - set no_new_privs, and drop all capabilities, also for a later exec */
int drop_privileges(void);
/** leave_files() - forbid to open files, by Landlock; with @net except those that resolve names */
int leave_files(bool net);
/** leave_files_but() - likewise except @file, to read or also @write, and what programs are made of */
int leave_files_but(const char *file, bool write);

/** filters_make() - make a filter for each kind of thread; needs memory and files, so call it first */
int filters_make(const struct sandbox_needs *needs);
/** filters_enter() - add the filter of @kind to this thread, and those that it starts */
int filters_enter(enum sandbox_kind kind);
/** filters_watch() - report refused calls from now on */
int filters_watch(void (*last_words)(void));

#endif
