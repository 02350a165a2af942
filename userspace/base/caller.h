/* SPDX-License-Identifier: GPL-2.0-only */
/* A caller's umask and limits may be too tight for this program. */
#ifndef BASE_CALLER_H
#define BASE_CALLER_H

#include <spawn.h>

/**
 * caller_adapt() - make room, when the program starts
 *
 * The owner may use all files and directories that are made, whatever the umask is: else a
 * directory cannot be entered, or a lock not be opened again.  The soft limit of descriptors, which
 * protects programs with select(), becomes the hard one.
 */
void caller_adapt(void);
/** caller_give_back() - the caller's own, for another program; undone with caller_adapt() */
void caller_give_back(void);
/**
 * caller_spawn() - posix_spawnp() with the caller's umask and limits, and the signals of a fresh process
 * @flags: more POSIX_SPAWN_*
 */
int caller_spawn(pid_t *child, const char *program, const posix_spawn_file_actions_t *actions, short flags,
		 char *const argv[]);

#endif
