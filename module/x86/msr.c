// SPDX-License-Identifier: GPL-2.0-only
/* The guest's MSRs: one table. */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/nospec.h>
#include <uapi/linux/gondola_pv.h>
#include "internal.h"
#include "irq/irq.h"
#include "pv/pv.h"
#include "vcpu.h"

#define MTRR_VARIABLE		8
#define MTRRCAP_FIXED		BIT_ULL(8)
#define MTRRCAP_WC		BIT_ULL(10)
#define MTRR_DEF_ENABLES	(BIT_ULL(10) | BIT_ULL(11))
#define MTRR_MASK_VALID		BIT_ULL(11)
#define MISC_ENABLE_FAST_STRING	BIT_ULL(0)
#define MISC_ENABLE_BTS_UNAVAIL	BIT_ULL(11)
#define MISC_ENABLE_PEBS_UNAVAIL BIT_ULL(12)
#define MISC_ENABLE_RESET	(MISC_ENABLE_FAST_STRING | MISC_ENABLE_BTS_UNAVAIL | \
				 MISC_ENABLE_PEBS_UNAVAIL)
#define FEATURE_CONTROL_LOCKED	BIT_ULL(0)
#define DE_CFG_LFENCE_SERIALIZE	BIT_ULL(1)
#define MICROCODE_REVISION	(1ull << 32)

/**
 * struct msr_row - a range of MSRs
 * @first: first index
 * @last: last index
 * @get: 0, -EINVAL, or -EAGAIN: memory is missing, repeat it
 * @set: likewise; NULL: writes fault
 * @value: with get_fixed(): the value
 * @saved: part of a vCPU's saved state
 */
struct msr_row {
	u32 first;
	u32 last;
	int (*get)(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 *value);
	int (*set)(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 value);
	u64 value;
	bool saved;
};

static int get_fixed(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 *value)
{
	*value = r->value;
	return 0;
}

static int set_ignored(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 value)
{
	return 0;
}

static int get_lapic(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 *value)
{
	int err = gondola_lapic_get_msr(vcpu, index, value);

	return err && err != -EAGAIN ? -EINVAL : err;
}

static int set_lapic(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 value)
{
	int err = gondola_lapic_set_msr(vcpu, index, value);

	return err && err != -EAGAIN ? -EINVAL : err;
}

static int get_engine(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 *value)
{
	return vcpu->engine->get_msr(vcpu, index, value) ? -EINVAL : 0;
}

static int set_engine(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 value)
{
	return vcpu->engine->set_msr(vcpu, index, value) ? -EINVAL : 0;
}

/* A linear address must be canonical. */
static int set_canonical(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 value)
{
	if ((u64)((s64)(value << 16) >> 16) != value)
		return -EINVAL;
	return set_engine(vcpu, r, index, value);
}

/* AMD's processors let a guest write any value, and use its low half alone. */
static int get_sysenter(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 *value)
{
	int err = get_engine(vcpu, r, index, value);

	if (!err)
		*value = (u64)((s64)(*value << 16) >> 16);
	return err;
}

static int get_tsc_aux(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 *value)
{
	if (!cpuid_has_rdtscp(vcpu))
		return -EINVAL;
	return get_engine(vcpu, r, index, value);
}

static int set_tsc_aux(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 value)
{
	if (value >> 32 || !cpuid_has_rdtscp(vcpu))
		return -EINVAL;
	return set_engine(vcpu, r, index, value);
}

static int get_efer(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 *value)
{
	*value = vcpu->efer;
	return 0;
}

static int set_efer(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 value)
{
	return gondola_set_efer(vcpu, value);
}

static void tsc_moved(struct gondola_vcpu *vcpu)
{
	vcpu->engine->set_tsc_offset(vcpu);
	gondola_lapic_rearm(vcpu);
}

static int get_tsc(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 *value)
{
	*value = gondola_guest_tsc(vcpu);
	return 0;
}

/* A write to one changes the other: see the section on TSC adjustment. */
static int set_tsc(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 value)
{
	vcpu->msrs.tsc_adjust += gondola_set_guest_tsc(vcpu, value);
	tsc_moved(vcpu);
	return 0;
}

static int get_tsc_adjust(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 *value)
{
	*value = vcpu->msrs.tsc_adjust;
	return 0;
}

static int set_tsc_adjust(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 value)
{
	u64 by = value - vcpu->msrs.tsc_adjust;

	if (by) {
		gondola_move_guest_tsc(vcpu, by);
		tsc_moved(vcpu);
	}
	vcpu->msrs.tsc_adjust = value;
	return 0;
}

static int get_misc_enable(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index,
			   u64 *value)
{
	*value = vcpu->msrs.misc_enable ^ MISC_ENABLE_RESET;
	return 0;
}

static int set_misc_enable(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 value)
{
	vcpu->msrs.misc_enable = value ^ MISC_ENABLE_RESET;
	return 0;
}

static int get_mcg_status(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 *value)
{
	*value = vcpu->msrs.mcg_status;
	return 0;
}

static int set_mcg_status(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 value)
{
	vcpu->msrs.mcg_status = value;
	return 0;
}

static int get_hwcr(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 *value)
{
	*value = vcpu->msrs.hwcr;
	return 0;
}

static int set_hwcr(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 value)
{
	vcpu->msrs.hwcr = value;
	return 0;
}

/* Branches are not recorded: there are no registers for the record. */
static int get_debugctl(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 *value)
{
	*value = vcpu->msrs.debugctl;
	return 0;
}

static int set_debugctl(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 value)
{
	if (value & ~(DEBUGCTL_BTF | DEBUGCTL_LBR))
		return -EINVAL;
	vcpu->msrs.debugctl = value & DEBUGCTL_BTF;
	/* An engine that cannot step by branches has none. */
	vcpu->engine->set_msr(vcpu, index, vcpu->msrs.debugctl);
	return 0;
}

/* Memory types: UC, WC, WT, WP, WB; PAT alone has UC-. */
static bool mtrr_type(u8 type)
{
	return type <= 6 && type != 2 && type != 3;
}

static bool all_bytes(u64 value, bool pat)
{
	int i;

	for (i = 0; i < 8; i++, value >>= 8) {
		if (!mtrr_type(value & 0xff) && !(pat && (value & 0xff) == 7))
			return false;
	}
	return true;
}

static int set_pat(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 value)
{
	return all_bytes(value, true) ? set_engine(vcpu, r, index, value) : -EINVAL;
}

/*
 * MTRRs are stored without effect: guest memory is the host's write-back memory, and the guest has
 * no direct access to device memory.
 */
static u64 *mtrr_of(struct gondola_vcpu *vcpu, u32 index)
{
	struct gondola_msrs *msrs = &vcpu->msrs;

	switch (index) {
	case MSRX_MTRR_DEF_TYPE:
		return &msrs->mtrr_def_type;
	case MSRX_MTRR_BASE ... MSRX_MTRR_LAST:
		index = array_index_nospec(index - MSRX_MTRR_BASE, ARRAY_SIZE(msrs->mtrr_var));
		return &msrs->mtrr_var[index];
	case MSRX_MTRR_FIX_64K:
		return &msrs->mtrr_fixed[0];
	case MSRX_MTRR_FIX_16K ... MSRX_MTRR_FIX_16K + 1:
		return &msrs->mtrr_fixed[1 + index - MSRX_MTRR_FIX_16K];
	default:
		index = array_index_nospec(3 + index - MSRX_MTRR_FIX_4K,
					   ARRAY_SIZE(msrs->mtrr_fixed));
		return &msrs->mtrr_fixed[index];
	}
}
static_assert(MSRX_MTRR_LAST - MSRX_MTRR_BASE + 1 == 2 * MTRR_VARIABLE);
static_assert(ARRAY_SIZE(((struct gondola_msrs *)0)->mtrr_var) == 2 * MTRR_VARIABLE);

static int get_mtrr(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 *value)
{
	*value = *mtrr_of(vcpu, index);
	return 0;
}

static int set_mtrr_fixed(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 value)
{
	if (!all_bytes(value, false))
		return -EINVAL;
	*mtrr_of(vcpu, index) = value;
	return 0;
}

static int set_mtrr_def(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 value)
{
	if (value & ~(MTRR_DEF_ENABLES | 0xff) || !mtrr_type(value & 0xff))
		return -EINVAL;
	*mtrr_of(vcpu, index) = value;
	return 0;
}

static int set_mtrr_var(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 value)
{
	u64 addr = GENMASK_ULL(vcpu->maxphyaddr - 1, 12);
	bool mask = index & 1;

	if (value & ~(addr | (mask ? MTRR_MASK_VALID : 0xff)))
		return -EINVAL;
	if (!mask && !mtrr_type(value & 0xff))
		return -EINVAL;
	*mtrr_of(vcpu, index) = value;
	return 0;
}

static int get_pv(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 *value)
{
	return gondola_pv_get_msr(vcpu, index, value);
}

static int set_pv(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 value)
{
	return gondola_pv_set_msr(vcpu, index, value);
}

/* Every AMD64 processor has these four counters, without a CPUID bit.  Here they do not count. */
static int get_counter(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 *value)
{
	*value = 0;
	return cpuid_is_amd(vcpu) ? 0 : -EINVAL;
}

static int set_counter(struct gondola_vcpu *vcpu, const struct msr_row *r, u32 index, u64 value)
{
	return cpuid_is_amd(vcpu) ? 0 : -EINVAL;
}

/* Searched from the top: MSRs of running guests come first. */
static const struct msr_row msrs[] = {
	{ MSRX_TSC_DEADLINE, MSRX_TSC_DEADLINE, get_lapic, set_lapic },
	{ MSRX_X2APIC, MSRX_X2APIC_END, get_lapic, set_lapic },
	{ MSRX_FS_BASE, MSRX_KERNEL_GS_BASE, get_engine, set_canonical, .saved = true },
	{ MSRX_TSC, MSRX_TSC, get_tsc, set_tsc, .saved = true },
	{ MSRX_TSC_ADJUST, MSRX_TSC_ADJUST, get_tsc_adjust, set_tsc_adjust, .saved = true },
	{ MSRX_TSC_AUX, MSRX_TSC_AUX, get_tsc_aux, set_tsc_aux, .saved = true },
	{ MSRX_EFER, MSRX_EFER, get_efer, set_efer },
	{ MSRX_APIC_BASE, MSRX_APIC_BASE, get_lapic, set_lapic },
	{ MSRX_SYSENTER_CS, MSRX_SYSENTER_CS, get_engine, set_engine, .saved = true },
	{ MSRX_SYSENTER_ESP, MSRX_SYSENTER_EIP, get_sysenter, set_canonical, .saved = true },
	{ MSRX_STAR, MSRX_STAR, get_engine, set_engine, .saved = true },
	{ MSRX_LSTAR, MSRX_CSTAR, get_engine, set_canonical, .saved = true },
	{ MSRX_SFMASK, MSRX_SFMASK, get_engine, set_engine, .saved = true },
	{ MSRX_PAT, MSRX_PAT, get_engine, set_pat, .saved = true },
	{ GONDOLA_KVM_WALL_CLOCK, GONDOLA_KVM_SYSTEM_TIME, get_pv, set_pv, .saved = true },
	{ GONDOLA_KVM_STEAL_TIME, GONDOLA_KVM_EOI, get_pv, set_pv, .saved = true },

	{ MSRX_MTRRCAP, MSRX_MTRRCAP, get_fixed,
	  .value = MTRR_VARIABLE | MTRRCAP_FIXED | MTRRCAP_WC },
	{ MSRX_MTRR_DEF_TYPE, MSRX_MTRR_DEF_TYPE, get_mtrr, set_mtrr_def, .saved = true },
	{ MSRX_MTRR_BASE, MSRX_MTRR_LAST, get_mtrr, set_mtrr_var, .saved = true },
	{ MSRX_MTRR_FIX_64K, MSRX_MTRR_FIX_64K, get_mtrr, set_mtrr_fixed, .saved = true },
	{ MSRX_MTRR_FIX_16K, MSRX_MTRR_FIX_16K + 1, get_mtrr, set_mtrr_fixed, .saved = true },
	{ MSRX_MTRR_FIX_4K, MSRX_MTRR_FIX_4K + 7, get_mtrr, set_mtrr_fixed, .saved = true },

	{ MSRX_MISC_ENABLE, MSRX_MISC_ENABLE, get_misc_enable, set_misc_enable, .saved = true },
	{ MSRX_MCG_CAP, MSRX_MCG_CAP, get_fixed },		/* no banks */
	{ MSRX_MCG_STATUS, MSRX_MCG_STATUS, get_mcg_status, set_mcg_status, .saved = true },
	/* Guests write 0, execute CPUID and read; there is no microcode to load. */
	{ MSRX_BIOS_SIGN, MSRX_BIOS_SIGN, get_fixed, set_ignored, .value = MICROCODE_REVISION },
	{ MSRX_PLATFORM_ID, MSRX_PLATFORM_ID, get_fixed },
	{ MSRX_FEATURE_CONTROL, MSRX_FEATURE_CONTROL, get_fixed, .value = FEATURE_CONTROL_LOCKED },
	{ MSRX_DEBUGCTL, MSRX_DEBUGCTL, get_debugctl, set_debugctl, .saved = true },
	{ MSRX_AMD_PERF_CTL, MSRX_AMD_PERF_CTR + AMD_COUNTERS - 1, get_counter, set_counter },
	/* Linux reads these on AMD without asking. */
	{ MSRX_AMD_HWCR, MSRX_AMD_HWCR, get_hwcr, set_hwcr, .saved = true },
	{ MSRX_AMD_SYSCFG, MSRX_AMD_SYSCFG, get_fixed, set_ignored },
	{ MSRX_AMD_NB_CFG, MSRX_AMD_NB_CFG, get_fixed, set_ignored },
	{ MSRX_AMD_INT_PENDING, MSRX_AMD_INT_PENDING, get_fixed, set_ignored },
	{ MSRX_AMD_DE_CFG, MSRX_AMD_DE_CFG, get_fixed, set_ignored,
	  .value = DE_CFG_LFENCE_SERIALIZE },
};

static const struct msr_row *find(u32 index)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(msrs); i++) {
		if (index - msrs[i].first <= msrs[i].last - msrs[i].first)
			return &msrs[i];
	}
	return NULL;
}

int gondola_get_msr(struct gondola_vcpu *vcpu, u32 index, u64 *value)
{
	const struct msr_row *msr = find(index);

	return msr ? msr->get(vcpu, msr, index, value) : -EINVAL;
}

int gondola_set_msr(struct gondola_vcpu *vcpu, u32 index, u64 value)
{
	const struct msr_row *msr = find(index);

	return msr && msr->set ? msr->set(vcpu, msr, index, value) : -EINVAL;
}

int gondola_restore_msr(struct gondola_vcpu *vcpu, u32 index, u64 value)
{
	switch (index) {
	case MSRX_TSC:
		gondola_set_guest_tsc(vcpu, value);
		tsc_moved(vcpu);
		return 0;
	case MSRX_TSC_ADJUST:
		vcpu->msrs.tsc_adjust = value;
		return 0;
	case GONDOLA_KVM_WALL_CLOCK:
	case GONDOLA_KVM_SYSTEM_TIME:
	case GONDOLA_KVM_EOI:
		return gondola_pv_restore_msr(vcpu, index, value);
	default:
		return gondola_set_msr(vcpu, index, value);
	}
}

u32 gondola_msr_list(u32 *indices, u32 max)
{
	u32 index, n = 0;
	int i;

	for (i = 0; i < ARRAY_SIZE(msrs); i++) {
		if (!msrs[i].saved)
			continue;
		for (index = msrs[i].first; index <= msrs[i].last; index++, n++) {
			if (n < max)
				indices[n] = index;
		}
	}
	WARN_ON_ONCE(n > max);
	return min(n, max);
}
