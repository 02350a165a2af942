/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The file of a saved VM.  It is written as PATH.tmp, and gets its name when it is complete, so
 * that no file has half a VM.
 */
#ifndef SANDBOX_SAVED_H
#define SANDBOX_SAVED_H

/** saved_create() - make a new file that only this user can read; a descriptor to write, or -errno */
int saved_create(const char *path);
/** saved_commit() - give the file its name; 0, 1 if a loss of power may undo that, or -errno */
int saved_commit(const char *path);
/** saved_remove() - remove the file; likewise */
int saved_remove(const char *path);
/** saved_drop() - remove the new file, without giving it the name; 0 or -errno */
int saved_drop(const char *path);

#endif
