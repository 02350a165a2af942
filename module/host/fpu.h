/* SPDX-License-Identifier: GPL-2.0-only */
/* Use of the processor's FPU by the module itself, as kernel_fpu_begin() has it. */
#ifndef GONDOLA_HOST_FPU_H
#define GONDOLA_HOST_FPU_H

#ifdef CONFIG_UML

/* The kernel is a process like any other: signals keep its registers, switches need not. */
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
