/* SPDX-License-Identifier: GPL-2.0-only */
/* The three standard descriptors, whatever the caller made of them. */
#ifndef BASE_STANDARD_H
#define BASE_STANDARD_H

/**
 * standard_occupy() - take the place of those that the caller closed
 *
 * The next file that is opened would get such a number: a disk would get the guest's console, or the
 * messages.  Reading and writing fail with EBADF as before.
 */
void standard_occupy(void);

/** standard_check_at_exit() - if standard output could not be written, the program fails in the end */
void standard_check_at_exit(void);

#endif
