/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The thread that runs a vCPU on a hardware engine.  The scheduler tells when it starts and stops,
 * and the processor has the guest's FPU state, XCR0 and breakpoints while the guest runs.  Nothing
 * is to be done in User Mode Linux, whose engines keep no state in the processor.
 */
#ifndef GONDOLA_HOST_THREAD_H
#define GONDOLA_HOST_THREAD_H

#include <linux/errno.h>
#include <linux/preempt.h>
#include <linux/types.h>

struct gondola_vcpu;
struct gondola_xsave;

#define GONDOLA_FX_BYTES	512	/* size of FXSAVE's image, which is aligned to 16 */

#ifdef CONFIG_UML

struct gondola_thread {
};

static inline void gondola_threads_init(void)
{
}

static inline void gondola_threads_exit(void)
{
}

static inline void gondola_thread_init(struct gondola_vcpu *vcpu)
{
}

static inline void gondola_thread_attach(struct gondola_vcpu *vcpu)
{
}

static inline void gondola_thread_detach(struct gondola_vcpu *vcpu)
{
}

static inline void gondola_thread_enter(struct gondola_vcpu *vcpu)
{
}

static inline void gondola_thread_leave(struct gondola_vcpu *vcpu)
{
}

static inline int gondola_thread_fpu_create(struct gondola_vcpu *vcpu)
{
	return -ENODEV;
}

static inline void gondola_thread_fpu_destroy(struct gondola_vcpu *vcpu)
{
}

static inline void gondola_thread_fpu_swap(struct gondola_vcpu *vcpu, bool guest)
{
}

static inline u32 gondola_thread_fpu_size(struct gondola_vcpu *vcpu)
{
	return 0;
}

static inline int gondola_thread_fpu_get(struct gondola_vcpu *vcpu, void *buf, u32 bytes)
{
	return -ENODEV;
}

static inline int gondola_thread_fpu_set(struct gondola_vcpu *vcpu, const void *buf, u32 bytes,
					 u32 *bad)
{
	return -ENODEV;
}

static inline void gondola_thread_get_xmm(struct gondola_vcpu *vcpu, unsigned int n, void *buf)
{
}

static inline void gondola_thread_set_xmm(struct gondola_vcpu *vcpu, unsigned int n,
					  const void *buf)
{
}

static inline void gondola_thread_get_fx(struct gondola_vcpu *vcpu, void *fx)
{
}

static inline void gondola_thread_set_fx(struct gondola_vcpu *vcpu, const void *fx)
{
}

#else

#include <asm/fpu/api.h>
#include <asm/fpu/types.h>

/**
 * struct gondola_thread - the thread's part of vcpu->host
 * @notifier: puts and loads the vCPU when its thread is scheduled; registered while it is loaded
 * @fpu: the guest's FPU state; fpu.c swaps it with the thread's for GONDOLA_RUN, fpu_own.c for each
 *	stay
 * @xcr0: the host's XCR0, the same on all processors
 * @debugctl: the host's DEBUGCTL, while the guest runs
 * @dr, @dr7: the host's breakpoints, while the guest runs; @dr7 is 0 if it has none
 */
struct gondola_thread {
	struct preempt_notifier notifier;
#ifdef COMPAT_RESERVED_FPU
	struct gondola_xsave *fpu;
#else
	struct fpu_guest fpu;
#endif
	u64 xcr0;
	u64 debugctl;
	unsigned long dr[4];
	unsigned long dr7;
};

/*
 * Keep the scheduler's notifiers enabled while the module is loaded: each switch patches the
 * scheduler's code on all processors.
 */
static inline void gondola_threads_init(void)
{
	preempt_notifier_inc();
}

static inline void gondola_threads_exit(void)
{
	preempt_notifier_dec();
}

void gondola_thread_init(struct gondola_vcpu *vcpu);
/* From now on the vCPU is loaded and put with this thread; preemption off. */
void gondola_thread_attach(struct gondola_vcpu *vcpu);
void gondola_thread_detach(struct gondola_vcpu *vcpu);
/* Right before and after the guest runs, interrupts off: XCR0, breakpoints, DEBUGCTL. */
void gondola_thread_enter(struct gondola_vcpu *vcpu);
void gondola_thread_leave(struct gondola_vcpu *vcpu);

/* fpu.c or fpu_own.c: get and set the guest's FPU state in the processor; see run/fpu.c. */
int gondola_thread_fpu_create(struct gondola_vcpu *vcpu);
void gondola_thread_fpu_destroy(struct gondola_vcpu *vcpu);
void gondola_thread_fpu_swap(struct gondola_vcpu *vcpu, bool guest);
/* Load and save it, with the host's XCR0 and interrupts off: last before the guest runs, first after it. */
void gondola_thread_fpu_load(struct gondola_vcpu *vcpu);
void gondola_thread_fpu_unload(struct gondola_vcpu *vcpu);
u32 gondola_thread_fpu_size(struct gondola_vcpu *vcpu);
int gondola_thread_fpu_get(struct gondola_vcpu *vcpu, void *buf, u32 bytes);
int gondola_thread_fpu_set(struct gondola_vcpu *vcpu, const void *buf, u32 bytes, u32 *bad);
void gondola_thread_get_xmm(struct gondola_vcpu *vcpu, unsigned int n, void *buf);
void gondola_thread_set_xmm(struct gondola_vcpu *vcpu, unsigned int n, const void *buf);
/* Get and set FXSAVE's part of it; the emulator only sets what it got before. */
void gondola_thread_get_fx(struct gondola_vcpu *vcpu, void *fx);
void gondola_thread_set_fx(struct gondola_vcpu *vcpu, const void *fx);

#endif

#endif
