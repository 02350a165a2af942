/* SPDX-License-Identifier: GPL-2.0-only */
/* Tests of inspect/core.c; inspect_test.c lists them. */
#ifndef TESTS_INSPECT_CORE_TEST_H
#define TESTS_INSPECT_CORE_TEST_H

void core_has_memory(void);
void core_has_registers(void);
void core_has_the_kernels_words(void);
void core_has_the_kernels_mappings(void);
void core_of_an_isolated_kernel(void);
void core_of_a_hostile_guest(void);
void core_is_given_up(void);

#endif
