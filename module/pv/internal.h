/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by pv.c and steal.c. */
#ifndef GONDOLA_PV_INTERNAL_H
#define GONDOLA_PV_INTERNAL_H

#include <linux/types.h>
#include "pv.h"

/** pv_set_steal_time() - set the address of the guest's record; 0 or -EINVAL */
int pv_set_steal_time(struct gondola_vcpu *vcpu, u64 value);

#endif
