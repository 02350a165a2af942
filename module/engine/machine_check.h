/* SPDX-License-Identifier: GPL-2.0-only */
/* A machine check that ended a stay in the guest belongs to the host. */
#ifndef GONDOLA_ENGINE_MACHINE_CHECK_H
#define GONDOLA_ENGINE_MACHINE_CHECK_H

#include <linux/panic.h>
#include <asm/mce.h>
#include <asm/processor-flags.h>
#include <asm/ptrace.h>
#include <asm/segment.h>

/**
 * engine_host_machine_check() - pass a machine check to the host; interrupts off, thread's stack
 *
 * It struck in the guest, whose memory is the launcher's, so the host handles it as one of user
 * mode: the launcher loses the page and the kernel goes on.  As the kernel's own it would be a
 * panic.
 */
static inline void engine_host_machine_check(void)
{
#ifdef CONFIG_X86_MCE
	struct pt_regs regs = { .cs = __USER_CS, .flags = X86_EFLAGS_IF };

	do_machine_check(&regs);
#else
	panic("gondola: a machine check in a guest, and this kernel handles none\n");
#endif
}

#endif
