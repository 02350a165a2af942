/* SPDX-License-Identifier: GPL-2.0-only */
/* Tests of a driver that has to let go of its device for a while. */
#ifndef BALLOON_TEST_SLEEP_H
#define BALLOON_TEST_SLEEP_H

void our_driver_sleeps(void);
void stock_driver_sleeps(void);
void unbinds(void);

#endif
