/* SPDX-License-Identifier: GPL-2.0-only */
/* A vCPU as a thread of the host. */
#ifndef GONDOLA_HOST_VCPU_HOST_H
#define GONDOLA_HOST_VCPU_HOST_H

#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/wait.h>
#include "thread.h"

struct gondola_vcpu;

/* The windows that the engine was last asked to exit for (gondola_vcpu_host.window). */
#define GONDOLA_WINDOW_INTERRUPT	BIT(0)
#define GONDOLA_WINDOW_NMI		BIT(1)
#define GONDOLA_WINDOW_UNKNOWN		0xff

/**
 * struct gondola_vcpu_host - the host's side of a vCPU
 * @mutex: held by the one thread that runs it or looks into it
 * @pid: the thread that ran it last
 * @wait: where it sleeps in HLT
 * @thread: what hardware engines need to know of that thread
 * @loaded: the engine has it on a processor, and is to put it
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

/* From the scheduler, while it is loaded: the vCPU's thread comes, on @cpu, and goes. */
void gondola_vcpu_scheduled_in(struct gondola_vcpu *vcpu, int cpu);
void gondola_vcpu_scheduled_out(struct gondola_vcpu *vcpu, bool preempted);

#endif
