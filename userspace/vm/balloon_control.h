/* SPDX-License-Identifier: GPL-2.0-only */
/* The balloon on the control socket: "balloon", "balloon-status", "balloon-stats", "balloon-hint". */
#ifndef VM_BALLOON_CONTROL_H
#define VM_BALLOON_CONTROL_H

/** balloon_control_init() - add the commands and the event, if the VM has a balloon */
void balloon_control_init(void);

#endif
