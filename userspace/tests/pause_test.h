/* SPDX-License-Identifier: GPL-2.0-only */
/* Tests of vm/pause.c; userspace_test.c lists them. */
#ifndef TESTS_PAUSE_TEST_H
#define TESTS_PAUSE_TEST_H

void pause_slow_kicks(void);

#endif
