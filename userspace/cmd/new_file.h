/* SPDX-License-Identifier: GPL-2.0-only */
/* A file that a VM's process writes for a command.  One at a time. */
#ifndef CMD_NEW_FILE_H
#define CMD_NEW_FILE_H

/**
 * new_file_open() - make FILE.tmp, which only this user can read, or fail()
 *
 * The VM's process opens nothing: it gets the descriptor that this returns.  If the command ends before
 * new_file_name(), FILE.tmp is removed.
 */
int new_file_open(const char *command, const char *file);
/** new_file_path() - the absolute path of FILE */
const char *new_file_path(void);
/** new_file_name() - give it the name FILE; 0, 1 if a loss of power may undo that, or -errno */
int new_file_name(void);
/** new_file_drop() - remove FILE.tmp, if it is there */
void new_file_drop(void);

#endif
