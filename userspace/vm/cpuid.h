/* SPDX-License-Identifier: GPL-2.0-only */
/* The launcher's choices among the CPUID leaves that the module supports. */
#ifndef VM_CPUID_H
#define VM_CPUID_H

#include <stdint.h>
#include <linux/gondola.h>

/**
 * cpuid_set_topology() - one package of @cpus cores with one thread each
 *
 * The module fills in what differs between processors, their APIC ids.
 */
void cpuid_set_topology(struct gondola_cpuid_entry *entries, uint32_t count, unsigned int cpus);
/** cpuid_without_pv() - take out KVM's paravirtual interface; returns how many entries are left */
uint32_t cpuid_without_pv(struct gondola_cpuid_entry *entries, uint32_t count);

#endif
