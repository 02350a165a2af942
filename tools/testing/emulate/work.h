/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef WORK_H
#define WORK_H

#include <linux/types.h>

u64 work(u64 rounds);

#endif
