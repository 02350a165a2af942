/* SPDX-License-Identifier: GPL-2.0-only */
/* Steps that most tests of the balloon share. */
#ifndef BALLOON_TEST_STEPS_H
#define BALLOON_TEST_STEPS_H

#include "vm.h"

#define GUEST_MIB	192u

enum { OURS, STOCK };

/* of these drivers */
extern const char *const driver_names[];

/** start_with() - a VM whose guest has loaded this driver; @options: as for vm_start() */
void start_with(struct vm *vm, unsigned int driver, const char *options);
/** expect_whole() - the pattern that "hold" wrote is as it was */
void expect_whole(struct vm *vm);
/** touch_all() - the guest uses all that it can get; the resident set once the host has given it */
uint64_t touch_all(struct vm *vm);
/** expect_reason() - a goal, waited for, ends for this one */
void expect_reason(struct vm *vm, const struct guest_request *request, const char *reason);
/** empty() - the guest gets all back */
void empty(struct vm *vm);

#endif
