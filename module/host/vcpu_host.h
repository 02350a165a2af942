/* SPDX-License-Identifier: GPL-2.0-only */
/* A vCPU as a thread of the host. */
#ifndef GONDOLA_HOST_VCPU_HOST_H
#define GONDOLA_HOST_VCPU_HOST_H

#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/wait.h>
#include "thread.h"

struct gondola_vcpu;

/* The windows that the engine was last asked to open (gondola_vcpu_host.window). */
#define GONDOLA_WINDOW_INTERRUPT	BIT(0)
#define GONDOLA_WINDOW_NMI		BIT(1)
#define GONDOLA_WINDOW_UNKNOWN		0xff

/**
 * struct gondola_vcpu_host - a vCPU's data about its host
 * @mutex: held by the thread that runs the vCPU or accesses its state
 * @pid: the thread that ran the vCPU last
 * @wait: it sleeps here in HLT
 * @thread: for hardware engines
 * @loaded: the engine has loaded it on a processor, and must put it
 * @window: GONDOLA_WINDOW_* that the engine has open
 */
struct gondola_vcpu_host {
	struct gondola_vcpu *vcpu;
	struct mutex mutex;
	struct pid __rcu *pid;
	wait_queue_head_t wait;
	struct gondola_thread thread;
	bool loaded;
	u8 window;
};

/* Called by the scheduler while the vCPU is loaded: its thread starts on @cpu, or stops. */
void gondola_vcpu_scheduled_in(struct gondola_vcpu *vcpu, int cpu);
void gondola_vcpu_scheduled_out(struct gondola_vcpu *vcpu, bool preempted);

#endif
