/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's own hypervisor, which takes the same hardware as an engine and comes as a module. */
#ifndef GONDOLA_HOST_RIVAL_H
#define GONDOLA_HOST_RIVAL_H

#include <linux/types.h>

int rival_init(void);
void rival_exit(void);

/** rival_of() - the name of the module that is an engine's rival, or NULL */
const char *rival_of(u32 engine);

/** rival_loaded() - is it there, or about to be? */
bool rival_loaded(u32 engine);

/**
 * rival_keep_out() - from now on the rival cannot be loaded
 *
 * 0, or -EBUSY if it has been loaded meanwhile.
 */
int rival_keep_out(u32 engine);
void rival_let_in(void);

#endif
