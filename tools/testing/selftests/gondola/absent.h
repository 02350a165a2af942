/* SPDX-License-Identifier: GPL-2.0-only */
/* Pages that are not there until the test supplies them, by userfaultfd. */
#ifndef ABSENT_H
#define ABSENT_H

#include "machine.h"

/** absent_open() - a userfaultfd with @flags; skips the test where there is none */
int absent_open(int flags);
/** absent_make() - @bytes at @memory are missing from now on */
void absent_make(int uffd, void *memory, size_t bytes);
/** absent_supply() - the page at @at is a copy of @page now */
void absent_supply(int uffd, void *at, const void *page);
/**
 * absent_guest() - the guest's pages from @gpa on are missing, and a vCPU leaves for them
 *
 * Returns the userfaultfd.
 */
int absent_guest(struct machine *machine, uint32_t gpa, size_t bytes, int flags);

#endif
