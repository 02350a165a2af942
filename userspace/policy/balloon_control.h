/* SPDX-License-Identifier: GPL-2.0-only */
/* The balloon on the control socket: "balloon", "balloon-status", "balloon-stats", "balloon-hint". */
#ifndef VM_BALLOON_CONTROL_H
#define VM_BALLOON_CONTROL_H

#include <stdint.h>

struct vm;

/**
 * balloon_control_init() - add the commands and the event, if the VM has a balloon
 * @keep: bytes that a policy leaves available to the guest
 */
void balloon_control_init(struct vm *vm, uint64_t keep);

#endif
