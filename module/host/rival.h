/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's own hypervisor, a module that uses the same hardware as an engine. */
#ifndef GONDOLA_HOST_RIVAL_H
#define GONDOLA_HOST_RIVAL_H

#include <linux/types.h>

int rival_init(void);
void rival_exit(void);

/** rival_of() - get the name of the module that is an engine's rival, or NULL */
const char *rival_of(u32 engine);

/** rival_loaded() - is the rival loaded, or being loaded? */
bool rival_loaded(u32 engine);

/**
 * rival_keep_out() - prevent the rival from being loaded
 *
 * 0, or -EBUSY if it is loaded already.
 */
int rival_keep_out(u32 engine);
void rival_let_in(void);

#endif
