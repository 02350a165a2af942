/* SPDX-License-Identifier: GPL-2.0-only */
/* The keeper's notes for a VM, and the operations on them; see keeper.h. */
#ifndef SANDBOX_NOTES_H
#define SANDBOX_NOTES_H

#include "keeper.h"

#define NOTES_PATH_MAX	4096

/** notes_add() - add a note; returns its number, or -errno: -EPERM after notes_seal() */
int notes_add(enum keeper_kind kind, const char *path);
void notes_seal(void);

/** notes_bind() - make a socket at the note's path, which does not listen yet; or -errno */
int notes_bind(int number);
/* See the functions of the same name in keeper.h; -EINVAL for a note of the wrong kind. */
int notes_remove(int number);
int notes_tap(int number);
int notes_create(int number);
int notes_commit(int number);
int notes_drop(int number);
/** notes_argument() - the program of the note gets one more; 0 or -errno */
int notes_argument(int number, const char *word);
/** notes_connect() - as keeper_connect(); with @confine it can open only its note's file */
int notes_connect(int number, bool confine);
/** notes_part() - as keeper_part(); 0 or -errno */
int notes_part(int number);
/** notes_words() - as keeper_words() */
int notes_words(int number);
/** notes_unbind() - as keeper_unbind(); 0 or -errno */
int notes_unbind(int fd);
/** notes_end() - end the programs, and remove the files that exist only while the VM has a process */
void notes_end(void);

#endif
