/* SPDX-License-Identifier: GPL-2.0-only */
/* Files that are named twice: what is written to one must be no other's. */
#ifndef CMD_SAME_FILE_H
#define CMD_SAME_FILE_H

#include "launch.h"

/**
 * same_file_check() - check that no output and no disk is another of the VM's files
 * @saved: the file from which the VM goes on, or NULL
 *
 * An output is emptied when the VM starts, so the kernel or disk would be lost.  False with @error
 * if there is one.
 */
bool same_file_check(const struct run_options *options, const char *saved, struct error *error);

#endif
