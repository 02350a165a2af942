/* SPDX-License-Identifier: GPL-2.0-only */
/* Would a core dump hold the page at an address? */
#ifndef TESTS_DUMPED_H
#define TESTS_DUMPED_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static inline bool dumped(const void *at)
{
	FILE *maps = fopen("/proc/self/smaps", "re");
	bool here = false, left_out = false;
	unsigned long first, end;
	char line[512];

	while (maps && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx ", &first, &end) == 2)
			here = (uintptr_t)at >= first && (uintptr_t)at < end;
		else if (here && !strncmp(line, "VmFlags:", 8))
			left_out = strstr(line, " dd");
	}
	if (maps)
		fclose(maps);
	return !left_out;
}

#endif
