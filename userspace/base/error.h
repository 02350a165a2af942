/* SPDX-License-Identifier: GPL-2.0-only */
/* Errors: words for the user, and an exit status. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

/*
 * Exit statuses, with the texts of help and the man page.  They are even, so that they differ from
 * those of the debug-exit port, (v << 1) | 1.
 */
#define EXIT_CODES(X)									\
	X(OK, 0, "the guest powered itself off (run), or the command is done")		\
	X(USAGE, 2, "wrong usage: an unknown option or a bad value")			\
	X(NO_ENGINE, 4, "no engine can be used, or there is no /dev/gondola")		\
	X(IMAGE, 6, "the kernel, the initrd or a module cannot be loaded, or a saved or "	\
	  "received VM cannot run here")						\
	X(TRIPLE_FAULT, 8, "the guest triple-faulted; the vCPU's state is printed")	\
	X(RESET, 10, "the guest reset itself")						\
	X(STOPPED, 12, "a signal or Ctrl-A x ended the guest")				\
	X(ERROR, 14, "an error of the launcher or the module, or a guest that they cannot run")	\
	X(MEMORY, 16, "the host has not enough memory")					\
	X(AWAY, 18, "the VM was suspended, or runs on another host now")		\
	X(STATE, 20, "the VM's state does not allow this, or there is no VM of that name")	\
	/* How a balloon's goal ended (gondola balloon --wait). */			\
	X(FLOOR, 30, "the balloon stopped at the guest's floor (balloon --wait)")	\
	X(DEADLINE, 32, "the balloon's deadline passed")				\
	X(REFUSED, 34, "the guest refused, or it runs no balloon driver")		\
	X(GUEST_MEMORY, 36, "the guest had no pages left to give")			\
	X(CANCELLED, 38, "another request replaced this one")

#define EXIT_CODE_ENUMERATOR(name, number, words)	EXIT_CODE_##name = number,
enum exit_code { EXIT_CODES(EXIT_CODE_ENUMERATOR) };

/**
 * struct error - the error of a function, for its caller
 * @status: exit status of a command that ends for it
 * @words: one line; it may quote a VM, a stream or a file (base/tell.h)
 */
struct error {
	enum exit_code status;
	char words[1024];
};

/**
 * error_set() - set an error; returns false, for the caller to return
 * @error: its words may be among the arguments; may be NULL
 */
bool error_set(struct error *error, enum exit_code status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
bool error_vset(struct error *error, enum exit_code status, const char *format, va_list args);
/**
 * error_status() - the exit status where what the user named cannot be used, for the reason @number
 *
 * It is no wrong usage if the host lacks something: descriptors, memory, room, or a disk that works.
 */
enum exit_code error_status(int number);

#endif
