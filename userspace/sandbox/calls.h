/* SPDX-License-Identifier: GPL-2.0-only */
/* The system calls of each kind of thread. */
#ifndef SANDBOX_CALLS_H
#define SANDBOX_CALLS_H

#include <seccomp.h>
#include "sandbox.h"

/** calls_allow() - add the rules of @kind to @filter, whose default is to refuse; 0 or -errno */
int calls_allow(scmp_filter_ctx filter, enum sandbox_kind kind,
		const struct sandbox_needs *needs);

#endif
