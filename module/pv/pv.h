/* SPDX-License-Identifier: GPL-2.0-only */
/* The guest's interface to the monitor: paravirtual clock, steal time, hypercalls. */
#ifndef GONDOLA_PV_H
#define GONDOLA_PV_H

#include <linux/types.h>
#include "x86/x86.h"

struct gondola_vcpu;

/* 0, or -EINVAL: CPUID does not offer the MSR, or the address is no memory. */
int gondola_pv_get_msr(struct gondola_vcpu *vcpu, u32 index, u64 *value);
int gondola_pv_set_msr(struct gondola_vcpu *vcpu, u32 index, u64 value);
/**
 * gondola_pv_restore_msr() - the same as part of a saved state
 *
 * It does not write the clock's records again.  They were saved with the guest's memory and fit its
 * TSC; with this host's calibration time would jump.
 */
int gondola_pv_restore_msr(struct gondola_vcpu *vcpu, u32 index, u64 value);

/**
 * gondola_pv_scheduled() - handle GONDOLA_REQ_STEAL: the vCPU's thread runs again
 *
 * 0, or -EAGAIN: memory is missing, call again.
 */
int gondola_pv_scheduled(struct gondola_vcpu *vcpu);
/** gondola_pv_descheduled() - the thread stops; only while steal time is on; preemption may be off */
void gondola_pv_descheduled(struct gondola_vcpu *vcpu);

/** gondola_pv_clock_ns() - the time of the guest's paravirtual clock, in ns since its TSC was 0 */
u64 gondola_pv_clock_ns(struct gondola_vcpu *vcpu);
/** gondola_pv_write_time() - write the clock's 32 bytes at @gpa; 0, -EINVAL or -EAGAIN */
int gondola_pv_write_time(struct gondola_vcpu *vcpu, gpa_t gpa);

/** gondola_hypercall() - do the hypercall in the guest's registers; 0, or -EINVAL for #UD */
int gondola_hypercall(struct gondola_vcpu *vcpu);

/** gondola_pv_wants_steal() - is steal time on? */
#define gondola_pv_wants_steal(vcpu)	((vcpu)->msrs.steal_time & 1)

#endif
