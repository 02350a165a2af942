/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The launcher confines itself before the guest's first instruction.
 *
 * From then on it opens no file, makes no connection and starts no program: what it needs is open
 * already, a client hands it over (SCM_RIGHTS), or the keeper does it (keeper.h).  Capabilities
 * are gone for good, Landlock takes the file system away, and seccomp leaves each kind of thread
 * the calls that it makes.  A call that is refused is named in one line, and ends the launcher.
 */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/**
 * enum sandbox_mode - what the user wants
 * @SANDBOX_ON: as much as this kernel can do; what it cannot is said
 * @SANDBOX_STRICT: all of it, or no guest
 */
enum sandbox_mode {
	SANDBOX_ON,
	SANDBOX_OFF,
	SANDBOX_STRICT,
};

/**
 * enum sandbox_kind - a kind of thread
 * @SANDBOX_LOOP: the main thread: console, control socket; it starts all others, so that its list
 *                holds theirs
 * @SANDBOX_VCPU: runs the guest, and devices on ports
 * @SANDBOX_DEVICE: a virtio device; what writes the console's output
 * @SANDBOX_NET: the one of "--net user", which makes the guest's connections
 * @SANDBOX_MOVE: migrates, suspends, samples what is written
 */
enum sandbox_kind {
	SANDBOX_LOOP,
	SANDBOX_VCPU,
	SANDBOX_DEVICE,
	SANDBOX_NET,
	SANDBOX_MOVE,
	SANDBOX_KINDS
};

#define SANDBOX_WORDS	512

/**
 * struct sandbox_needs - what this VM has that others have not
 * @net: a network card of "--net user"
 * @child: a program that was started for it and may have to be ended, or 0
 */
struct sandbox_needs {
	bool net;
	pid_t child;
};

/** sandbox_mode_by_name() - or -1 */
int sandbox_mode_by_name(const char *name);
const char *sandbox_mode_name(enum sandbox_mode mode);

/**
 * sandbox_enter() - confine this process, which has one thread yet
 * @last_words: called before the line about a refused call is written, in a signal handler; or NULL
 * @words: what this kernel lacks, or ""
 *
 * True if nothing is lacking, or if @mode is not SANDBOX_STRICT.  False: do not go on.
 */
bool sandbox_enter(enum sandbox_mode mode, const struct sandbox_needs *needs,
		   void (*last_words)(void), char words[SANDBOX_WORDS]);
/** sandbox_thread() - this thread is of @kind from now on, and cannot go back; fails by its end */
void sandbox_thread(enum sandbox_kind kind);

#endif
