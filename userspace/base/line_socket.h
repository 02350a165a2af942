/* SPDX-License-Identifier: GPL-2.0-only */
/* Unix sockets that carry lines of text, and now and then a descriptor. */
#ifndef BASE_LINE_SOCKET_H
#define BASE_LINE_SOCKET_H

#include <stddef.h>
#include <sys/types.h>

/** line_socket_bind() - a descriptor (non-blocking, mode 0600), or -errno; replaces a dead socket */
int line_socket_bind(const char *path);
/** line_socket_listen() - likewise one to which clients can connect */
int line_socket_listen(const char *path);
/**
 * line_socket_connect() - a descriptor, or -errno
 * @timeout_ms: for the listener to have room for us, and for each send() later (-EAGAIN); -1: none
 */
int line_socket_connect(const char *path, int timeout_ms);
/**
 * line_socket_receive() - like recv(); a descriptor that comes along is put into *@fd
 *
 * One that was there before is closed: each request has one at most.  Of a message with more than
 * one, all are closed.
 */
ssize_t line_socket_receive(int socket, void *buffer, size_t room, int *fd);
/** line_socket_send() - all of it, with @fd unless that is -1; 0 or -errno */
int line_socket_send(int socket, const void *data, size_t bytes, int fd);

#endif
