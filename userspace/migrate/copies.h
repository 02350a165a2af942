/* SPDX-License-Identifier: GPL-2.0-only */
/* Buffers for copies of guest memory.  Like the memory itself they are excluded from core dumps. */
#ifndef MIGRATE_COPIES_H
#define MIGRATE_COPIES_H

#include <stddef.h>

/** copies_alloc() - allocate whole pages, with any contents; or NULL */
void *copies_alloc(size_t bytes);
/** copies_free() - free them; @bytes as in copies_alloc(); @copies may be NULL */
void copies_free(void *copies, size_t bytes);

#endif
