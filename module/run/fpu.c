// SPDX-License-Identifier: GPL-2.0-only
/* The guest's FPU state: in the processor (host/fpu.c), or in vcpu->fpu with engines in software. */
#include <linux/errno.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "emulate/emulate.h"
#include "internal.h"
#include "host/thread.h"
#include "vcpu.h"
#include "host/vcpu_host.h"

#define FCW_RESET	0x37fu
#define MXCSR_RESET	0x1f80u
#define MXCSR_BITS	0xffffu

/* The area of the state record has XSAVE's standard form. */
struct area {
	struct gondola_fxsave fx;
	u64 xstate_bv;
	u64 xcomp_bv;
	u64 reserved[6];
};
static_assert(sizeof(struct area) == 512 + 64);

#define XSTATE_X87	1ull
#define XSTATE_SSE	2ull

int gondola_vcpu_fpu_create(struct gondola_vcpu *vcpu)
{
	if (gondola_engine_is_hardware(vcpu->engine))
		return gondola_thread_fpu_create(vcpu);
	vcpu->fpu = kzalloc(sizeof(*vcpu->fpu), GFP_KERNEL_ACCOUNT);
	if (!vcpu->fpu)
		return -ENOMEM;
	vcpu->fpu->fcw = FCW_RESET;
	vcpu->fpu->mxcsr = MXCSR_RESET;
	vcpu->fpu->mxcsr_mask = MXCSR_BITS;
	return 0;
}

void gondola_vcpu_fpu_destroy(struct gondola_vcpu *vcpu)
{
	if (!vcpu->fpu)
		gondola_thread_fpu_destroy(vcpu);
	kfree(vcpu->fpu);
	vcpu->fpu = NULL;
}

static u32 fpu_size(struct gondola_vcpu *vcpu)
{
	return vcpu->fpu ? sizeof(struct area) : gondola_thread_fpu_size(vcpu);
}

/*
 * Emulated processors load bits of MXCSR that real ones refuse, and that mean nothing.  A state with
 * them could be set nowhere, so a guest could prevent its own migration.
 */
static void clear_reserved(struct gondola_fxsave *fx)
{
	fx->mxcsr &= MXCSR_BITS | fx->mxcsr_mask;
}

static int fpu_get(struct gondola_vcpu *vcpu, void *buf, u32 bytes)
{
	struct area *area = buf;
	int err = 0;

	if (bytes < sizeof(*area))
		return -EINVAL;
	if (vcpu->fpu) {
		memset(buf, 0, bytes);
		area->fx = *vcpu->fpu;
		area->xstate_bv = XSTATE_X87 | XSTATE_SSE;
	} else {
		err = gondola_thread_fpu_get(vcpu, buf, bytes);
	}
	if (!err)
		clear_reserved(&area->fx);
	return err;
}

/*
 * Other components than these two must be unused.  Processors differ in when they report a
 * component as unused, so compare: all are zero in their initial state.
 */
static int check_area(const struct area *area, u32 bytes, u32 *bad)
{
	*bad = 512;
	if (bytes < sizeof(*area) || area->xcomp_bv)
		return -EINVAL;
	if (area->xstate_bv & ~(XSTATE_X87 | XSTATE_SSE) &&
	    memchr_inv(area + 1, 0, bytes - sizeof(*area)))
		return -EINVAL;
	*bad = offsetof(struct gondola_fxsave, mxcsr);
	return area->fx.mxcsr & ~MXCSR_BITS ? -EINVAL : 0;
}

static int fpu_set(struct gondola_vcpu *vcpu, const void *buf, u32 bytes, u32 *bad)
{
	const struct area *area = buf;
	struct gondola_fxsave *fpu = vcpu->fpu;
	int err;

	if (!fpu)
		return gondola_thread_fpu_set(vcpu, buf, bytes, bad);
	err = check_area(area, bytes, bad);
	if (err)
		return err;
	*fpu = area->fx;
	fpu->mxcsr_mask = MXCSR_BITS;
	/* A component that is not present is in its initial state. */
	if (!(area->xstate_bv & XSTATE_X87)) {
		memset(fpu, 0, offsetof(struct gondola_fxsave, mxcsr));
		memset(fpu->st, 0, sizeof(fpu->st));
		fpu->fcw = FCW_RESET;
	}
	gondola_x87_settle(fpu);
	if (!(area->xstate_bv & XSTATE_SSE))
		memset(fpu->xmm, 0, sizeof(fpu->xmm));
	return 0;
}

/* ---- one XMM register, for the instruction emulator ------------------------------- */

void run_get_xmm(struct gondola_vcpu *vcpu, unsigned int n, void *buf)
{
	if (vcpu->fpu)
		memcpy(buf, vcpu->fpu->xmm[n], sizeof(vcpu->fpu->xmm[n]));
	else
		gondola_thread_get_xmm(vcpu, n, buf);
}

void run_set_xmm(struct gondola_vcpu *vcpu, unsigned int n, const void *buf)
{
	if (vcpu->fpu)
		memcpy(vcpu->fpu->xmm[n], buf, sizeof(vcpu->fpu->xmm[n]));
	else
		gondola_thread_set_xmm(vcpu, n, buf);
}

GONDOLA_VARYING_RECORD(fpu, FPU);
