/* SPDX-License-Identifier: GPL-2.0-only */
/* Slows a guest down: its vCPUs sleep for a share of the time, in the launcher. */
#ifndef MIGRATE_THROTTLE_H
#define MIGRATE_THROTTLE_H

struct vm;
struct vcpu;

#define THROTTLE_MAX	99		/* percent */

/** throttle_set() - sleep for @percent of the time from now on; any thread except vCPUs' */
void throttle_set(struct vm *vm, unsigned int percent);
unsigned int throttle_percent(void);

#endif
