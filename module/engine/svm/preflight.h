/* SPDX-License-Identifier: GPL-2.0-only */
/* The decision whether SVM can be used.  Pure, so that tests reach every answer. */
#ifndef GONDOLA_SVM_PREFLIGHT_H
#define GONDOLA_SVM_PREFLIGHT_H

#include <linux/bits.h>
#include <linux/types.h>

#define VM_CR_LOCK	BIT_ULL(3)
#define VM_CR_SVMDIS	BIT_ULL(4)

/**
 * struct svm_facts - read from CPUID and MSRs
 * @svm: CPUID offers it
 * @virtual_amd: the processor is AMD's or Hygon's, and this host is a guest
 * @vm_cr: the MSR VM_CR; 0 if it cannot be read
 * @asids: number of address space identifiers, including the host's
 * @nx: no-execute pages are in use
 * @encrypted: memory encryption is in use
 * @taken: EFER.SVME is set, and not by us
 */
struct svm_facts {
	bool svm;
	bool virtual_amd;
	u64 vm_cr;
	u32 asids;
	bool nx;
	bool encrypted;
	bool taken;
};

/** svm_verdict() - returns enum gondola_preflight_reason; @detail (64 bytes) gets words unless it is OK */
u32 svm_verdict(const struct svm_facts *facts, char *detail);

#endif
