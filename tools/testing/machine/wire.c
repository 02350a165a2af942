// SPDX-License-Identifier: GPL-2.0-only
/*
 * A network on a serial line, for machines whose emulator has no card that the
 * stock kernel knows: packets of a tun device, framed as RFC 1055 says.
 *
 * usage: wire TTY DEVICE	makes the network device, and stays behind as a process
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define END	0xc0
#define ESC	0xdb
#define ESC_END	0xdc
#define ESC_ESC	0xdd
#define PACKET	2048

static void die(const char *what)
{
	fprintf(stderr, "wire: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_line(const char *path)
{
	int line = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios modes;

	if (line < 0 || tcgetattr(line, &modes))
		die(path);
	cfmakeraw(&modes);
	cfsetspeed(&modes, B115200);
	modes.c_cflag |= CLOCAL | CREAD;
	modes.c_cflag &= ~CRTSCTS;
	if (tcsetattr(line, TCSANOW, &modes))
		die(path);
	return line;
}

static int open_tun(const char *name)
{
	struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (tun < 0 || ioctl(tun, TUNSETIFF, &request))
		die("/dev/net/tun");
	return tun;
}

static void write_all(int to, const unsigned char *data, size_t bytes)
{
	while (bytes) {
		ssize_t done = write(to, data, bytes);

		if (done < 0 && errno != EINTR)
			die("the line");
		if (done > 0) {
			data += done;
			bytes -= done;
		}
	}
}

static void to_line(int tun, int line)
{
	unsigned char packet[PACKET], frame[2 * PACKET + 2];
	ssize_t bytes = read(tun, packet, sizeof(packet));
	size_t used = 0;

	/* Bytes from before are noise, and no part of this packet. */
	frame[used++] = END;
	for (ssize_t i = 0; i < bytes; i++) {
		if (packet[i] != END && packet[i] != ESC) {
			frame[used++] = packet[i];
			continue;
		}
		frame[used++] = ESC;
		frame[used++] = packet[i] == END ? ESC_END : ESC_ESC;
	}
	frame[used++] = END;
	write_all(line, frame, used);
}

/* A packet that lost a byte is TCP's business. */
static void from_line(int line, int tun)
{
	static unsigned char packet[PACKET];
	static size_t used;
	static int escaped;
	unsigned char data[256];
	ssize_t bytes = read(line, data, sizeof(data));

	for (ssize_t i = 0; i < bytes; i++) {
		unsigned char c = data[i];

		if (c == END) {
			/* Drop what is no packet, or comes before the device is up. */
			if (used && write(tun, packet, used) < 0 && errno != EINVAL && errno != EIO)
				die("the network device");
			used = 0;
		} else if (c == ESC) {
			escaped = 1;
			continue;
		} else if (used < sizeof(packet)) {
			packet[used++] = !escaped ? c : c == ESC_END ? END : ESC;
		}
		escaped = 0;
	}
}

int main(int argc, char **argv)
{
	struct pollfd fds[2] = { { .events = POLLIN }, { .events = POLLIN } };

	if (argc != 3) {
		fprintf(stderr, "usage: wire TTY DEVICE\n");
		return 2;
	}
	fds[0].fd = open_line(argv[1]);
	fds[1].fd = open_tun(argv[2]);
	if (daemon(1, 1))
		die("daemon");
	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			die("poll");
		if (fds[0].revents)
			from_line(fds[0].fd, fds[1].fd);
		if (fds[1].revents)
			to_line(fds[1].fd, fds[0].fd);
	}
}
