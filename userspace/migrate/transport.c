// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/caller.h"
#include "base/line_socket.h"
#include "transport.h"

#define CHILD_PATIENCE_MS	2000
#define CHILD_MOMENT_MS		1000
#define CONNECT_MS		10000	/* the user waits for the answer */

/* The part after "kind:", or NULL if the kind is another. */
static const char *behind(const char *address, const char *kind)
{
	size_t length = strlen(kind);

	return strncmp(address, kind, length) ? NULL : address + length;
}

/* Split "HOST:PORT" or "[HOST]:PORT"; @host has 256 bytes. */
static bool split_tcp(const char *rest, char *host, const char **port, struct error *error)
{
	const char *colon = strrchr(rest, ':');
	size_t length;
	char *end;
	long number;

	/* As in a URL. */
	if (!strncmp(rest, "//", 2))
		rest += 2;
	length = colon > rest ? (size_t)(colon - rest) : 0;
	if (!colon || length >= 256)
		return error_set(error, EXIT_CODE_USAGE, "\"tcp:%s\" is not tcp:HOST:PORT", rest);
	number = strtol(colon + 1, &end, 10);
	if (!colon[1] || *end || number < 1 || number > 65535)
		return error_set(error, EXIT_CODE_USAGE, "\"%s\" is not a port from 1 to 65535", colon + 1);
	if (length >= 2 && rest[0] == '[' && rest[length - 1] == ']') {
		rest++;
		length -= 2;
	}
	memcpy(host, rest, length);
	host[length] = 0;
	*port = colon + 1;
	return true;
}

bool transport_check(const char *address, struct error *error)
{
	char host[256], *end;
	const char *rest, *port;
	long number;

	if ((rest = behind(address, "tcp:")))
		return split_tcp(rest, host, &port, error);
	if ((rest = behind(address, "unix:"))) {
		if (*rest && strlen(rest) < PATH_MAX)
			return true;
		return error_set(error, EXIT_CODE_USAGE, "a socket's path has 1 to %d characters",
				 PATH_MAX - 1);
	}
	if ((rest = behind(address, "exec:")))
		return *rest || error_set(error, EXIT_CODE_USAGE, "exec: needs a command");
	if ((rest = behind(address, "fd:"))) {
		number = strtol(rest, &end, 10);
		if (*rest && !*end && number >= 0 && number < 1 << 20)
			return true;
		return error_set(error, EXIT_CODE_USAGE, "\"%s\" is not the number of a descriptor", rest);
	}
	return error_set(error, EXIT_CODE_USAGE, "\"%s\" is none of tcp:HOST:PORT, unix:PATH, exec:COMMAND and fd:N",
		     address);
}

void transport_timeout(const struct transport *transport, int timeout_ms)
{
	struct timeval limit = {
		.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000,
	};
	unsigned int unacknowledged = timeout_ms;

	setsockopt(transport->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(transport->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	/* Only TCP knows it. */
	setsockopt(transport->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged,
		   sizeof(unacknowledged));
}

void transport_tune(const struct transport *transport, int timeout_ms)
{
	int on = 1, idle = 5, between = 2, count = 3, room = 1 << 20;

	/* Some of these fail on sockets that are not TCP. */
	setsockopt(transport->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(transport->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(transport->fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(transport->fd, IPPROTO_TCP, TCP_KEEPINTVL, &between, sizeof(between));
	setsockopt(transport->fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
	setsockopt(transport->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	transport_timeout(transport, timeout_ms);
}

static bool connect_in_time(int fd, const struct sockaddr *address, socklen_t bytes,
			    int timeout_ms)
{
	struct pollfd ready = { .fd = fd, .events = POLLOUT };
	socklen_t size = sizeof(errno);
	int error = 0;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	if (connect(fd, address, bytes) && errno != EINPROGRESS)
		return false;
	if (poll(&ready, 1, timeout_ms < CONNECT_MS ? timeout_ms : CONNECT_MS) <= 0) {
		errno = ETIMEDOUT;
		return false;
	}
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
	errno = error;
	fcntl(fd, F_SETFL, 0);
	return !error;
}

/* Look up "HOST:PORT"; @host, of 256 bytes, may be empty afterwards. */
static struct addrinfo *look_up(const char *rest, char *host, bool passive, struct error *error)
{
	struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM, .ai_flags = passive ? AI_PASSIVE : 0,
	};
	struct addrinfo *found = NULL;
	const char *port;
	int ret;

	if (!split_tcp(rest, host, &port, error))
		return NULL;
	ret = getaddrinfo(*host ? host : NULL, port, &hints, &found);
	if (ret)
		error_set(error, EXIT_CODE_ERROR, "host \"%s\": %s", host, gai_strerror(ret));
	return ret ? NULL : found;
}

static int connect_tcp(const char *rest, int timeout_ms, struct error *error)
{
	struct addrinfo *found, *one;
	char host[256];
	int fd = -1;

	found = look_up(rest, host, false, error);
	if (!found)
		return -1;
	for (one = found; one; one = one->ai_next) {
		fd = socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			continue;
		if (connect_in_time(fd, one->ai_addr, one->ai_addrlen, timeout_ms))
			break;
		error_set(error, EXIT_CODE_ERROR, "cannot connect to tcp:%s: %s", rest, strerror(errno));
		close(fd);
		fd = -1;
	}
	freeaddrinfo(found);
	return fd;
}

static int connect_unix(const char *path, struct error *error)
{
	int fd = line_socket_connect(path, -1);

	if (fd < 0)
		error_set(error, EXIT_CODE_ERROR, "cannot connect to unix:%s: %s", path, strerror(-fd));
	return fd < 0 ? -1 : fd;
}

/* The command gets one end of a socket pair as input and output. */
static bool start_command(struct transport *transport, const char *command, bool apart,
			  struct error *error)
{
	char shell[] = "sh", flag[] = "-c";
	char *argv[4] = { shell, flag, (char *)command };
	posix_spawn_file_actions_t actions;
	int ends[2], ret;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return error_set(error, EXIT_CODE_ERROR, "cannot make a pair of sockets: %s", strerror(errno));
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	/* Ctrl-C must end only the command that asked for the migration. */
	ret = caller_spawn(&transport->child, "/bin/sh", &actions, apart ? POSIX_SPAWN_SETPGROUP : 0, argv);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	if (ret) {
		close(ends[0]);
		transport->child = 0;
		return error_set(error, EXIT_CODE_ERROR, "cannot run the shell: %s", strerror(ret));
	}
	transport->fd = ends[0];
	return true;
}

static bool take_fd(struct transport *transport, int fd, struct error *error)
{
	socklen_t bytes = sizeof(int);
	int type;

	if (fd < 0)
		return error_set(error, EXIT_CODE_ERROR, "no connection came along");
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) || type != SOCK_STREAM) {
		close(fd);
		return error_set(error, EXIT_CODE_ERROR, "what came along is not a stream socket, and both ends must be able to talk");
	}
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	transport->fd = fd;
	return true;
}

bool transport_connect(struct transport *transport, const char *address, int passed_fd,
		       int timeout_ms, struct error *error)
{
	const char *rest;

	*transport = (struct transport){ .fd = -1 };
	if (!transport_check(address, error))
		return false;
	if ((rest = behind(address, "tcp:")))
		transport->fd = connect_tcp(rest, timeout_ms, error);
	else if ((rest = behind(address, "unix:")))
		transport->fd = connect_unix(rest, error);
	else if ((rest = behind(address, "exec:")))
		start_command(transport, rest, true, error);
	else
		take_fd(transport, passed_fd, error);
	if (transport->fd < 0)
		return false;
	transport_tune(transport, timeout_ms);
	return true;
}

bool transport_take(struct transport *transport, int fd, int timeout_ms, struct error *error)
{
	*transport = (struct transport){ .fd = -1 };
	if (!take_fd(transport, fd, error))
		return false;
	transport_tune(transport, timeout_ms);
	return true;
}

bool transport_take_listener(struct transport_listener *listener, int fd, struct error *error)
{
	socklen_t bytes = sizeof(int);
	int listens = 0;

	*listener = (struct transport_listener){ .fd = -1, .ready.fd = -1 };
	if (fd >= 0)
		getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &bytes);
	if (!listens)
		return take_fd(&listener->ready, fd, error);
	listener->fd = fd;
	return true;
}

static int listen_at(const struct addrinfo *at, const char *rest, struct error *error)
{
	int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, off = 0;

	if (fd < 0) {
		error_set(error, EXIT_CODE_ERROR, "cannot make a socket for tcp:%s: %s", rest,
			  strerror(errno));
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* Only IPv6 has this option. */
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (!bind(fd, at->ai_addr, at->ai_addrlen) && !listen(fd, SOMAXCONN))
		return fd;
	error_set(error, error_status(errno), "cannot listen at tcp:%s: %s", rest,
		  strerror(errno));
	close(fd);
	return -1;
}

static int listen_tcp(const char *rest, struct error *error)
{
	struct addrinfo *found, *one;
	char host[256];
	int fd = -1;

	found = look_up(rest, host, true, error);
	if (!found) {
		error->status = EXIT_CODE_USAGE;
		return -1;
	}
	/* Without a host the IPv6 address includes those of IPv4, but not the reverse. */
	for (one = found; one && fd < 0; one = one->ai_next)
		if (*host || one->ai_family == AF_INET6)
			fd = listen_at(one, rest, error);
	for (one = found; one && fd < 0; one = one->ai_next)
		if (!*host && one->ai_family != AF_INET6)
			fd = listen_at(one, rest, error);
	freeaddrinfo(found);
	return fd;
}

static int listen_unix(const char *path, struct error *error)
{
	int fd = line_socket_listen(path);

	if (fd < 0) {
		error_set(error, error_status(-fd), "cannot listen at unix:%s: %s", path,
			  line_socket_reason(path, -fd));
		return -1;
	}
	/* accept() may wait, as for TCP. */
	fcntl(fd, F_SETFL, 0);
	return fd;
}

bool transport_listen(struct transport_listener *listener, const char *address, int passed_fd,
		      struct error *error)
{
	const char *rest;

	*listener = (struct transport_listener){ .fd = -1, .ready.fd = -1 };
	if (!transport_check(address, error))
		return false;
	if ((rest = behind(address, "exec:")))
		return start_command(&listener->ready, rest, false, error);
	if (behind(address, "fd:"))
		return take_fd(&listener->ready, passed_fd, error) ||
		       error_set(error, EXIT_CODE_USAGE, "%s", error->words);
	if ((rest = behind(address, "tcp:"))) {
		listener->fd = listen_tcp(rest, error);
	} else {
		rest = behind(address, "unix:");
		listener->fd = listen_unix(rest, error);
		if (listener->fd >= 0)
			snprintf(listener->path, sizeof(listener->path), "%s", rest);
	}
	return listener->fd >= 0;
}

void transport_unlisten(struct transport_listener *listener)
{
	if (listener->fd >= 0)
		close(listener->fd);
	if (listener->path[0])
		unlink(listener->path);
	transport_close(&listener->ready);
	listener->fd = -1;
	listener->path[0] = 0;
}

void transport_cut(const struct transport *transport)
{
	if (transport->fd >= 0)
		shutdown(transport->fd, SHUT_RDWR);
}

/* Within this number of milliseconds. */
static bool command_ends(pid_t child, int *status, int patience)
{
	for (int waited = 0; waited < patience; waited += 10) {
		if (waitpid(child, status, WNOHANG))
			return true;
		usleep(10000);
	}
	return false;
}

static void end_command(pid_t child)
{
	int status;

	/* Its input has ended, so it should end too. */
	if (command_ends(child, &status, CHILD_PATIENCE_MS))
		return;
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
}

bool transport_command_ended(struct transport *transport, char *words)
{
	int status = 0;

	if (transport->child <= 0 || !command_ends(transport->child, &status, CHILD_MOMENT_MS))
		return false;
	transport->child = 0;
	if (WIFSIGNALED(status))
		snprintf(words, 64, "the command was ended by signal %d", WTERMSIG(status));
	else
		snprintf(words, 64, "the command ended with status %d", WEXITSTATUS(status));
	return true;
}

void transport_close(struct transport *transport)
{
	if (transport->fd >= 0)
		close(transport->fd);
	if (transport->child > 0)
		end_command(transport->child);
	transport->fd = -1;
	transport->child = 0;
}
