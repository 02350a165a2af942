/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A migration's transport.  Every kind ends up as one socket that carries both
 * directions:
 *
 *	tcp:HOST:PORT	a connection, with keep-alive; [HOST] for IPv6 addresses
 *	unix:PATH	a socket of this host
 *	exec:COMMAND	a command for the shell, whose input and output it is: ssh, socat …
 *	fd:N		a socket that somebody has connected
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
 * struct transport_listener - where one is waited for
 * @fd: the listening socket, or -1 where there is none (exec:, fd:)
 * @path: of a unix socket, to be removed
 * @ready: exec:, fd: the connection itself
 */
struct transport_listener {
	int fd;
	char path[PATH_MAX];
	struct transport ready;
};

/**
 * transport_check() - is @address one of the above?  False with words in @error
 *
 * No lookup, no connection.
 */
bool transport_check(const char *address, struct error *error);
/*
 * A VM's process makes no connection and starts no command: what a migration travels on is made
 * by the command that asks for it, and handed over.
 */

/**
 * transport_connect() - as the sending end
 * @passed_fd: the descriptor that "fd:" means here; taken over in success and failure
 * @timeout_ms: for the connection, and then for each read and write that moves nothing
 */
bool transport_connect(struct transport *transport, const char *address, int passed_fd,
		       int timeout_ms, struct error *error);
bool transport_listen(struct transport_listener *listener, const char *address, int passed_fd,
		      struct error *error);
/** transport_take() - a connection that somebody made; @fd is taken over in success and failure */
bool transport_take(struct transport *transport, int fd, int timeout_ms, struct error *error);
/** transport_take_listener() - likewise a socket that listens, or a connection in its place */
bool transport_take_listener(struct transport_listener *listener, int fd, struct error *error);
/**
 * transport_accept() - a connection whose first bytes are those of @greeting
 * @greeting: 8 bytes, which are not taken
 * @stop_fd: readable: give up; -1: none
 * @timeout_ms: as in transport_connect(); a connection may also be silent for so long
 *
 * Other connections are dropped, and a silent one keeps none waiting.  The listener stays as it is:
 * the next call takes another connection, until transport_unlisten().
 */
bool transport_accept(struct transport_listener *listener, struct transport *transport,
		      const char *greeting, int stop_fd, int timeout_ms, struct error *error);
/** transport_tune() - the options of its socket, and transport_timeout() */
void transport_tune(const struct transport *transport, int timeout_ms);
void transport_unlisten(struct transport_listener *listener);
/** transport_timeout() - see transport_connect(); 0: wait for ever */
void transport_timeout(const struct transport *transport, int timeout_ms);
/**
 * transport_command_ended() - has the command of "exec:" ended? Then how, in @words (64 bytes)
 *
 * For a link that has failed: what ends closes its descriptors first, so this waits a moment.
 */
bool transport_command_ended(struct transport *transport, char *words);
/** transport_cut() - any thread: reads and writes of it fail at once */
void transport_cut(const struct transport *transport);
/** transport_close() - also waits for the command of "exec:" */
void transport_close(struct transport *transport);

#endif
