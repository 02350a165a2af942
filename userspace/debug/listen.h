/* SPDX-License-Identifier: GPL-2.0-only */
/* The socket where debuggers connect by themselves (--gdb). */
#ifndef DEBUG_LISTEN_H
#define DEBUG_LISTEN_H

#include "base/error.h"

/** listen_open() - listen at "tcp:127.0.0.1:PORT" or "unix:PATH"; a socket, or -1 with @error */
int listen_open(const char *address, struct error *error);

#endif
