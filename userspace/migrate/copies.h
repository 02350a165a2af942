/* SPDX-License-Identifier: GPL-2.0-only */
/* Buffers that hold copies of guest memory.  Like the memory itself, they are in no core dump. */
#ifndef MIGRATE_COPIES_H
#define MIGRATE_COPIES_H

#include <stddef.h>

/** copies_alloc() - whole pages, which hold anything, or NULL */
void *copies_alloc(size_t bytes);
/** copies_free() - @bytes as they were asked for; @copies may be NULL */
void copies_free(void *copies, size_t bytes);

#endif
