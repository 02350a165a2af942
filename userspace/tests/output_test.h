/* SPDX-License-Identifier: GPL-2.0-only */
/* Tests of vm/output.c; userspace_test.c lists them. */
#ifndef TESTS_OUTPUT_TEST_H
#define TESTS_OUTPUT_TEST_H

void output_pauses(void);
void output_stands_still(void);
void output_no_terminal(void);
void output_peer_goes(void);

#endif
