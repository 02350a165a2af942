/* SPDX-License-Identifier: GPL-2.0-only */
/* Tests of inspect/map.c; inspect_test.c lists them. */
#ifndef TESTS_INSPECT_MAP_TEST_H
#define TESTS_INSPECT_MAP_TEST_H

void map_counts_pages(void);
void map_has_cells(void);
void map_finds_huge_pages(void);
void map_as_json(void);

#endif
