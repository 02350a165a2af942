/* SPDX-License-Identifier: GPL-2.0-only */
/* Images that come through pipes; userspace_test.c lists the tests. */
#ifndef TESTS_PIPE_TEST_H
#define TESTS_PIPE_TEST_H

void images_from_pipes(void);
void image_from_standard_input(void);
void endless_pipe(void);

#endif
