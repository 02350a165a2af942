// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/virtio_console.h>

#include "driver.h"

static char socket_name[sizeof(disk_name) + 8];

static struct virtio_device *create_console(void)
{
	static char spec[sizeof(socket_name) + 16];
	const char *const specs[] = { "first=/dev/null,console", spec };

	snprintf(socket_name, sizeof(socket_name), "%s.sock", disk_name);
	snprintf(spec, sizeof(spec), "second=unix:%s", socket_name);
	return console_create(&driver.memory, driver.registers, specs, 2, NULL);
}

static void send_control(uint32_t id, uint16_t event, uint16_t value)
{
	struct virtio_console_control *message = guest(BUFFERS);
	uint16_t next = ring_used(3)->idx + 1;

	*message = (struct virtio_console_control){ id, event, value };
	put_desc(3, 0, BUFFERS, sizeof(*message), 0, 0);
	offer(3, 0);
	require(used_within(3, next));
}

/* The next control message from the device. */
static void expect_control(uint32_t id, uint16_t event, uint16_t value)
{
	struct virtio_console_control *message = guest(BUFFERS + 0x400);
	uint16_t next = ring_used(2)->idx + 1;

	memset(message, 0xff, 64);
	put_desc(2, 0, BUFFERS + 0x400, 64, WRITE, 0);
	offer(2, 0);
	require(used_within(2, next));
	expect_equal(message->id, id);
	expect_equal(message->event, event);
	expect_equal(message->value, value);
}

/* More than a socket takes at once is held until the peer reads. */
static void hold_what_the_peer_leaves(int peer)
{
	static char large[0x40000];
	size_t got = 0;

	require(used_within(5, 2));
	for (int i = 0; i < 8; i++) {
		put_desc(5, i, BUFFERS, sizeof(large), 0, 0);
		offer(5, i);
	}
	usleep(20000);
	expect(ring_used(5)->idx < 10);
	while (got < 8 * sizeof(large)) {
		ssize_t bytes = recv(peer, large, sizeof(large), 0);

		require(bytes > 0);
		got += bytes;
	}
	expect(used_within(5, 10));
}

static void console(void)
{
	char text[16];
	int peer;

	driver_memory();
	driver_start(create_console(), 0);
	expect_equal(get_register(VIRTIO_CONFIG + 4), 2);
	send_control(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	expect_control(0, VIRTIO_CONSOLE_PORT_ADD, 1);
	expect_control(1, VIRTIO_CONSOLE_PORT_ADD, 1);
	send_control(0, VIRTIO_CONSOLE_PORT_READY, 1);
	expect_control(0, VIRTIO_CONSOLE_CONSOLE_PORT, 1);
	expect_control(0, VIRTIO_CONSOLE_PORT_NAME, 1);
	expect(!memcmp((char *)guest(BUFFERS + 0x400) + 8, "first", 5));
	expect_control(0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	send_control(1, VIRTIO_CONSOLE_PORT_READY, 1);
	expect_control(1, VIRTIO_CONSOLE_PORT_NAME, 1);
	expect_control(1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	send_control(77, VIRTIO_CONSOLE_PORT_READY, 1);
	send_control(1, VIRTIO_CONSOLE_PORT_OPEN, 1);

	/* Without a peer output is lost. Then a peer comes, which speaks and listens. */
	put_desc(5, 0, BUFFERS, 4, 0, 0);
	offer(5, 0);
	expect(used_within(5, 1));
	peer = connect_peer(socket_name);
	expect_control(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	expect_equal(write(peer, "hello", 5), 5);
	put_desc(4, 0, BUFFERS + 0x800, 3, WRITE, 0);
	offer(4, 0);
	require(used_within(4, 1));
	expect(!memcmp(guest(BUFFERS + 0x800), "hel", 3));
	offer(4, 0);
	require(used_within(4, 2));
	expect_equal(ring_used(4)->ring[1].len, 2);
	memcpy(guest(BUFFERS), "good day", 8);
	put_desc(5, 0, BUFFERS, 8, 0, 0);
	offer(5, 0);
	expect_equal(recv(peer, text, 8, MSG_WAITALL), 8);
	expect(!memcmp(text, "good day", 8));

	hold_what_the_peer_leaves(peer);
	close(peer);
	expect_control(1, VIRTIO_CONSOLE_PORT_OPEN, 0);

	put_desc(3, 0, BUFFERS, 7, 0, 0);
	offer(3, 0);
	expect(broken_within());
	driver_end();
	expect(access(socket_name, F_OK));
}

/* Hold a buffer of queue 5: the peer of port 1 takes no more.  Returns the peer. */
static int stall(void)
{
	int peer;

	driver_memory();
	driver_start(create_console(), 0);
	send_control(1, VIRTIO_CONSOLE_PORT_READY, 1);
	send_control(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	peer = connect_peer(socket_name);
	/* The peer is accepted before what it sends is taken. */
	expect_equal(write(peer, "x", 1), 1);
	put_desc(4, 0, BUFFERS + 0x800, 1, WRITE, 0);
	offer(4, 0);
	require(used_within(4, 1));
	for (int i = 0; i < 8; i++) {
		put_desc(5, i, BUFFERS, 0x40000, 0, 0);
		offer(5, i);
	}
	usleep(100000);
	require(ring_used(5)->idx < 8);
	return peer;
}

static bool is_zero(const uint8_t *bytes, size_t count)
{
	while (count && !*bytes) {
		bytes++;
		count--;
	}
	return !count;
}

static void drain(int peer)
{
	static char large[0x40000];
	struct timeval wait = { .tv_usec = 200000 };
	ssize_t bytes;

	setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	do
		bytes = recv(peer, large, sizeof(large), 0);
	while (bytes > 0);
}

/* The driver turns the queue off and makes it as large as it likes; the peer reads on. */
static void resized(uint32_t size)
{
	int peer = stall();

	set_register(VIRTIO_MMIO_QUEUE_SEL, 5);
	set_register(VIRTIO_MMIO_QUEUE_READY, 0);
	set_register(VIRTIO_MMIO_QUEUE_NUM, size);
	expect_equal(get_register(VIRTIO_MMIO_QUEUE_READY), 0);
	drain(peer);
	usleep(100000);
	close(peer);
	driver_end();
}

static void held_and_resized_to_nothing(void)
{
	resized(0);
}

/*
 * The used ring lies at the end of memory, and next_used has come to 2000 before: with 16 entries
 * that is one of the first, with 0x10000 one 16,000 bytes behind the ring.
 */
static void held_and_resized_beyond_memory(void)
{
	const uint32_t used = GUEST_BYTES - 0x1000;
	volatile struct vring_used *ring;
	const uint8_t *behind;
	int peer;

	driver_memory();
	/* Memory that a launcher may have there. */
	behind = mmap(guest(GUEST_BYTES), 0x80000, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	require(behind == guest(GUEST_BYTES));
	driver_start(create_console(), 0);
	set_register(VIRTIO_MMIO_QUEUE_SEL, 5);
	set_register(VIRTIO_MMIO_QUEUE_READY, 0);
	set_register(VIRTIO_MMIO_QUEUE_USED_LOW, used);
	set_register(VIRTIO_MMIO_QUEUE_READY, 1);
	require_equal(get_register(VIRTIO_MMIO_QUEUE_READY), 1);
	ring = guest(used);
	send_control(1, VIRTIO_CONSOLE_PORT_READY, 1);
	send_control(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	/* Without a peer each buffer is lost, and used. */
	put_desc(5, 0, BUFFERS, 4, 0, 0);
	for (unsigned int i = 0; i < 2000; i++) {
		offer(5, 0);
		for (int ms = 0; ms < 1000 && ring->idx != i + 1; ms++)
			usleep(100);
		require_equal(ring->idx, i + 1);
	}
	peer = connect_peer(socket_name);
	expect_equal(write(peer, "x", 1), 1);
	put_desc(4, 0, BUFFERS + 0x800, 1, WRITE, 0);
	offer(4, 0);
	require(used_within(4, 1));
	for (int i = 0; i < 8; i++) {
		put_desc(5, 8 + i, BUFFERS, 0x40000, 0, 0);
		offer(5, 8 + i);
	}
	usleep(100000);
	require(ring->idx < 2008);
	set_register(VIRTIO_MMIO_QUEUE_SEL, 5);
	set_register(VIRTIO_MMIO_QUEUE_READY, 0);
	set_register(VIRTIO_MMIO_QUEUE_NUM, 0x10000);
	drain(peer);
	usleep(100000);
	expect(is_zero(behind, 0x80000));
	munmap((void *)behind, 0x80000);
	close(peer);
	driver_end();
}

static char pipe_name[sizeof(disk_name) + 8];

static struct virtio_device *create_pipe(void)
{
	static char spec[sizeof(pipe_name) + 16];
	const char *const specs[] = { spec };

	snprintf(spec, sizeof(spec), "log=%s", pipe_name);
	return console_create(&driver.memory, driver.registers, specs, 1, NULL);
}

/* A pipe whose reader pauses: the device serves everything else meanwhile, and no byte is lost. */
static void pipe_is_not_read(void)
{
	static char large[0x10000];
	int reader;

	signal(SIGPIPE, SIG_IGN);
	snprintf(pipe_name, sizeof(pipe_name), "%s.pipe", disk_name);
	unlink(pipe_name);
	require_equal(mkfifo(pipe_name, 0600), 0);
	reader = open(pipe_name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	require(reader >= 0);
	driver_memory();
	driver_start(create_pipe(), 0);
	memset(guest(BUFFERS + 0x1000), 'p', sizeof(large));
	for (int i = 0; i < 8; i++) {
		put_desc(1, i, BUFFERS + 0x1000, sizeof(large), 0, 0);
		offer(1, i);
	}
	usleep(100000);
	expect(ring_used(1)->idx < 8);
	send_control(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	expect_control(0, VIRTIO_CONSOLE_PORT_ADD, 1);
	for (size_t got = 0; got < 8 * sizeof(large);) {
		ssize_t bytes = read(reader, large, sizeof(large));

		if (bytes < 0)
			usleep(1000);
		else
			got += bytes;
	}
	expect(used_within(1, 8));
	/* Without a reader output is lost, which the guest does not notice. */
	close(reader);
	offer(1, 0);
	expect(used_within(1, 9));
	driver_end();
	unlink(pipe_name);
}

/* Off and on again with the same rings: what was held is of another life. */
static void held_and_enabled_again(void)
{
	int peer = stall();

	set_register(VIRTIO_MMIO_QUEUE_SEL, 5);
	set_register(VIRTIO_MMIO_QUEUE_READY, 0);
	memset(ring_avail(5), 0, 0x1000);
	ring_used(5)->idx = 0;
	set_register(VIRTIO_MMIO_QUEUE_READY, 1);
	require_equal(get_register(VIRTIO_MMIO_QUEUE_READY), 1);
	drain(peer);
	usleep(100000);
	expect_equal(ring_used(5)->idx, 0);
	put_desc(5, 3, BUFFERS, 4, 0, 0);
	offer(5, 3);
	expect(used_within(5, 1));
	expect_equal(ring_used(5)->ring[0].id, 3);
	close(peer);
	driver_end();
}

static void nonsense_console(void)
{
	nonsense_to(create_console);
	send_control(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	expect_control(0, VIRTIO_CONSOLE_PORT_ADD, 1);
	driver_end();
}

const struct test_table console_tests = TEST_TABLE(
	{ "ports of a console are told, speak and hold", console },
	{ "a port's pipe that is not read holds up nothing else", pipe_is_not_read },
	{ "100,000 nonsense writes to a console", nonsense_console },
	{ "a queue with a held buffer is made longer: nothing is written behind memory", held_and_resized_beyond_memory },
	{ "a queue with a held buffer is made of no entries", held_and_resized_to_nothing },
	{ "a buffer from before its queue was enabled again is dropped", held_and_enabled_again }
);
