/* SPDX-License-Identifier: GPL-2.0-only */
/* Files that must be this user's alone, and that must survive a loss of power. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

/**
 * file_create_private() - a new file of this user's with mode 0600, to be written
 *
 * One that is there already is removed first, never written to: it may be a stranger's.
 * Returns a descriptor, or -errno.
 */
int file_create_private(const char *path);
/** file_sync_directory() - the name @path, or its absence, is on stable storage; 0 or -errno */
int file_sync_directory(const char *path);
/** file_remove() - unlink @path, and then as file_sync_directory(); 0 or -errno */
int file_remove(const char *path);
/**
 * file_check_directory() - is @path a directory of this user's that nobody else can write to?
 *
 * 0; -EPERM: a stranger's; -EACCES: others may write to it; or -errno.
 */
int file_check_directory(const char *path);

#endif
