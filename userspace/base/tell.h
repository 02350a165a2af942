/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Text for somebody's terminal. What a guest, a peer, a stream or a file chose must not move the
 * cursor, change colours or answer in the user's name, so all output of words goes this way.
 */
#ifndef BASE_TELL_H
#define BASE_TELL_H

#include <stdio.h>

/**
 * tell_harmless() - make @text harmless in place: it is one line of UTF-8 then
 *
 * Control characters (C0, DEL, and C1 in its coding of two bytes) and what is no UTF-8 become "?".
 */
char *tell_harmless(char *text);
/** tell_to() - print on @out; only a newline at the end of the result stays one */
void tell_to(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** tell() - the same on stdout */
void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
