// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "error.h"

bool error_vset(struct error *error, enum exit_code status, const char *format, va_list args)
{
	char words[sizeof(error->words)];

	if (!error)
		return false;
	vsnprintf(words, sizeof(words), format, args);
	strcpy(error->words, words);
	error->status = status;
	return false;
}

enum exit_code error_status(int number)
{
	switch (number) {
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
	case ENOSPC:
	case EDQUOT:
	case EIO:
		return EXIT_CODE_ERROR;
	default:
		return EXIT_CODE_USAGE;
	}
}

bool error_set(struct error *error, enum exit_code status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	error_vset(error, status, format, args);
	va_end(args);
	return false;
}
