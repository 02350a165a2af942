// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's FPU state.  It is one of the kernel's own states, swapped with the launcher thread's
 * during GONDOLA_RUN, so that context switches and the kernel's use of the FPU treat it like any
 * task's.
 */
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <asm/cpufeature.h>
#include <asm/fpu/api.h>
#include <asm/fpu/types.h>
#include "vcpu.h"
#include "vcpu_host.h"
#include "thread.h"

/* The legacy area and the XSAVE header. */
#define XSAVE_MIN	(512 + 64)

int gondola_thread_fpu_create(struct gondola_vcpu *vcpu)
{
	return fpu_alloc_guest_fpstate(&vcpu->host->thread.fpu) ? 0 : -ENOMEM;
}

void gondola_thread_fpu_destroy(struct gondola_vcpu *vcpu)
{
	fpu_free_guest_fpstate(&vcpu->host->thread.fpu);
}

void gondola_thread_fpu_swap(struct gondola_vcpu *vcpu, bool guest)
{
	fpu_swap_kvm_fpstate(&vcpu->host->thread.fpu, guest);
}

void gondola_thread_fpu_load(struct gondola_vcpu *vcpu)
{
	if (unlikely(test_thread_flag(TIF_NEED_FPU_LOAD)))
		switch_fpu_return();
}

/* The state stays in the processor until the thread is scheduled out. */
void gondola_thread_fpu_unload(struct gondola_vcpu *vcpu)
{
}

/* ---- the state record ----------------------------------------------------------- */

u32 gondola_thread_fpu_size(struct gondola_vcpu *vcpu)
{
	return max_t(u32, vcpu->host->thread.fpu.fpstate->user_size, XSAVE_MIN);
}

int gondola_thread_fpu_get(struct gondola_vcpu *vcpu, void *buf, u32 bytes)
{
	struct fpu_guest *fpu = &vcpu->host->thread.fpu;

	fpu_copy_guest_fpstate_to_uabi(fpu, buf, bytes, fpu->fpstate->user_xfeatures, 0);
	return 0;
}

int gondola_thread_fpu_set(struct gondola_vcpu *vcpu, const void *buf, u32 bytes, u32 *bad)
{
	struct fpu_guest *fpu = &vcpu->host->thread.fpu;
	u32 pkru;
	void *full;
	int err;

	/* A state from a host with fewer components, or with more that are unused, fits as well. */
	*bad = 512;
	if (bytes < XSAVE_MIN || bytes > fpu->uabi_size)
		return -EINVAL;
	full = kvzalloc(fpu->uabi_size, GFP_KERNEL_ACCOUNT);
	if (!full)
		return -ENOMEM;
	memcpy(full, buf, bytes);
	err = fpu_copy_uabi_to_guest_fpstate(fpu, full, fpu->fpstate->user_xfeatures, &pkru);
	kvfree(full);
	return err;
}

/* ---- one XMM register, for the emulator ------------------------------------------ */

/* One instruction for each register, since the number is part of the encoding. */
#define EACH_XMM(X) do {						\
	X(0); X(1); X(2); X(3); X(4); X(5); X(6); X(7);			\
	X(8); X(9); X(10); X(11); X(12); X(13); X(14); X(15);		\
} while (0)

/*
 * Load the registers and keep them loaded.  Only during GONDOLA_RUN, when the thread's state is the
 * guest's.
 */
static void hold_fpu(void)
{
	fpregs_lock();
	if (test_thread_flag(TIF_NEED_FPU_LOAD))
		switch_fpu_return();
}

void gondola_thread_get_xmm(struct gondola_vcpu *vcpu, unsigned int n, void *buf)
{
	struct xmm { u8 byte[16]; } *out = buf;

	lockdep_assert_held(&vcpu->host->mutex);
	hold_fpu();
#define GET(i) do {							\
	if (n == (i))							\
		asm volatile("movdqu %%xmm" #i ", %0" : "=m" (*out));	\
} while (0)
	EACH_XMM(GET);
#undef GET
	fpregs_unlock();
}

void gondola_thread_set_xmm(struct gondola_vcpu *vcpu, unsigned int n, const void *buf)
{
	const struct xmm { u8 byte[16]; } *in = buf;

	lockdep_assert_held(&vcpu->host->mutex);
	hold_fpu();
#define SET(i) do {							\
	if (n == (i))							\
		asm volatile("movdqu %0, %%xmm" #i : : "m" (*in));	\
} while (0)
	EACH_XMM(SET);
#undef SET
	fpregs_unlock();
}

/* ---- x87, MXCSR and all XMM registers, likewise ------------------------------------- */

struct fx { u8 byte[GONDOLA_FX_BYTES]; };

void gondola_thread_get_fx(struct gondola_vcpu *vcpu, void *fx)
{
	struct fx *out = fx;

	lockdep_assert_held(&vcpu->host->mutex);
	hold_fpu();
	asm volatile("fxsave64 %0" : "=m" (*out));
	fpregs_unlock();
}

void gondola_thread_set_fx(struct gondola_vcpu *vcpu, const void *fx)
{
	const struct fx *in = fx;

	lockdep_assert_held(&vcpu->host->mutex);
	hold_fpu();
	asm volatile("fxrstor64 %0" : : "m" (*in));
	fpregs_unlock();
}
