/* SPDX-License-Identifier: GPL-2.0-only */
/* Which calls each kind of thread may make. */
#ifndef SANDBOX_CALLS_H
#define SANDBOX_CALLS_H

#include <seccomp.h>
#include "sandbox.h"

/** calls_allow() - all rules of @kind into @filter, whose default refuses; 0 or -errno */
int calls_allow(scmp_filter_ctx filter, enum sandbox_kind kind,
		const struct sandbox_needs *needs);

#endif
