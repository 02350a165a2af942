/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A file that a VM is saved in.  It is written beside, as PATH.tmp, and takes its name when it is
 * whole: a VM is never in half a file.
 */
#ifndef SANDBOX_SAVED_H
#define SANDBOX_SAVED_H

/** saved_create() - a descriptor to write it by, or -errno; a new file, this user's alone */
int saved_create(const char *path);
/** saved_commit() - it has its name; 0, 1 if a loss of power may undo that, or -errno */
int saved_commit(const char *path);
/** saved_remove() - the file is gone; likewise */
int saved_remove(const char *path);
/** saved_drop() - it is not to be; 0 or -errno */
int saved_drop(const char *path);

#endif
