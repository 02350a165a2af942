/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The keeper: a process that does what a confined launcher cannot, and nothing else.
 *
 * It is forked before anything of the VM is opened.  Until keeper_seal() the launcher adds notes of
 * what it will need; afterwards it can only name notes by number.  So a launcher that a guest has
 * taken over can create and remove this VM's sockets, tap interfaces and saved file, and start its
 * programs anew, but reach no others: the keeper accepts neither paths nor commands from it.
 *
 * Without a sandbox there is no such process, and the calls below do the same themselves.  At any
 * kind of end noted programs are ended and noted files removed.
 */
#ifndef SANDBOX_KEEPER_H
#define SANDBOX_KEEPER_H

#include <stdbool.h>

#include "base/error.h"

/** KEEPER_NOTES - the most notes: many more than a VM has */
#define KEEPER_NOTES	1024

/**
 * enum keeper_kind - the kind of a path
 * @KEEPER_SOCKET: a socket to listen at; removed at the end
 * @KEEPER_TAP: the name of a tap interface
 * @KEEPER_SAVED: the file in which this VM is saved, unless a client has one
 * @KEEPER_READER: a file that a program reads for this VM; see keeper_argument()
 * @KEEPER_WRITER: likewise, and writes
 * @KEEPER_PEER: a socket where another program listens, which is not ours
 */
enum keeper_kind {
	KEEPER_SOCKET,
	KEEPER_TAP,
	KEEPER_SAVED,
	KEEPER_READER,
	KEEPER_WRITER,
	KEEPER_PEER,
};

/** KEEPER_LISTENER - the descriptor at which a program gets its connection */
#define KEEPER_LISTENER	3
/** KEEPER_WORDS - the most bytes of keeper_words() */
#define KEEPER_WORDS	4096u

/** keeper_at_end() - have a function called at the end, too; it cannot fail */
void keeper_at_end(void (*clear)(void));
/** keeper_at_last() - have a function called after all else, which waits for the launcher's end */
void keeper_at_last(void (*last)(void));
/** keeper_start() - make the process; a VM without a sandbox does not call this and has none */
bool keeper_start(struct error *error);
/** keeper_note() - add a note; returns its number, or -1 if that fails, as after keeper_seal() */
int keeper_note(enum keeper_kind kind, const char *path, struct error *error);
/**
 * keeper_argument() - add a word to the command of a note's program; the first is its name
 *
 * False with @error, as after keeper_seal().
 */
bool keeper_argument(int note, const char *word, struct error *error);
/** keeper_seal() - accept no more notes */
void keeper_seal(void);

/** keeper_listen() - make a socket at the note's path, mode 0600, in place of a dead one; or -errno */
int keeper_listen(int note);
/** keeper_remove() - remove the file or socket at the note's path; 0, 1 as saved_remove(), or -errno */
int keeper_remove(int note);
/** keeper_tap() - open the note's tap interface; a descriptor, or -errno */
int keeper_tap(int note);
/** keeper_create() - make the file that keeper_commit() gives the note's path; a descriptor, or -errno */
int keeper_create(int note);
/** keeper_commit() - the new file takes the note's path; 0, 1 as saved_commit(), or -errno */
int keeper_commit(int note);
/** keeper_drop() - remove the new file */
void keeper_drop(int note);
/**
 * keeper_connect() - connect to the note's socket, or start its program, which can open no other file; a
 * connection, or -errno
 *
 * A program that runs already is ended before.  The program listens at the descriptor KEEPER_LISTENER,
 * which nobody else can reach, and the connection waits there.  If the program cannot be started, or ends,
 * the connection ends, and keeper_words() has the reason.
 */
int keeper_connect(int note);
/** keeper_part() - end the note's program, if it has one, and wait for that */
void keeper_part(int note);
/** keeper_words() - a descriptor of what the program has said, KEEPER_WORDS at most, or -errno */
int keeper_words(int note);
/**
 * keeper_unbind() - remove the path that socket @fd is bound to, if it has an absolute one
 *
 * A confined launcher cannot bind: it has such sockets by its notes, or from a client.
 */
void keeper_unbind(int fd);
/** keeper_end() - end the programs and remove the files that were noted, and wait until that is done */
void keeper_end(void);

#endif
