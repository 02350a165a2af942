/* SPDX-License-Identifier: GPL-2.0-only */
/* The launcher's changes to the CPUID that the module supports. */
#ifndef VM_CPUID_H
#define VM_CPUID_H

#include <stdint.h>
#include <linux/gondola.h>

/**
 * cpuid_set_topology() - set a package of @cpus cores with one thread each
 *
 * The module sets the APIC ids, which differ between processors.
 */
void cpuid_set_topology(struct gondola_cpuid_entry *entries, uint32_t count, unsigned int cpus);
/** cpuid_without_pv() - remove KVM's paravirtual interface; returns the number of entries left */
uint32_t cpuid_without_pv(struct gondola_cpuid_entry *entries, uint32_t count);

/** cpuid_for_xen() - hide what a paravirtualized guest of Xen's interface does not have */
void cpuid_for_xen(struct gondola_cpuid_entry *entries, uint32_t count);

#endif
