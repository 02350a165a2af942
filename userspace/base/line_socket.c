// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "line_socket.h"

#define AGAIN_US	10000

/*
 * An address has room for 107 characters.  A longer path is reached through its directory: close
 * *@directory after the use of the address, unless it is -1.
 */
static int set_path(struct sockaddr_un *address, const char *path, int *directory)
{
	const char *slash = strrchr(path, '/');
	char *above;
	int length;

	*directory = -1;
	if (strlen(path) < sizeof(address->sun_path)) {
		strcpy(address->sun_path, path);
		return *path ? 0 : -ENOENT;
	}
	above = slash ? strndup(path, slash + 1 - path) : strdup(".");
	if (!above)
		return -ENOMEM;
	*directory = open(above, O_PATH | O_DIRECTORY | O_CLOEXEC);
	free(above);
	if (*directory < 0)
		return -errno;
	length = snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s",
			  *directory, slash ? slash + 1 : path);
	return length < (int)sizeof(address->sun_path) ? 0 : -ENAMETOOLONG;
}

typedef int (*address_fn)(int fd, const struct sockaddr *address, socklen_t bytes);

/* Make a socket and call @use, bind() or connect(), with @path.  @patience may be NULL. */
static int unix_socket(const char *path, int flags, const struct timeval *patience, address_fn use)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int directory, fd = -1, ret;

	ret = set_path(&address, path, &directory);
	if (!ret) {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
		/* If the listener does not accept, its backlog fills, and connect() waits. */
		if (fd >= 0 && patience)
			setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, patience, sizeof(*patience));
		if (fd < 0 || use(fd, (struct sockaddr *)&address, sizeof(address)))
			ret = -errno;
	}
	if (directory >= 0)
		close(directory);
	if (ret && fd >= 0)
		close(fd);
	return ret ? ret : fd;
}

int line_socket_connect(const char *path, int timeout_ms)
{
	struct timeval patience = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };

	return unix_socket(path, 0, timeout_ms >= 0 ? &patience : NULL, connect);
}

int line_socket_bind(const char *path)
{
	struct stat st;
	int fd, ret;

	/* Remove the socket of a killed process, where nobody answers. */
	if (!lstat(path, &st) && S_ISSOCK(st.st_mode)) {
		fd = line_socket_connect(path, 1000);
		if (fd == -ECONNREFUSED)
			unlink(path);
		if (fd >= 0)
			close(fd);
	}
	fd = unix_socket(path, SOCK_NONBLOCK, NULL, bind);
	/* No client can connect before listen(), when the mode is set. */
	if (fd < 0 || !chmod(path, 0600))
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

int line_socket_listen(const char *path)
{
	int fd = line_socket_bind(path), ret;

	if (fd < 0 || !listen(fd, 16))
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

const char *line_socket_reason(const char *path, int error)
{
	struct stat st;

	/* What the kernel says of a path is meant for ports. */
	if (error != EADDRINUSE || lstat(path, &st))
		return strerror(error);
	if (S_ISSOCK(st.st_mode))
		return "a process listens there already";
	return S_ISDIR(st.st_mode) ? "it is a directory" :
	       "a file that is no socket is there, and is not replaced";
}

int line_socket_accept(int listener, int flags)
{
	int fd = accept4(listener, NULL, NULL, flags);

	if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
		usleep(AGAIN_US);
	return fd;
}

/* Keep the only descriptor of a message.  Of several it is unknown which is the right one. */
static void take_descriptors(struct msghdr *message, int *fd)
{
	unsigned int count = 0;
	int one;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof(one) <= c->cmsg_len; at += sizeof(one)) {
			memcpy(&one, (unsigned char *)c + at, sizeof(one));
			if (*fd >= 0)
				close(*fd);
			*fd = one;
			count++;
		}
	}
	if (*fd >= 0 && (count > 1 || (count && message->msg_flags & MSG_CTRUNC))) {
		close(*fd);
		*fd = -1;
	}
}

ssize_t line_socket_receive(int socket, void *buffer, size_t room, int *fd)
{
	/* The kernel also uses the padding: with 64 bits there is room for two descriptors. */
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} ancillary;
	struct iovec data = { buffer, room };
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1,
		.msg_control = &ancillary, .msg_controllen = sizeof(ancillary),
	};
	ssize_t count = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);

	if (count >= 0)
		take_descriptors(&message, fd);
	return count;
}

int line_socket_send(int socket, const void *data, size_t bytes, int fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} ancillary = { .header = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
				    .cmsg_len = CMSG_LEN(sizeof(int)) } };

	while (bytes) {
		struct iovec part = { (void *)data, bytes };
		struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
		ssize_t sent;

		if (fd >= 0) {
			memcpy(CMSG_DATA(&ancillary.header), &fd, sizeof(fd));
			message.msg_control = &ancillary;
			message.msg_controllen = sizeof(ancillary);
		}
		sent = sendmsg(socket, &message, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return -errno;
		fd = -1;
		data = (const char *)data + sent;
		bytes -= sent;
	}
	return 0;
}
