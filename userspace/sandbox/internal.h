/* SPDX-License-Identifier: GPL-2.0-only */
/* The parts of sandbox_enter(): each returns 0, or -errno where the kernel cannot do it. */
#ifndef SANDBOX_INTERNAL_H
#define SANDBOX_INTERNAL_H

#include <linux/filter.h>
#include "sandbox.h"

/** drop_privileges() - no_new_privs, and no capability, now or by a later exec */
int drop_privileges(void);
/** leave_files() - Landlock: no file can be opened; with @net but what resolves names */
int leave_files(bool net);

/** filters_make() - one for each kind of thread; needs memory and files, so before the rest */
int filters_make(const struct sandbox_needs *needs);
/** filters_enter() - this thread, and those that it starts, get that of @kind as well */
int filters_enter(enum sandbox_kind kind);
/** filters_watch() - refused calls are named from now on */
int filters_watch(void (*last_words)(void));

#endif
