/* SPDX-License-Identifier: GPL-2.0-only */
/* Files, pipes and terminals that users name for output. */
#ifndef BASE_OUTPUT_FILE_H
#define BASE_OUTPUT_FILE_H

/**
 * output_file_open() - open or create @path for writing, with O_APPEND, O_TRUNC and O_NONBLOCK
 * in @flags as the caller wants
 *
 * A pipe that nobody reads is waited for, which is said.  A terminal does not become ours.
 * Returns a descriptor, or -errno.
 */
int output_file_open(const char *path, int flags);

#endif
