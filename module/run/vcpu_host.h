/* SPDX-License-Identifier: GPL-2.0-only */
/* A vCPU as a thread of the host: what vcpu.c, vcpu_run.c and vcpu_fpu.c share. */
#ifndef GONDOLA_VCPU_HOST_H
#define GONDOLA_VCPU_HOST_H

#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/wait.h>
#include "host/thread.h"

struct gondola_vcpu;

/* What the engine was last asked to exit for (gondola_vcpu_host.window). */
#define GONDOLA_WINDOW_INTERRUPT	BIT(0)
#define GONDOLA_WINDOW_NMI		BIT(1)
#define GONDOLA_WINDOW_UNKNOWN		0xff

/**
 * struct gondola_vcpu_host - the host's side of a vCPU
 * @mutex: held by the one thread that runs it or looks into it
 * @pid: the thread that ran it last
 * @wait: where it sleeps in HLT
 * @thread: what hardware engines need to know of that thread
 * @window: GONDOLA_WINDOW_* that the engine has open
 */
struct gondola_vcpu_host {
	struct gondola_vcpu *vcpu;
	struct mutex mutex;
	struct pid __rcu *pid;
	wait_queue_head_t wait;
	struct gondola_thread thread;
	u8 window;
};

/**
 * gondola_vcpu_load() - make the vCPU current, to run it or to look at its state
 *
 * The caller holds the mutex.  0 or -ESHUTDOWN.
 */
int gondola_vcpu_load(struct gondola_vcpu *vcpu);
void gondola_vcpu_unload(struct gondola_vcpu *vcpu);

/* From the scheduler, while it is loaded: the vCPU's thread comes, on @cpu, and goes. */
void gondola_vcpu_scheduled_in(struct gondola_vcpu *vcpu, int cpu);
void gondola_vcpu_scheduled_out(struct gondola_vcpu *vcpu, bool preempted);

/** gondola_vcpu_run() - GONDOLA_RUN; the mutex is held; 0 or -errno */
int gondola_vcpu_run(struct gondola_vcpu *vcpu);

/** gondola_vcpu_reset_registers() - general and control registers as after a reset */
void gondola_vcpu_reset_registers(struct gondola_vcpu *vcpu);
/** gondola_vcpu_startup() - do what INIT and start-up IPIs that came ask for; the vCPU is loaded */
void gondola_vcpu_startup(struct gondola_vcpu *vcpu);
/**
 * gondola_real_mode_step() - one instruction of a guest in real mode, or the delivery of an event
 *
 * For engines without GONDOLA_ENGINE_REAL_MODE.  enum gondola_next or -errno.
 */
int gondola_real_mode_step(struct gondola_vcpu *vcpu);

int gondola_vcpu_fpu_create(struct gondola_vcpu *vcpu);
void gondola_vcpu_fpu_destroy(struct gondola_vcpu *vcpu);

#endif
