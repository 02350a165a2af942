// SPDX-License-Identifier: GPL-2.0-only
/* The ABI's numbers in words. */
#include <string.h>

#include "libgondola.h"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

const char *gondola_reason_name(unsigned int reason)
{
	static const char *const names[] = {
#define X(symbol, name) [GONDOLA_REASON_##symbol] = name,
		GONDOLA_REASONS(X)
#undef X
	};

	return reason < COUNT(names) ? names[reason] : NULL;
}

const char *gondola_counter_name(unsigned int counter)
{
	static const char *const names[] = {
#define X(symbol, name) [GONDOLA_COUNTER_##symbol] = name,
		GONDOLA_COUNTERS(X)
#undef X
	};

	return counter < COUNT(names) ? names[counter] : NULL;
}

const char *gondola_user_exit_name(unsigned int why)
{
	static const char *const names[] = {
		[GONDOLA_EXIT_NONE] = "none",
		[GONDOLA_EXIT_INTR] = "intr",
		[GONDOLA_EXIT_IO] = "io",
		[GONDOLA_EXIT_MMIO] = "mmio",
		[GONDOLA_EXIT_SHUTDOWN] = "shutdown",
		[GONDOLA_EXIT_ENTRY_FAILED] = "entry_failed",
		[GONDOLA_EXIT_UNKNOWN] = "unknown",
		[GONDOLA_EXIT_EMULATION] = "emulation",
		[GONDOLA_EXIT_MEMORY] = "memory",
		[GONDOLA_EXIT_DEBUG] = "debug",
		[GONDOLA_EXIT_XEN] = "xen",
	};

	return why < COUNT(names) ? names[why] : NULL;
}

static const char *const engines[GONDOLA_ENGINE_COUNT] = {
	[GONDOLA_ENGINE_ANY] = "auto",
	[GONDOLA_ENGINE_VMX] = "vmx",
	[GONDOLA_ENGINE_SVM] = "svm",
	[GONDOLA_ENGINE_INTERP] = "interp",
	[GONDOLA_ENGINE_RING3] = "ring3",
};

const char *gondola_engine_name(unsigned int engine)
{
	return engine < COUNT(engines) ? engines[engine] : NULL;
}

int gondola_engine_by_name(const char *name)
{
	for (unsigned int i = 0; i < COUNT(engines); i++)
		if (!strcmp(engines[i], name))
			return (int)i;
	return -1;
}

const char *gondola_preflight_words(unsigned int reason)
{
	static const char *const words[] = {
		[GONDOLA_PF_OK] = "usable",
		[GONDOLA_PF_NOT_BUILT] = "this module was built without it",
		[GONDOLA_PF_ABSENT] = "the processor does not have it",
		[GONDOLA_PF_LOCKED_OFF] = "the processor has it, but firmware locked it off",
		[GONDOLA_PF_IN_USE] = "another hypervisor holds it",
		[GONDOLA_PF_NESTED_OFF] =
			"this machine is a guest, and its host does not offer nested virtualization",
		[GONDOLA_PF_MISSING_FEATURE] = "the processor lacks a part of it that gondola needs",
		[GONDOLA_PF_PROCESSORS_DIFFER] = "the processors of this machine do not offer the same",
		[GONDOLA_PF_KERNEL] = "the kernel that runs here does not allow it",
	};

	return reason < COUNT(words) ? words[reason] : "a reason that this program does not know";
}

const char *gondola_preflight_advice(unsigned int engine, unsigned int reason)
{
	switch (reason) {
	case GONDOLA_PF_LOCKED_OFF:
		return engine == GONDOLA_ENGINE_SVM ?
			"enable \"SVM mode\" or \"AMD-V\" in the firmware setup, then power-cycle" :
			"enable \"Intel VT-x\" in the firmware setup, then power-cycle";
	case GONDOLA_PF_IN_USE:
		return engine == GONDOLA_ENGINE_SVM ?
			"end its virtual machines and unload it: rmmod kvm_amd" :
			"end its virtual machines and unload it: rmmod kvm_intel";
	case GONDOLA_PF_NESTED_OFF:
		return "switch nested virtualization on at the host (for KVM: kvm_intel.nested=1 or kvm_amd.nested=1, and a CPU model that passes the feature on)";
	case GONDOLA_PF_PROCESSORS_DIFFER:
		return "check the firmware setup and the microcode of all sockets";
	case GONDOLA_PF_KERNEL:
		return "boot another kernel, or with the option that it names, or use another engine";
	case GONDOLA_PF_NOT_BUILT:
		return "build the module with it, or use another engine";
	default:
		return NULL;
	}
}
