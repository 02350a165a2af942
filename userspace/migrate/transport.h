/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A migration's transport.  Each kind is a socket for both directions in the end:
 *
 *	tcp:HOST:PORT	a connection, with keep-alive; [HOST] for IPv6 addresses
 *	unix:PATH	a socket of this host
 *	exec:COMMAND	the input and output of a shell command: ssh, socat …
 *	fd:N		a socket that is connected already
 */
#ifndef MIGRATE_TRANSPORT_H
#define MIGRATE_TRANSPORT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "base/error.h"

/**
 * struct transport - a connection
 * @fd: the socket, or -1
 * @child: the command of "exec:", or 0
 */
struct transport {
	int fd;
	pid_t child;
};

/**
 * struct transport_listener - a wait for a connection
 * @fd: the listening socket, or -1 if there is none (exec:, fd:)
 * @path: of a unix socket, to be removed
 * @ready: exec:, fd: the connection itself
 */
struct transport_listener {
	int fd;
	char path[PATH_MAX];
	struct transport ready;
};

/**
 * transport_check() - check the form of @address; false with words in @error
 *
 * Makes no lookup and no connection.
 */
bool transport_check(const char *address, struct error *error);
/*
 * A VM's process makes no connections and starts no commands: the command that asks for a migration
 * makes the connection, and hands it over.
 */

/**
 * transport_connect() - connect, for the sending end
 * @passed_fd: the descriptor of "fd:"; always taken over
 * @timeout_ms: for the connection, and then for each read and write without progress
 */
bool transport_connect(struct transport *transport, const char *address, int passed_fd,
		       int timeout_ms, struct error *error);
bool transport_listen(struct transport_listener *listener, const char *address, int passed_fd,
		      struct error *error);
/** transport_take() - use an existing connection; @fd is always taken over */
bool transport_take(struct transport *transport, int fd, int timeout_ms, struct error *error);
/** transport_take_listener() - likewise a listening socket, or a connection instead */
bool transport_take_listener(struct transport_listener *listener, int fd, struct error *error);
/**
 * transport_accept() - accept a connection that begins with @greeting
 * @greeting: 8 bytes, which stay to be read
 * @stop_fd: readable: give up; -1: none
 * @timeout_ms: as in transport_connect(); also the time for which a connection may be silent
 *
 * Other connections are closed, and a silent one does not block others.  The listener stays: the
 * next call accepts another connection, until transport_unlisten().
 */
bool transport_accept(struct transport_listener *listener, struct transport *transport,
		      const char *greeting, int stop_fd, int timeout_ms, struct error *error);
/** transport_tune() - set the options of its socket, and transport_timeout() */
void transport_tune(const struct transport *transport, int timeout_ms);
void transport_unlisten(struct transport_listener *listener);
/** transport_timeout() - set the timeout of transport_connect(); 0: wait without limit */
void transport_timeout(const struct transport *transport, int timeout_ms);
/**
 * transport_command_ended() - has the command of "exec:" ended?  If so, @words (64 bytes) say how
 *
 * For a link that has failed.  Waits a moment, since a process closes its descriptors before it
 * ends.
 */
bool transport_command_ended(struct transport *transport, char *words);
/** transport_cut() - make its reads and writes fail at once; any thread */
void transport_cut(const struct transport *transport);
/** transport_close() - close it, and wait for the command of "exec:" */
void transport_close(struct transport *transport);

#endif
