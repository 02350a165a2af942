/* SPDX-License-Identifier: GPL-2.0-only */
/* Files that only this user may access, and that must survive a loss of power. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <sys/types.h>

/**
 * file_create_private() - create a file with mode 0600 for writing
 *
 * An existing file is removed first, and not written, since it may belong to somebody else.
 * Returns a descriptor, or -errno.
 */
int file_create_private(const char *path);
/**
 * file_remove() - unlink @path, if it is there, and have its absence on stable storage
 *
 * 0; 1: it is removed, but may come back after a loss of power; or -errno.
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
 * file_check_directory() - is @path a directory of this user that nobody else can write to?
 *
 * 0; -EPERM: it belongs to somebody else; -EACCES: others may write to it; or -errno.
 */
int file_check_directory(const char *path);

/** file_write() - write all of @data; false: the reader has closed, or the disk is full */
bool file_write(int fd, const void *data, size_t bytes);

#endif
