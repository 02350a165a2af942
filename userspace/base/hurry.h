/* SPDX-License-Identifier: GPL-2.0-only */
/* A thread that nothing may stop does not take a lock that is held for long. */
#ifndef BASE_HURRY_H
#define BASE_HURRY_H

#include <stdbool.h>

/** hurry_set() - is this thread one that nothing may stop? */
void hurry_set(bool hurries);
/** hurry_may_wait() - it is not: it may take a device's lock */
bool hurry_may_wait(void);

#endif
