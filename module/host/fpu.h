/* SPDX-License-Identifier: GPL-2.0-only */
/* The module's own use of the processor's FPU, as with kernel_fpu_begin(). */
#ifndef GONDOLA_HOST_FPU_H
#define GONDOLA_HOST_FPU_H

#ifdef CONFIG_UML

/* User Mode Linux is a process: signals save its registers. */
static inline void gondola_host_fpu_begin(void)
{
}

static inline void gondola_host_fpu_end(void)
{
}

#else

#include <asm/fpu/api.h>

static inline void gondola_host_fpu_begin(void)
{
	kernel_fpu_begin();
}

static inline void gondola_host_fpu_end(void)
{
	kernel_fpu_end();
}

#endif

#endif
