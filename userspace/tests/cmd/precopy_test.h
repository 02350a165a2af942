/* SPDX-License-Identifier: GPL-2.0-only */
/* Tests of migrate/precopy.c, which needs all of the launcher; cmd_test.c lists them. */
#ifndef TESTS_CMD_PRECOPY_TEST_H
#define TESTS_CMD_PRECOPY_TEST_H

void precopy_log_misses(void);
void precopy_first_progress(void);

#endif
