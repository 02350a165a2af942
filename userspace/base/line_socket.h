/* SPDX-License-Identifier: GPL-2.0-only */
/* Unix sockets for lines of text, and now and then a descriptor. */
#ifndef BASE_LINE_SOCKET_H
#define BASE_LINE_SOCKET_H

#include <stddef.h>
#include <sys/types.h>

/**
 * line_socket_bind() - make a socket (non-blocking, mode 0600) at @path, in place of a dead one; or
 * -errno
 */
int line_socket_bind(const char *path);
/** line_socket_listen() - likewise make a socket to which clients can connect */
int line_socket_listen(const char *path);
/** line_socket_reason() - say why no socket could be made at @path; @error: a positive errno */
const char *line_socket_reason(const char *path, int error);
/**
 * line_socket_connect() - connect to @path; a descriptor, or -errno
 * @timeout_ms: for the listener to have room, and for each send() later (-EAGAIN); -1: none
 */
int line_socket_connect(const char *path, int timeout_ms);
/**
 * line_socket_accept() - like accept4() without an address
 *
 * It pauses when descriptors or memory are lacking: the caller waits with poll(), which reports
 * the connection again at once, and must not spin until others close theirs.
 */
int line_socket_accept(int listener, int flags);
/**
 * line_socket_receive() - like recv(); stores a descriptor that was sent along in *@fd
 *
 * A descriptor already in *@fd is closed, since a request has one at most.  If a message has
 * several, all are closed.
 */
ssize_t line_socket_receive(int socket, void *buffer, size_t room, int *fd);
/** line_socket_send() - send all of @data, with @fd unless it is -1; 0 or -errno */
int line_socket_send(int socket, const void *data, size_t bytes, int fd);

#endif
