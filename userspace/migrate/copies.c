// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <sys/mman.h>

#include "copies.h"

#define PAGE	4096u

static size_t whole_pages(size_t bytes)
{
	return (bytes + PAGE - 1) & ~(size_t)(PAGE - 1);
}

/* Allocated so that sanitizers detect an access behind the end. */
void *copies_alloc(size_t bytes)
{
	void *copies;

	bytes = whole_pages(bytes);
	if (posix_memalign(&copies, PAGE, bytes))
		return NULL;
	if (!madvise(copies, bytes, MADV_DONTDUMP))
		return copies;
	free(copies);
	return NULL;
}

void copies_free(void *copies, size_t bytes)
{
	if (!copies)
		return;
	madvise(copies, whole_pages(bytes), MADV_DODUMP);
	free(copies);
}
