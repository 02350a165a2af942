/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest's writes of control registers, debug registers, MSRs and CPUID.  They are checked as by
 * the processor, then passed to MMU, LAPIC and engine.  0, or -EINVAL: the caller raises #GP(0).
 * CR0, CR3 and CR4 also -EAGAIN: the write is repeated once vcpu->missing is present.
 */
#ifndef GONDOLA_X86_CONTROL_H
#define GONDOLA_X86_CONTROL_H

#include <linux/types.h>
#include <uapi/linux/gondola.h>

struct gondola_engine_ops;
struct gondola_vcpu;

/** gondola_get_cr() - read CR0, 2, 3, 4 or 8 as the guest does; -EINVAL: there is no such register */
int gondola_get_cr(struct gondola_vcpu *vcpu, unsigned int cr, u64 *value);
int gondola_set_cr0(struct gondola_vcpu *vcpu, u64 value);
int gondola_set_cr3(struct gondola_vcpu *vcpu, u64 value);
int gondola_set_cr4(struct gondola_vcpu *vcpu, u64 value);
int gondola_set_cr8(struct gondola_vcpu *vcpu, u64 value);
int gondola_set_efer(struct gondola_vcpu *vcpu, u64 value);
int gondola_set_xcr(struct gondola_vcpu *vcpu, u32 index, u64 value);
/** gondola_update_dr7() - pass a change of DR7, the guest's or a debugger's, to the engine */
void gondola_update_dr7(struct gondola_vcpu *vcpu);
void gondola_debug_exception(struct gondola_vcpu *vcpu, u64 conditions);
bool gondola_general_detect(struct gondola_vcpu *vcpu);
int gondola_set_dr(struct gondola_vcpu *vcpu, unsigned int dr, u64 value);
int gondola_get_dr(struct gondola_vcpu *vcpu, unsigned int dr, u64 *value);

/* The guest's reads and writes of MSRs (msr.c: one table). */
int gondola_get_msr(struct gondola_vcpu *vcpu, u32 index, u64 *value);
int gondola_set_msr(struct gondola_vcpu *vcpu, u32 index, u64 value);
/**
 * gondola_restore_msr() - set an MSR from saved state
 *
 * Unlike in gondola_set_msr(), TSC and TSC_ADJUST do not change each other, so the order of a saved
 * list does not matter.
 */
int gondola_restore_msr(struct gondola_vcpu *vcpu, u32 index, u64 value);
/**
 * gondola_msr_list() - list the MSRs of a vCPU's saved state
 * @indices: out, at most @max
 *
 * Returns their number.  gondola_get_msr() refuses those that the vCPU's CPUID does not offer:
 * leave them out.  EFER, APIC_BASE and the APIC's MSRs are in other records.
 */
u32 gondola_msr_list(u32 *indices, u32 max);

/**
 * struct gondola_msrs - MSRs that are only stored; 0 is their reset state
 * @misc_enable: exclusive-or of MISC_ENABLE with its reset value
 * @mtrr_var: pairs of base and mask
 * @wall_clock, @system_time, @steal_time, @eoi: see pv/
 */
struct gondola_msrs {
	u64 tsc_adjust;
	u64 misc_enable;
	u64 mcg_status;
	u64 debugctl;
	u64 mtrr_def_type;
	u64 mtrr_fixed[11];
	u64 mtrr_var[16];
	u64 hwcr;
	u64 wall_clock;
	u64 system_time;
	u64 steal_time;
	u64 eoi;
	u32 clock_version;
};

/* CPUID (cpuid.c): the policy, and a vCPU's answers. */
int gondola_supported_cpuid(const struct gondola_engine_ops *engine,
			    struct gondola_cpuid_entry *entries, u32 *count);
/* Check a list against the supported features; -EINVAL with nothing changed. */
int gondola_set_cpuid(struct gondola_vcpu *vcpu, const struct gondola_cpuid_entry *entries,
		      u32 count);
/** gondola_cpuid_has_pv() - does the vCPU's CPUID offer this paravirtual feature? */
bool gondola_cpuid_has_pv(const struct gondola_vcpu *vcpu, u32 feature);
void gondola_cpuid(struct gondola_vcpu *vcpu, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx);

#endif
