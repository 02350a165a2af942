/* SPDX-License-Identifier: GPL-2.0-only */
/* The paravirtual clock's MSRs; hypercalls are declared in exit.h. */
#ifndef GONDOLA_PV_H
#define GONDOLA_PV_H

#include <linux/types.h>

struct gondola_vcpu;

/* 0, or -EINVAL: the vCPU's CPUID does not offer it, or the address is no memory. */
int gondola_pv_get_msr(struct gondola_vcpu *vcpu, u32 index, u64 *value);
int gondola_pv_set_msr(struct gondola_vcpu *vcpu, u32 index, u64 value);

#endif
