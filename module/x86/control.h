/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes of control registers, debug registers, MSRs and CPUID as the guest
 * may do them: checked as the processor checks them, then told to MMU, LAPIC
 * and engine.  0, or -EINVAL: the caller raises #GP(0).
 */
#ifndef GONDOLA_X86_CONTROL_H
#define GONDOLA_X86_CONTROL_H

#include <linux/types.h>
#include <uapi/linux/gondola.h>

struct gondola_vcpu;

int gondola_set_cr0(struct gondola_vcpu *vcpu, u64 value);
int gondola_set_cr3(struct gondola_vcpu *vcpu, u64 value);
int gondola_set_cr4(struct gondola_vcpu *vcpu, u64 value);
int gondola_set_cr8(struct gondola_vcpu *vcpu, u64 value);
int gondola_set_efer(struct gondola_vcpu *vcpu, u64 value);
int gondola_set_xcr(struct gondola_vcpu *vcpu, u32 index, u64 value);
int gondola_set_dr(struct gondola_vcpu *vcpu, unsigned int dr, u64 value);
int gondola_get_dr(struct gondola_vcpu *vcpu, unsigned int dr, u64 *value);

/* MSRs as the guest reads and writes them (msr.c: one table). */
int gondola_get_msr(struct gondola_vcpu *vcpu, u32 index, u64 *value);
int gondola_set_msr(struct gondola_vcpu *vcpu, u32 index, u64 value);

/* CPUID (cpuid.c): policy, and what a vCPU answers. */
int gondola_supported_cpuid(struct gondola_cpuid_entry *entries, u32 *count);
/* Checks a list against what is supported; -EINVAL with nothing changed. */
int gondola_set_cpuid(struct gondola_vcpu *vcpu, const struct gondola_cpuid_entry *entries, u32 count);
void gondola_cpuid(struct gondola_vcpu *vcpu, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx);

#endif
