/* SPDX-License-Identifier: GPL-2.0-only */
/* Files that are named twice: what is written to one must be no other's. */
#ifndef CMD_SAME_FILE_H
#define CMD_SAME_FILE_H

#include "launch.h"

/**
 * same_file_check() - check that no output and no disk is another of the VM's files, or fail()
 *
 * An output is emptied when the VM starts, so the kernel or disk would be lost.
 */
void same_file_check(const struct run_options *options);

#endif
