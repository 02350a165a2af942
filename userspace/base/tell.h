/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Text for a terminal.  Words of a guest, a peer, a stream or a file must not move the cursor,
 * change colours or answer in the user's name, so all output of words uses this.
 */
#ifndef BASE_TELL_H
#define BASE_TELL_H

#include <stdbool.h>
#include <stdio.h>

/** tell_is_utf8() - is @text UTF-8?  What is not can be no string of JSON */
bool tell_is_utf8(const char *text);
/**
 * tell_harmless() - make @text harmless in place: one line of UTF-8
 *
 * Control characters (C0, DEL, and C1 in its coding of two bytes) and invalid UTF-8 become "?".
 */
char *tell_harmless(char *text);
/** tell_to() - print on @out; of newlines only one at the end stays */
void tell_to(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** tell() - the same on stdout */
void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
