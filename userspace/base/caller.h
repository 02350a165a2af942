/* SPDX-License-Identifier: GPL-2.0-only */
/* A caller's umask and limits may be too tight for this program. */
#ifndef BASE_CALLER_H
#define BASE_CALLER_H

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

#endif
