// SPDX-License-Identifier: GPL-2.0-only
/*
 * A client can do anything to the guest, and the protocol has no password, so TCP is limited to
 * this host.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "debug.h"
#include "listen.h"
#include "base/line_socket.h"
#include "sandbox/keeper.h"

#define TCP	"tcp:127.0.0.1:"
#define UNIX	"unix:"

static bool take_port(const char *words, uint16_t *port)
{
	char *end;
	long number = strtol(words, &end, 10);

	if (words[0] < '0' || words[0] > '9' || *end || number < 1 || number > 65535)
		return false;
	*port = (uint16_t)number;
	return true;
}

bool debug_listen_check(const char *address, struct error *error)
{
	const size_t most = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
	uint16_t port;

	if (!strncmp(address, TCP, strlen(TCP)) && take_port(address + strlen(TCP), &port))
		return true;
	if (strncmp(address, UNIX, strlen(UNIX)))
		return error_set(error, EXIT_CODE_USAGE,
				 "\"%s\" is none of tcp:127.0.0.1:PORT and unix:PATH", address);
	if (address[strlen(UNIX)] && strlen(address + strlen(UNIX)) <= most)
		return true;
	return error_set(error, EXIT_CODE_USAGE, "a socket's path has 1 to %zu characters", most);
}

static int listen_tcp(const char *address, struct error *error)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	uint16_t port = 0;

	take_port(address + strlen(TCP), &port);
	at.sin_port = htons(port);
	if (fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) &&
	    !bind(fd, (struct sockaddr *)&at, sizeof(at)) && !listen(fd, 1))
		return fd;
	error_set(error, EXIT_CODE_ERROR, "cannot listen for debuggers at %s: %s", address,
		  strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static int listen_unix(const char *address, struct error *error)
{
	/* The keeper removes it even if the launcher is killed. */
	int note = keeper_note(KEEPER_SOCKET, address + strlen(UNIX), error), fd;

	if (note < 0)
		return -1;
	fd = keeper_listen(note);
	if (fd >= 0)
		return fd;
	error_set(error, EXIT_CODE_ERROR, "cannot listen for debuggers at %s: %s", address,
		  line_socket_reason(address + strlen(UNIX), -fd));
	return -1;
}

int listen_open(const char *address, struct error *error)
{
	if (!debug_listen_check(address, error))
		return -1;
	return strncmp(address, UNIX, strlen(UNIX)) ? listen_tcp(address, error) :
						      listen_unix(address, error);
}
