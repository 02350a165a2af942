// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's FPU state, for kernels that keep their guest states to their own hypervisor.  It is
 * an XSAVE area of the vCPU, loaded right before each entry and saved right after the exit, with
 * interrupts off.  For the kernel this is a use of the FPU like its own: it saves the thread's
 * state before, and restores it on the way to user mode.
 *
 * This costs a load and a save at each exit, which the kernel's states (fpu.c) avoid.
 */
#include <linux/gfp.h>
#include <linux/string.h>
#include <asm/cpufeature.h>
#include <asm/fpu/api.h>
#include <asm/fpu/xcr.h>
#include <asm/processor.h>
#include "compat.h"
#include "vcpu.h"
#include "vcpu_host.h"
#include "thread.h"

#define XSTATE_X87		BIT_ULL(0)
#define XSTATE_SSE		BIT_ULL(1)
#define XSTATE_LEGACY		(XSTATE_X87 | XSTATE_SSE)
/* AVX and AVX-512, the other components that guests are offered (x86/cpuid.c). */
#define XSTATE_EXTENDED		0xe4ull
/* The state record of a host with protection keys contains them; no guest is offered them. */
#define XSTATE_PKRU		BIT_ULL(9)

#define CPUID_XSTATE		0xd
#define FCW_RESET		0x37fu
#define MXCSR_RESET		0x1f80u
/* The default for processors that do not report it: all but DAZ. */
#define MXCSR_BITS		0xffbfu

/* XSAVE's standard form, which begins like FXSAVE's.  Both always write the same MXCSR_MASK. */
struct gondola_xsave {
	struct {
		u16 fcw;
		u8 x87[22];
		u32 mxcsr;
		u32 mxcsr_mask;
		u8 st[8][16];
		u8 xmm[16][16];
		u8 rest[96];
	} fx;
	u64 xstate_bv;
	u64 xcomp_bv;
	u64 reserved[6];
	u8 extended[PAGE_SIZE - 576];
};
static_assert(sizeof(((struct gondola_xsave *)0)->fx) == GONDOLA_FX_BYTES);
static_assert(offsetof(struct gondola_xsave, fx.xmm) == 160);
static_assert(offsetof(struct gondola_xsave, extended) == 576);
static_assert(sizeof(struct gondola_xsave) == PAGE_SIZE);

static bool has_xsave(void)
{
	return boot_cpu_has(X86_FEATURE_OSXSAVE);
}

/* The components that the guest has while it runs. */
static u64 components(void)
{
	u64 extended = has_xsave() ? xgetbv(XCR_XFEATURE_ENABLED_MASK) & XSTATE_EXTENDED : 0;

	return XSTATE_LEGACY | extended;
}

static void save(struct gondola_xsave *area, u64 mask)
{
	if (has_xsave())
		asm volatile("xsave64 %0" : "+m" (*area) : "a" ((u32)mask), "d" (0));
	else
		asm volatile("fxsave64 %0" : "+m" (area->fx));
}

static void load(const struct gondola_xsave *area, u64 mask)
{
	/* Some processors keep the pointers of the last x87 operation here: clear them. */
	if (boot_cpu_has_bug(X86_BUG_FXSAVE_LEAK))
		asm volatile("fnclex; emms; fildl %0" : : "m" (area->fx.mxcsr));
	if (has_xsave())
		asm volatile("xrstor64 %0" : : "m" (*area), "a" ((u32)mask), "d" (0));
	else
		asm volatile("fxrstor64 %0" : : "m" (area->fx));
}

static void reset_x87(struct gondola_xsave *area)
{
	area->fx.fcw = FCW_RESET;
	memset(area->fx.x87, 0, sizeof(area->fx.x87));
	memset(area->fx.st, 0, sizeof(area->fx.st));
}

int gondola_thread_fpu_create(struct gondola_vcpu *vcpu)
{
	struct gondola_xsave *area = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	u32 mask;

	if (!area)
		return -ENOMEM;
	/* The valid bits of MXCSR on this processor. */
	kernel_fpu_begin();
	save(area, XSTATE_LEGACY);
	kernel_fpu_end();
	mask = area->fx.mxcsr_mask ?: MXCSR_BITS;
	memset(area, 0, sizeof(*area));
	reset_x87(area);
	area->fx.mxcsr = MXCSR_RESET;
	area->fx.mxcsr_mask = mask;
	area->xstate_bv = XSTATE_LEGACY;
	vcpu->host->thread.fpu = area;
	return 0;
}

void gondola_thread_fpu_destroy(struct gondola_vcpu *vcpu)
{
	free_page((unsigned long)vcpu->host->thread.fpu);
	vcpu->host->thread.fpu = NULL;
}

void gondola_thread_fpu_swap(struct gondola_vcpu *vcpu, bool guest)
{
}

void gondola_thread_fpu_load(struct gondola_vcpu *vcpu)
{
	/* It needs no initialization, since all of it is loaded. */
	kernel_fpu_begin_mask(0);
	load(vcpu->host->thread.fpu, components());
}

void gondola_thread_fpu_unload(struct gondola_vcpu *vcpu)
{
	save(vcpu->host->thread.fpu, components());
	kernel_fpu_end();
}

/* ---- the state record ----------------------------------------------------------- */

u32 gondola_thread_fpu_size(struct gondola_vcpu *vcpu)
{
	u32 size = offsetof(struct gondola_xsave, extended);
	u64 mask = components();
	unsigned int i;

	for (i = 2; i < 8; i++) {
		u32 bytes, offset, ecx, edx;

		if (!(mask >> i & 1))
			continue;
		cpuid_count(CPUID_XSTATE, i, &bytes, &offset, &ecx, &edx);
		size = max(size, bytes + offset);
	}
	return min_t(u32, size, sizeof(struct gondola_xsave));
}

int gondola_thread_fpu_get(struct gondola_vcpu *vcpu, void *buf, u32 bytes)
{
	u32 size = min(bytes, gondola_thread_fpu_size(vcpu));

	memcpy(buf, vcpu->host->thread.fpu, size);
	memset(buf + size, 0, bytes - size);
	return 0;
}

/* XRSTOR would fault in the kernel on what is refused here. */
static bool loadable(const struct gondola_xsave *area, u32 mxcsr_mask)
{
	return !(area->xstate_bv & ~(components() | XSTATE_PKRU)) && !area->xcomp_bv &&
	       !memchr_inv(area->reserved, 0, sizeof(area->reserved)) &&
	       !(area->fx.mxcsr & ~mxcsr_mask);
}

int gondola_thread_fpu_set(struct gondola_vcpu *vcpu, const void *buf, u32 bytes, u32 *bad)
{
	struct gondola_xsave *area = vcpu->host->thread.fpu;
	u32 mxcsr_mask = area->fx.mxcsr_mask;

	*bad = offsetof(struct gondola_xsave, xstate_bv);
	if (bytes < offsetof(struct gondola_xsave, extended) || !loadable(buf, mxcsr_mask))
		return -EINVAL;
	/* One from a host with less, or more but unused, state is as good. */
	memset(area, 0, sizeof(*area));
	memcpy(area, buf, min(bytes, gondola_thread_fpu_size(vcpu)));
	area->fx.mxcsr_mask = mxcsr_mask;
	/* FXRSTOR loads all components, so write the initial state of absent ones. */
	if (!(area->xstate_bv & XSTATE_X87))
		reset_x87(area);
	if (!(area->xstate_bv & XSTATE_SSE))
		memset(area->fx.xmm, 0, sizeof(area->fx.xmm));
	area->xstate_bv = (area->xstate_bv & components()) | XSTATE_LEGACY;
	return 0;
}

/* ---- one XMM register, for the emulator ------------------------------------------ */

void gondola_thread_get_xmm(struct gondola_vcpu *vcpu, unsigned int n, void *buf)
{
	const struct gondola_xsave *area = vcpu->host->thread.fpu;

	lockdep_assert_held(&vcpu->host->mutex);
	memcpy(buf, area->fx.xmm[n], sizeof(area->fx.xmm[n]));
}

void gondola_thread_set_xmm(struct gondola_vcpu *vcpu, unsigned int n, const void *buf)
{
	struct gondola_xsave *area = vcpu->host->thread.fpu;

	lockdep_assert_held(&vcpu->host->mutex);
	memcpy(area->fx.xmm[n], buf, sizeof(area->fx.xmm[n]));
	area->xstate_bv |= XSTATE_SSE;
}

/* ---- x87, MXCSR and all XMM registers, likewise ------------------------------------- */

void gondola_thread_get_fx(struct gondola_vcpu *vcpu, void *fx)
{
	const struct gondola_xsave *area = vcpu->host->thread.fpu;

	lockdep_assert_held(&vcpu->host->mutex);
	memcpy(fx, &area->fx, GONDOLA_FX_BYTES);
}

void gondola_thread_set_fx(struct gondola_vcpu *vcpu, const void *fx)
{
	struct gondola_xsave *area = vcpu->host->thread.fpu;

	lockdep_assert_held(&vcpu->host->mutex);
	memcpy(&area->fx, fx, GONDOLA_FX_BYTES);
	area->xstate_bv |= XSTATE_LEGACY;
}
