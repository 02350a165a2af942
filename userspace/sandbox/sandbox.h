/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The launcher confines itself before the guest's first instruction.
 *
 * From then on it opens no files, makes no connections and starts no programs: what it needs is
 * open already, a client passes it (SCM_RIGHTS), or the keeper opens it (keeper.h).  Capabilities
 * are dropped for good, Landlock takes the file system away, and seccomp allows each kind of thread
 * only the calls that it makes.  A refused call is reported in a line, and ends the launcher.
 */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/**
 * enum sandbox_mode - the user's choice
 * @SANDBOX_ON: as much as this kernel can do; the rest is reported
 * @SANDBOX_STRICT: everything, or no guest
 */
enum sandbox_mode {
	SANDBOX_ON,
	SANDBOX_OFF,
	SANDBOX_STRICT,
};

/**
 * enum sandbox_kind - a kind of thread
 * @SANDBOX_LOOP: the main thread: console, control socket; it starts all others, so its list
 *	includes theirs
 * @SANDBOX_VCPU: runs the guest, and devices on ports
 * @SANDBOX_DEVICE: a virtio device; also the writer of the console's output
 * @SANDBOX_NET: for "--net user", makes the guest's connections
 * @SANDBOX_MOVE: migrates, suspends, samples dirty pages
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
 * struct sandbox_needs - special needs of this VM
 * @net: a network card of "--net user"
 * @child: a program started for it, which it may have to end, or 0
 */
struct sandbox_needs {
	bool net;
	pid_t child;
};

/** sandbox_mode_by_name() - find a mode, or -1 */
int sandbox_mode_by_name(const char *name);
const char *sandbox_mode_name(enum sandbox_mode mode);

/**
 * sandbox_enter() - confine this process, which has only one thread
 * @last_words: called before the line about a refused call is written, in a signal handler; or NULL
 * @words: missing features of this kernel, or ""
 *
 * True if no feature is missing, or @mode is not SANDBOX_STRICT.  False: do not continue.
 */
bool sandbox_enter(enum sandbox_mode mode, const struct sandbox_needs *needs,
		   void (*last_words)(void), char words[SANDBOX_WORDS]);
/** sandbox_thread() - make this thread one of @kind, for good; ends the process on failure */
void sandbox_thread(enum sandbox_kind kind);

#endif
