/* SPDX-License-Identifier: GPL-2.0-only */
/* Files that must be this user's alone, and that must survive a loss of power. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <sys/types.h>

/**
 * file_create_private() - a new file of this user's with mode 0600, to be written
 *
 * One that is there already is removed first, never written to: it may be a stranger's.
 * Returns a descriptor, or -errno.
 */
int file_create_private(const char *path);
/**
 * file_remove() - unlink @path, if it is there, and have its absence on stable storage
 *
 * 0; 1: it is gone, but may be there again after a loss of power; or -errno.
 */
int file_remove(const char *path);
/**
 * file_replace() - rename @from to @path of the same directory, and have that on stable storage
 *
 * 0; 1: it is done, but may be undone by a loss of power; or -errno.
 */
int file_replace(const char *from, const char *path);
/**
 * file_link() - name an open file that has none (O_TMPFILE), and have that on stable storage
 *
 * 0; 1: it is done, but may be undone by a loss of power; -EEXIST: @path is there; or -errno.
 */
int file_link(int fd, const char *path);
/** file_make_directory() - mkdir(), on stable storage; 0, also if it is there already, or -errno */
int file_make_directory(const char *path, mode_t mode);
/**
 * file_check_directory() - is @path a directory of this user's that nobody else can write to?
 *
 * 0; -EPERM: a stranger's; -EACCES: others may write to it; or -errno.
 */
int file_check_directory(const char *path);

/** file_write() - all of @data; false: the other side is gone, or the disk full */
bool file_write(int fd, const void *data, size_t bytes);

#endif
