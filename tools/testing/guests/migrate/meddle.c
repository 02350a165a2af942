// SPDX-License-Identifier: GPL-2.0-only
/*
 * A wire that does harm: carries bytes between two unix sockets, and at a given
 * place does something to them.
 *
 * usage: meddle LISTEN CONNECT up|down BYTE|@TYPE cut|flip|freeze|slow|kill:PID|count
 *
 * up: counted are the bytes from who connects to LISTEN to CONNECT; down: those back. At
 * byte number BYTE, or where the first record of type TYPE begins, the wire is cut, a bit is
 * flipped, nothing moves any more (but the wire stays until both ends have left it), or process PID
 * is killed.
 * slow: from there on 200 KiB a second pass. count: nothing; at the end it prints how many went
 * each way as "up N down N".
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SLOW_PIECE	4096u
#define SLOW_US		20000u
#define HEADER	32u	/* bytes: of the stream, and of each record */

/**
 * struct way - one direction
 * @header, @have: of the record that comes next, as far as it came
 * @skip: bytes until it begins
 */
struct way {
	int from;
	int to;
	unsigned long long moved;
	bool ended;
	unsigned char header[HEADER];
	unsigned int have;
	unsigned long long skip;
};

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return address;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int take(const char *path)
{
	struct sockaddr_un address = address_of(path);
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), fd;

	unlink(path);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 1))
		die(path);
	fd = accept(listener, NULL, NULL);
	close(listener);
	unlink(path);
	return fd;
}

static int go(const char *path)
{
	struct sockaddr_un address = address_of(path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	for (int tries = 0; connect(fd, (struct sockaddr *)&address, sizeof(address)); tries++) {
		if (tries == 500)
			die(path);
		usleep(10000);
	}
	return fd;
}

/* Neither end hears of the other's. */
static void freeze(const struct way *way)
{
	struct pollfd ends[2] = { { .fd = way->from }, { .fd = way->to } };

	while (ends[0].fd >= 0 || ends[1].fd >= 0) {
		poll(ends, 2, -1);
		for (int i = 0; i < 2; i++)
			if (ends[i].revents)
				ends[i].fd = -1;
	}
}

/* The moment has come.  False: the wire is no more. */
static bool harm(const char *what, char *at)
{
	if (!strcmp(what, "flip"))
		*at ^= 0x10;
	else if (!strncmp(what, "kill:", 5))
		kill(atoi(what + 5), SIGKILL);
	return strcmp(what, "cut") && strcmp(what, "freeze");
}

static uint32_t number(const unsigned char *at)
{
	return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
}

/* Where a record of this type begins in what came; @got: not there. */
static ssize_t find(struct way *way, const char *data, ssize_t got, uint32_t type)
{
	for (ssize_t at = 0; at < got;) {
		if (way->skip) {
			ssize_t step = way->skip < (unsigned long long)(got - at) ?
				       (ssize_t)way->skip : got - at;

			way->skip -= step;
			at += step;
			continue;
		}
		way->header[way->have++] = data[at++];
		if (way->have < HEADER)
			continue;
		/* Its header may have begun to come before. */
		if (number(way->header) == type)
			return at < HEADER ? 0 : at - HEADER;
		way->skip = number(way->header + 8);
		way->have = 0;
	}
	return got;
}

/* Forward what has come on one way; false: the wire is cut. */
static bool carry(struct way *way, unsigned long long byte, uint32_t type, const char *what)
{
	static char data[65536];
	bool slow = what && !strcmp(what, "slow") && way->moved >= byte;
	ssize_t got = read(way->from, data, slow ? SLOW_PIECE : sizeof(data)), sent = 0;

	if (slow)
		usleep(SLOW_US);

	if (got <= 0) {
		way->ended = true;
		shutdown(way->to, SHUT_WR);
		return true;
	}
	if (what && type) {
		ssize_t at = find(way, data, got, type);

		byte = at < got ? way->moved + at : ~0ull;
	}
	if (what && byte >= way->moved && byte < way->moved + got) {
		ssize_t before = byte - way->moved;

		/* The bytes before it still arrive. */
		if (!harm(what, data + before))
			got = before;
		while (sent < got) {
			ssize_t n = write(way->to, data + sent, got - sent);

			if (n <= 0)
				break;
			sent += n;
		}
		way->moved += got;
		if (!strcmp(what, "freeze"))
			freeze(way);
		return strcmp(what, "cut") && strcmp(what, "freeze");
	}
	while (sent < got) {
		ssize_t n = write(way->to, data + sent, got - sent);

		if (n <= 0) {
			way->ended = true;
			/* A peer that still sends must learn that the other end is gone. */
			shutdown(way->from, SHUT_RD);
			return true;
		}
		sent += n;
	}
	way->moved += got;
	return true;
}

int main(int argc, char **argv)
{
	unsigned long long byte;
	uint32_t type;
	struct way ways[2];
	const char *what;
	bool up;

	if (argc != 6) {
		fprintf(stderr, "usage: meddle LISTEN CONNECT up|down BYTE|@TYPE cut|flip|freeze|slow|kill:PID|count\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	up = !strcmp(argv[3], "up");
	type = argv[4][0] == '@' ? strtoul(argv[4] + 1, NULL, 0) : 0;
	byte = type ? ~0ull : strtoull(argv[4], NULL, 0);
	what = strcmp(argv[5], "count") ? argv[5] : NULL;
	ways[0] = (struct way){ .from = take(argv[1]), .skip = HEADER };
	ways[0].to = go(argv[2]);
	ways[1] = (struct way){ .from = ways[0].to, .to = ways[0].from, .skip = HEADER };
	while (!ways[0].ended || !ways[1].ended) {
		struct pollfd fds[2];

		for (int i = 0; i < 2; i++)
			fds[i] = (struct pollfd){
				.fd = ways[i].ended ? -1 : ways[i].from, .events = POLLIN,
			};
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			die("poll");
		for (int i = 0; i < 2; i++)
			if (fds[i].revents && !carry(&ways[i], byte, type, up == !i ? what : NULL))
				return 0;
	}
	printf("up %llu down %llu\n", ways[0].moved, ways[1].moved);
	return 0;
}
