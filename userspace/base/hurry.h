/* SPDX-License-Identifier: GPL-2.0-only */
/* Some threads, such as the main one, must never block for long, so they take no device's lock. */
#ifndef BASE_HURRY_H
#define BASE_HURRY_H

#include <stdbool.h>

/** hurry_set() - say whether this thread must never block for long */
void hurry_set(bool hurries);
/** hurry_may_wait() - may this thread take a device's lock? */
bool hurry_may_wait(void);

#endif
