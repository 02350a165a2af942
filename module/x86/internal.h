/* SPDX-License-Identifier: GPL-2.0-only */
/* The features of a vCPU's CPUID (cpuid.c), for control registers and MSRs. */
#ifndef GONDOLA_X86_INTERNAL_H
#define GONDOLA_X86_INTERNAL_H

#include <linux/types.h>
#include "control.h"

/** cpuid_xcr0() - get the components that the guest may enable in XCR0 */
u64 cpuid_xcr0(const struct gondola_vcpu *vcpu);
/** cpuid_has_rdtscp() - does the vCPU have RDTSCP or RDPID? */
bool cpuid_has_rdtscp(const struct gondola_vcpu *vcpu);
/** cpuid_is_amd() - is the guest's processor from AMD, or from Hygon, which is alike? */
bool cpuid_is_amd(const struct gondola_vcpu *vcpu);

#endif
