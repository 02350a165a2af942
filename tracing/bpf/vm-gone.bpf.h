/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The end of a VM: tools end with the one that they watch, and forget what they kept to count with.
 * A host starts more VMs in its life than any table has room for, and no number comes again.
 */
#ifndef VM_GONE_BPF_H
#define VM_GONE_BPF_H

#include <linux/gondola.h>
#include "common.bpf.h"

__u32 vm_gone;

/* Delete entries of a VM, of a vCPU and of a launcher that no report needs any more. */
static __always_inline void forget_vm(__u32 vm, __u32 pid);
static __always_inline void forget_vcpu(__u32 vm, __u32 vcpu);

SEC("tracepoint/gondola/gondola_vm")
int on_vm(struct event_gondola_vm *event)
{
	if (event->alive)
		return 0;
	if (filter_vm && event->vm == filter_vm)
		vm_gone = 1;
	if (filtered_out(event->vm))
		return 0;
	for (__u32 vcpu = 0; vcpu < GONDOLA_MAX_VCPUS; vcpu++)
		forget_vcpu(event->vm, vcpu);
	forget_vm(event->vm, event->pid);
	return 0;
}

#endif
