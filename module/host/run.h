/* SPDX-License-Identifier: GPL-2.0-only */
/* For the run loop: are the processors switched on for the engine, and do they stay so? */
#ifndef GONDOLA_HOST_RUN_H
#define GONDOLA_HOST_RUN_H

#include <linux/compiler.h>
#include <linux/irqflags.h>
#include <linux/percpu.h>
#include <linux/types.h>
#include "engine.h"

/* In User Mode Linux processors are switched on and off in tests only. */
#if !defined(CONFIG_UML) || defined(GONDOLA_UNDER_TEST)
#define GONDOLA_CPUS_GO_ON
#endif

#ifdef GONDOLA_CPUS_GO_ON
/* Is this processor in the engine's root operation?  Changes with interrupts off only. */
DECLARE_PER_CPU(bool, gondola_cpu_on);
#endif

/** gondola_engine_on() - is this processor ready for the engine?  Interrupts or preemption off. */
static inline bool gondola_engine_on(const struct gondola_engine_ops *ops)
{
#ifdef GONDOLA_CPUS_GO_ON
	if (ops->cpu_on)
		return this_cpu_read(gondola_cpu_on);
#endif
	return true;
}

/* A shutdown or kexec has begun: nobody may use the engine any more. */
extern bool gondola_host_stopping;

/**
 * gondola_host_begin() - begin to use the engine on a vCPU
 *
 * 0, or -ESHUTDOWN once the machine goes down.  After success call gondola_host_end(); the reboot
 * notifier waits for it before it switches the processors off.
 */
int gondola_host_begin(void);
void gondola_host_end(void);

/** gondola_host_ready() - may the guest be entered on this processor now?  Interrupts off. */
static inline bool gondola_host_ready(const struct gondola_engine_ops *ops)
{
	return gondola_engine_on(ops) && !READ_ONCE(gondola_host_stopping);
}

#endif
