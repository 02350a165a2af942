// SPDX-License-Identifier: GPL-2.0-only
/*
 * The other end of a socket: what comes on stdin goes there, what comes from there goes to stdout,
 * until it hangs up. The test machine's busybox has nothing for sockets of the Unix domain.
 *
 * usage: peer SOCKET
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* False at the end of @from. */
static bool copy(int from, int to)
{
	char data[65536];
	ssize_t bytes = read(from, data, sizeof(data));

	if (bytes < 0 && errno == EINTR)
		return true;
	for (ssize_t at = 0, done; at < bytes; at += done) {
		done = write(to, data + at, bytes - at);
		if (done < 0)
			return false;
	}
	return bytes > 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct pollfd fds[2] = { { .fd = fd, .events = POLLIN }, { .fd = 0, .events = POLLIN } };

	if (argc != 2 || strlen(argv[1]) >= sizeof(address.sun_path)) {
		fprintf(stderr, "usage: peer SOCKET\n");
		return 2;
	}
	strcpy(address.sun_path, argv[1]);
	/* It may not be there yet. */
	for (int i = 0; connect(fd, (struct sockaddr *)&address, sizeof(address)); i++) {
		if (i == 300) {
			perror(argv[1]);
			return 1;
		}
		usleep(100000);
	}
	while (poll(fds, 2, -1) >= 0 || errno == EINTR) {
		if (fds[0].revents && !copy(fd, 1))
			return 0;
		/* A hang-up would end the connection: there may be more to read. */
		if (fds[1].revents && !copy(0, fd))
			fds[1].fd = -1;
	}
	return 1;
}
