/* SPDX-License-Identifier: GPL-2.0-only */
/* The maps' layout, for gondola-top and its BPF program. */
#ifndef GONDOLA_TOP_H
#define GONDOLA_TOP_H

#include "common.h"

/* Classes of exits; X(CLASS, column, words). */
#define TOP_CLASSES(X)					\
	X(IO, "IO", "ports")				\
	X(FAULT, "FAULT", "page faults, MMIO too")	\
	X(CPU, "CPU", "CPUID, MSRs, control and debug registers") \
	X(INTR, "INTR", "the host's interrupts, interrupt windows") \
	X(HLT, "HLT", "HLT and PAUSE")			\
	X(CALL, "CALL", "hypercalls")			\
	X(OTHER, "OTHER", "what is left")

enum top_class {
#define X(class, column, words) TOP_##class,
	TOP_CLASSES(X)
#undef X
	TOP_NR_CLASSES
};

#define TOP_REASONS	64

/**
 * struct top_count - a VM, on one processor
 * @guest_ns: in which a vCPU ran its code
 * @steal_ns: in which a vCPU's thread could have run and did not
 */
struct top_count {
	__u64 exits[TOP_NR_CLASSES];
	__u64 mmio;
	__u64 injected;
	__u64 dirtied;
	__u64 user;
	__u64 guest_ns;
	__u64 steal_ns;
};

struct top_vcpu_key {
	__u32 vm;
	__u32 vcpu;
};

#endif
