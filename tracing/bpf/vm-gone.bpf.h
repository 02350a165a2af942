/* SPDX-License-Identifier: GPL-2.0-only */
/* For tools that end with the one VM that they watch. */
#ifndef VM_GONE_BPF_H
#define VM_GONE_BPF_H

#include "common.bpf.h"

__u32 vm_gone;

SEC("tracepoint/gondola/gondola_vm")
int on_vm(struct event_gondola_vm *event)
{
	if (!event->alive && filter_vm && event->vm == filter_vm)
		vm_gone = 1;
	return 0;
}

#endif
