/* SPDX-License-Identifier: GPL-2.0-only */
/* Where systemd owns the control groups, a VM's share is that of a scope, a transient unit. */
#ifndef POLICY_SCOPE_H
#define POLICY_SCOPE_H

#include <stdbool.h>
#include "cgroup.h"

/** scope_is_needed() - does systemd own the control group @directory, and has it not delegated it? */
bool scope_is_needed(const char *directory);
/**
 * scope_make() - ask systemd for a scope with this process in it, which ends with its last process
 * @unit: "NAME.scope"
 *
 * systemd moves the process soon after.  False with @error.
 */
bool scope_make(const char *unit, struct error *error);
/** scope_set() - ask systemd to change the limits of @unit, which it does soon; false with @error */
bool scope_set(const char *unit, const struct cgroup_limits *limits, struct error *error);

#endif
