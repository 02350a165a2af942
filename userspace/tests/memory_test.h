/* SPDX-License-Identifier: GPL-2.0-only */
/* Tests of vm/memory.c; userspace_test.c lists them. */
#ifndef TESTS_MEMORY_TEST_H
#define TESTS_MEMORY_TEST_H

void memory_empty_pages(void);
void memory_shared(void);
void memory_image(void);
void memory_too_much(void);
void memory_log_misses(void);
void memory_pieces(void);

#endif
