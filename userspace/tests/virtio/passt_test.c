// SPDX-License-Identifier: GPL-2.0-only
/* A card on another program's network: one of our own that is good or wrong, and Debian's passt. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/line_socket.h"
#include "driver.h"

#define FRAME_BYTES	60u
#define RECEIVED	(BUFFERS + 0x1000)

static char where[DISK_NAME_ROOM + 8];
static int listener, peer;

static const char *spec_here(void)
{
	static char spec[sizeof(where) + 32];

	snprintf(where, sizeof(where), "%s.sock", disk_name);
	snprintf(spec, sizeof(spec), "passt=%s,mac=02:00:00:00:00:01", where);
	return spec;
}

static void take_peer(void)
{
	struct pollfd fd = { .fd = listener, .events = POLLIN };

	require_equal(poll(&fd, 1, PATIENCE_MS), 1);
	peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	require(peer >= 0);
}

static void begin(void)
{
	const char *spec = spec_here();
	struct error error = { .words = "" };
	struct virtio_device *device;

	listener = line_socket_listen(where);
	require(listener >= 0);
	driver_memory();
	device = net_create(&driver.memory, driver.registers, spec, &error);
	tap_check(device, true, "%s", error.words);
	driver_start(device, 0);
	take_peer();
}

static void end(void)
{
	driver_end();
	close(peer);
	close(listener);
	unlink(where);
}

/* The guest sends a frame that is filled with @fill. */
static void transmit(uint8_t fill, uint16_t next)
{
	memset(guest(BUFFERS), 0, 12);
	memset(guest(BUFFERS + 12), fill, FRAME_BYTES);
	put_desc(1, 0, BUFFERS, 12 + FRAME_BYTES, 0, 0);
	offer(1, 0);
	require(used_within(1, next));
}

/* False: none has come in time, or what came is no such frame. */
static bool peer_gets(uint8_t *fill)
{
	struct pollfd fd = { .fd = peer, .events = POLLIN };
	uint8_t data[4 + FRAME_BYTES];

	if (poll(&fd, 1, 1000) != 1 || recv(peer, data, sizeof(data), MSG_WAITALL) != sizeof(data))
		return false;
	*fill = data[4];
	for (unsigned int i = 4; i < sizeof(data); i++)
		if (data[i] != *fill)
			return false;
	return !data[0] && !data[1] && !data[2] && data[3] == FRAME_BYTES;
}

static void peer_sends(uint32_t bytes, uint8_t fill)
{
	static uint8_t data[4 + 70000];

	*(uint32_t *)data = htonl(bytes);
	memset(data + 4, fill, bytes);
	require_equal(send(peer, data, 4 + bytes, MSG_NOSIGNAL), 4 + bytes);
}

static void offer_buffer(void)
{
	put_desc(0, 0, RECEIVED, 2000, WRITE, 0);
	offer(0, 0);
}

static void receives(uint16_t next, uint8_t fill)
{
	const uint8_t *frame = guest(RECEIVED);

	require(used_within(0, next));
	expect_equal(ring_used(0)->ring[(next - 1) % QUEUE_SIZE].len, 12 + FRAME_BYTES);
	expect_equal(frame[12], fill);
	expect_equal(frame[12 + FRAME_BYTES - 1], fill);
}

static void both_ways(void)
{
	static const uint8_t half[] = { 0, 0, 0, FRAME_BYTES, 'p', 'p' };
	uint8_t fill = 0, rest[FRAME_BYTES - 2];

	begin();
	transmit('a', 1);
	expect(peer_gets(&fill) && fill == 'a');
	offer_buffer();
	peer_sends(FRAME_BYTES, 'b');
	receives(1, 'b');
	/* In three pieces. */
	offer_buffer();
	require_equal(send(peer, half, 2, 0), 2);
	usleep(20000);
	require_equal(send(peer, half + 2, 4, 0), 4);
	usleep(20000);
	expect_equal(ring_used(0)->idx, 1);
	memset(rest, 'p', sizeof(rest));
	require_equal(send(peer, rest, sizeof(rest), 0), sizeof(rest));
	receives(2, 'p');
	end();
}

/* Longer than the card takes: those that follow come all the same. */
static void long_frames(void)
{
	begin();
	offer_buffer();
	peer_sends(1519, 'l');
	peer_sends(65536, 'l');
	peer_sends(FRAME_BYTES, 'c');
	receives(1, 'c');
	expect_equal(driver.device->counters[VIRTIO_DROPPED], 2);
	end();
}

static void nonsense(void)
{
	static const uint32_t lengths[] = { 0, 0x7fffffff, 0xffffffff };
	uint8_t byte;

	begin();
	for (unsigned int i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		uint32_t head = htonl(lengths[i]);

		require_equal(send(peer, &head, sizeof(head), 0), sizeof(head));
		/* It hangs up, and comes back. */
		expect_equal(recv(peer, &byte, 1, 0), 0);
		close(peer);
		take_peer();
	}
	offer_buffer();
	peer_sends(FRAME_BYTES, 'd');
	receives(1, 'd');
	end();
}

/* Frames are lost as on a wire, but none in part. */
static void full(void)
{
	unsigned int sent = 0, got = 0;
	uint8_t fill = 0;

	begin();
	for (; sent < 8000; sent++)
		transmit(sent, sent + 1);
	while (peer_gets(&fill)) {
		if (got < 100)
			expect_equal(fill, got);
		got++;
	}
	tap_check(got > 100 && got < sent, false, "%u of %u", got, sent);
	transmit('e', sent + 1);
	expect(peer_gets(&fill) && fill == 'e');
	end();
}

static void comes_back(void)
{
	uint8_t fill = 0;

	begin();
	transmit('f', 1);
	expect(peer_gets(&fill) && fill == 'f');
	close(peer);
	close(listener);
	unlink(where);
	/* Nobody gets this. */
	for (unsigned int i = 0; i < 3; i++)
		transmit('x', 2 + i);
	listener = line_socket_listen(where);
	require(listener >= 0);
	take_peer();
	transmit('g', 5);
	expect(peer_gets(&fill) && fill == 'g');
	end();
}

/* Another process has the card; or it comes back here. */
static void is_yielded(void)
{
	struct error error = { .words = "" };
	uint8_t fill = 0;
	char byte;

	begin();
	virtio_register(driver.device, 0);
	devices_freeze();
	devices_yield();
	expect_equal(recv(peer, &byte, 1, 0), 0);
	close(peer);
	tap_check(devices_thaw(&error), true, "%s", error.words);
	take_peer();
	transmit('h', 1);
	expect(peer_gets(&fill) && fill == 'h');
	devices_freeze();
	devices_yield();
	close(listener);
	unlink(where);
	expect(!devices_thaw(&error));
	expect(strstr(error.words, "cannot connect to it: No such file"));
	devices_forget();
	end();
}

static void absent(void)
{
	struct error error = { .words = "" };

	driver_memory();
	expect(!net_create(&driver.memory, driver.registers, spec_here(), &error));
	expect(strstr(error.words, "--net passt=/"));
	expect(strstr(error.words, "cannot connect to it: No such file"));
	expect(!net_create(&driver.memory, driver.registers, "passt=", &error));
	expect(strstr(error.words, "none of user, tap=NAME and passt=SOCKET"));
	driver_forget();
}

/* ---- Debian's ------------------------------------------------------------------------------ */

/* "Who has 10.0.2.2?": it answers for all addresses but the guest's. */
static const uint8_t arp[42] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6,
	0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 2, 15, 0, 0, 0, 0, 0, 0, 10, 0, 2, 2,
};

static pid_t start_passt(void)
{
	char *const argv[] = { "passt", "-f", "-q", "-s", where, NULL };
	struct stat st;
	pid_t child;

	unlink(where);
	if (posix_spawnp(&child, argv[0], NULL, NULL, argv, environ))
		tap_skip("passt is not installed (tools/testing/machine/packages)");
	for (int i = 0; i < PATIENCE_MS && stat(where, &st); i++) {
		if (waitpid(child, NULL, WNOHANG))
			tap_skip("passt does not run here: this host has no network, or forbids namespaces");
		usleep(1000);
	}
	return child;
}

static void ask(uint16_t next)
{
	const uint8_t *answer = guest(RECEIVED);

	memset(guest(BUFFERS), 0, 12);
	memcpy(guest(BUFFERS + 12), arp, sizeof(arp));
	offer_buffer();
	put_desc(1, 0, BUFFERS, 12 + sizeof(arp), 0, 0);
	offer(1, 0);
	require(used_within(0, next));
	expect(!memcmp(answer + 12, arp + 6, 6));
	expect_equal(answer[12 + 21], 2);
	expect(!memcmp(answer + 12 + 28, arp + 38, 4));
}

static void with_passt(void)
{
	const char *spec = spec_here();
	struct error error = { .words = "" };
	pid_t child = start_passt();
	struct virtio_device *device = NULL;

	driver_memory();
	/* Its socket is there a moment before it listens. */
	for (int i = 0; i < PATIENCE_MS && !device; i++) {
		device = net_create(&driver.memory, driver.registers, spec, &error);
		usleep(1000);
	}
	tap_check(device, true, "%s", error.words);
	driver_start(device, 0);
	ask(1);
	kill(child, SIGTERM);
	require_equal(waitpid(child, NULL, 0), child);
	child = start_passt();
	/* The card finds it within two seconds. */
	usleep(2500000);
	ask(2);
	kill(child, SIGTERM);
	require_equal(waitpid(child, NULL, 0), child);
	driver_end();
	unlink(where);
}

const struct test_table passt_tests = TEST_TABLE(
	{ "frames go to a program's network and come from it", both_ways },
	{ "frames that are too long are dropped alone", long_frames },
	{ "a program that says what is no frame is connected anew", nonsense },
	{ "a program that reads nothing loses whole frames", full },
	{ "a program's network may go and come back", comes_back },
	{ "... and is given away and taken back", is_yielded },
	{ "a program's network that is absent is told in words", absent },
	{ "Debian's passt answers, also one that is started later", with_passt },
);
