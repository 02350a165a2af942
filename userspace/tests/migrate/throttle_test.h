/* SPDX-License-Identifier: GPL-2.0-only */
/* Tests of migrate/throttle.c; migrate_test.c lists them. */
#ifndef TESTS_MIGRATE_THROTTLE_TEST_H
#define TESTS_MIGRATE_THROTTLE_TEST_H

void throttle_lets_pause(void);
void throttle_ends_at_once(void);

#endif
