// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device/virtio/net_flows.h"
#include "driver.h"

static const uint8_t arp[42] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6,
	0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 2, 15, 0, 0, 0, 0, 0, 0, 10, 0, 2, 2,
};

/* "Who has 10.0.2.2?" in two segments; the host answers. */
static void ask_host(void)
{
	uint8_t *frame = guest(BUFFERS), *answer = guest(BUFFERS + 0x1000);

	memset(frame, 0, 12);
	memcpy(frame + 12, arp, sizeof(arp));
	put_desc(0, 0, BUFFERS + 0x1000, 2000, WRITE, 0);
	offer(0, 0);
	put_desc(1, 0, BUFFERS, 12, NEXT, 1);
	put_desc(1, 1, BUFFERS + 12, sizeof(arp), 0, 0);
	offer(1, 0);
	require(used_within(1, 1));
	require(used_within(0, 1));
	expect(ring_used(0)->ring[0].len >= 12 + 42);
	expect_equal(answer[10], 1);
	expect(!memcmp(answer + 12, arp + 6, 6));
	expect_equal(answer[12 + 21], 2);
	expect(!memcmp(answer + 12 + 28, arp + 38, 4));
	expect_equal(driver.device->counters[VIRTIO_OUT], 1);
	expect_equal(driver.device->counters[VIRTIO_OUT_BYTES], sizeof(arp));
	expect(driver.device->counters[VIRTIO_IN] >= 1);
	expect(driver.device->counters[VIRTIO_IN_BYTES] >= ring_used(0)->ring[0].len - 12);
}

static struct virtio_device *create_net(void)
{
	return net_create(&driver.memory, driver.registers, "user,mac=02:00:00:00:00:01", NULL);
}

/* ---- a tap, without the right to make one ------------------------------------------------- */

int __real_keeper_tap(int note);
int __wrap_keeper_tap(int note);
static int tap_fd = -1;

int __wrap_keeper_tap(int note)
{
	return tap_fd < 0 ? __real_keeper_tap(note) : tap_fd;
}

/* ---- its address ------------------------------------------------------------------------- */

/* Of a card at "tap=none", made in a process of its own in new namespaces; false: there are none. */
static bool mac_in(int namespaces, const char *host, uint8_t mac[6])
{
	struct virtio_device *device;
	int status, ends[2];
	pid_t child;

	require_equal(pipe2(ends, O_CLOEXEC), 0);
	child = fork();
	require(child >= 0);
	if (!child) {
		if (namespaces && unshare(namespaces | (geteuid() ? CLONE_NEWUSER : 0)))
			_exit(2);
		if (host && (mount(host, "/etc/machine-id", NULL, MS_BIND, NULL)))
			_exit(2);
		driver_memory();
		tap_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		device = net_create(&driver.memory, driver.registers, "tap=none", NULL);
		_exit(write(ends[1], device->registers + VIRTIO_CONFIG, 6) != 6);
	}
	close(ends[1]);
	require_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 2) {
		close(ends[0]);
		return false;
	}
	require_equal(read(ends[0], mac, 6), 6);
	close(ends[0]);
	return true;
}

/* Two bridged taps of one name, on two hosts or in two namespaces, must not have one address. */
static void macs_differ(void)
{
	uint8_t mine[6], again[6], theirs[6];
	char id[] = "/tmp/virtio-test-XXXXXX";
	int fd = mkstemp(id);
	bool made;

	require(fd >= 0);
	require_equal(write(fd, "00000000000000000000000000000001\n", 33), 33);
	close(fd);
	require(mac_in(0, NULL, mine) && mac_in(0, NULL, again));
	expect(!memcmp(mine, again, 6));
	expect_equal(mine[0] & 3, 2);
	made = mac_in(CLONE_NEWNET, NULL, theirs);
	if (made)
		expect(memcmp(mine, theirs, 6));
	if (!access("/etc/machine-id", R_OK) && mac_in(CLONE_NEWNS, id, theirs))
		expect(memcmp(mine, theirs, 6));
	else
		made = false;
	unlink(id);
	if (!made)
		tap_skip("this user may not make namespaces, or the host has no machine-id");
}

/* One that is deleted is ready for ever: whoever goes on polling it takes a processor. */
static void tap_goes(void)
{
	struct pollfd fds[VIRTIO_MAX_FDS];
	struct virtio_device *device;
	int ends[2], timeout = -1, polled = 0;

	require_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
	tap_fd = ends[0];
	driver_memory();
	device = net_create(&driver.memory, driver.registers, "tap=none", NULL);
	driver_start(device, 0);
	put_desc(0, 0, BUFFERS + 0x1000, 2000, WRITE, 0);
	offer(0, 0);
	require_equal(send(ends[1], arp, sizeof(arp), 0), sizeof(arp));
	require(used_within(0, 1));
	close(ends[1]);
	for (int i = 0; i < 3000 && polled != -1; i++) {
		usleep(1000);
		virtio_lock(device);
		require_equal(device->ops->poll(device, fds, VIRTIO_MAX_FDS, &timeout), 1);
		polled = fds[0].fd;
		virtio_unlock(device);
	}
	expect_equal(polled, -1);
	/* The guest's packets are lost, as without a cable. */
	put_desc(1, 0, BUFFERS, 12 + sizeof(arp), 0, 0);
	offer(1, 0);
	expect(used_within(1, 1));
	tap_fd = -1;
	driver_end();
}

static void net(void)
{
	driver_memory();
	driver_start(create_net(), 0);
	expect_equal(get_register(VIRTIO_CONFIG), 2);
	ask_host();
	/* Frames too short and too long for Ethernet get lost. */
	put_desc(1, 0, BUFFERS, 12, 0, 0);
	offer(1, 0);
	expect(used_within(1, 2));
	put_desc(1, 0, BUFFERS, 100000, 0, 0);
	offer(1, 0);
	expect(used_within(1, 3));
	/* One without a header is wrong. */
	put_desc(1, 0, BUFFERS, 11, 0, 0);
	offer(1, 0);
	expect(broken_within());
	driver_end();
	driver_memory();
	driver_start(create_net(), 0);
	/* So is a buffer that holds no frame. */
	put_desc(0, 0, BUFFERS + 0x1000, 20, WRITE, 0);
	offer(0, 0);
	memcpy((uint8_t *)guest(BUFFERS) + 12, arp, sizeof(arp));
	put_desc(1, 0, BUFFERS, 12 + sizeof(arp), 0, 0);
	offer(1, 0);
	expect(broken_within());
	driver_end();
}

/* ---- the host's loopback interface ----------------------------------------------------- */

static int listen_on_loopback(uint16_t *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t bytes = sizeof(address);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	require(fd >= 0);
	require_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	require_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

/* A datagram of one byte from the guest's port @from. */
static void send_datagram_from(uint16_t from, uint32_t to, uint16_t port)
{
	static uint16_t sent;
	uint8_t *frame = (uint8_t *)guest(BUFFERS) + 12, *ip = frame + 14, *udp = ip + 20;
	uint32_t sum = 0;
	uint16_t next = ring_used(1)->idx + 1;
	static const uint8_t ethernet[14] = {
		0x52, 0x55, 10, 0, 2, 2, 2, 0, 0, 0, 0, 1, 8, 0,
	};
	const uint8_t datagram[9] = { from >> 8, from, port >> 8, port, 0, 9, 0, 0, 'x' };
	const uint8_t header[20] = {
		0x45, 0, 0, 29, sent >> 8, sent, 0, 0, 64, 17, 0, 0, 10, 0, 2, 15,
		to >> 24, to >> 16, to >> 8, to,
	};

	sent++;
	memset(frame - 12, 0, 100);
	memcpy(frame, ethernet, sizeof(ethernet));
	memcpy(ip, header, sizeof(header));
	for (unsigned int i = 0; i < sizeof(header); i += 2)
		sum += header[i] << 8 | header[i + 1];
	sum = ~((sum & 0xffff) + (sum >> 16));
	ip[10] = sum >> 8;
	ip[11] = sum;
	memcpy(udp, datagram, sizeof(datagram));
	put_desc(1, 0, BUFFERS, 12 + 14 + 29, 0, 0);
	offer(1, 0);
	require(used_within(1, next));
}

/* The device has sent it on before it gives the buffer back: what has not come never comes. */
static bool has_come(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) == 1;
}

static void start_net(const char *spec)
{
	driver_memory();
	driver_start(net_create(&driver.memory, driver.registers, spec, NULL), 0);
}

static void send_datagram(uint32_t to, uint16_t port)
{
	send_datagram_from(0x1000, to, port);
}

static void loopback_is_not_the_guests(void)
{
	static const uint32_t addresses[] = { 0x0a000202, 0x7f000001, 0x7f000002, 0, 0xffffffff };
	uint16_t port;
	int fd = listen_on_loopback(&port);

	start_net("user,mac=02:00:00:00:00:01");
	for (unsigned int i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		send_datagram(addresses[i], port);
		tap_check(!has_come(fd), false, "0x%x leads to the host's loopback", addresses[i]);
	}
	driver_end();
	start_net("user,host-loopback=off");
	send_datagram(0x0a000202, port);
	expect(!has_come(fd));
	driver_end();
	start_net("user,host-loopback=on,mac=02:00:00:00:00:01");
	send_datagram(0x0a000202, port);
	expect(has_come(fd));
	send_datagram(0x7f000001, port);
	expect(!has_come(fd));
	driver_end();
	close(fd);
}

/* ---- sockets ---------------------------------------------------------------------------- */

/* A guest that begins more and more leaves the process what it needs. */
static void sockets_are_bounded(void)
{
	struct rlimit old, few = { 256, 256 };
	unsigned int before, opened;
	uint16_t port;
	int fd = listen_on_loopback(&port);

	require_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few.rlim_max = old.rlim_max;
	require_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	start_net("user,host-loopback=on,mac=02:00:00:00:00:01");
	before = driver_descriptors();
	for (unsigned int i = 0; i < 300; i++)
		send_datagram_from(2000 + i, 0x0a000202, port);
	opened = driver_descriptors() - before;
	tap_check(opened, 256 / 4, "the guest has %u sockets", opened);
	driver_end();
	expect(driver_descriptors() < before);
	require_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	close(fd);
}

/* The other end's answer to a SYN of the guest's port. */
static void begin_connection(struct net_flows *flows, uint16_t port)
{
	uint8_t frame[NET_RESET_BYTES] = { [12] = 0x08 };

	frame[14] = 0x45;
	frame[17] = 40;			/* length of IP's packet */
	frame[23] = 6;			/* TCP */
	memcpy(frame + 26, (const uint8_t []){ 10, 0, 2, 2, 10, 0, 2, 15 }, 8);
	frame[35] = 80;
	frame[36] = port >> 8;
	frame[37] = port;
	frame[46] = 5 << 4;
	frame[47] = 0x12;		/* SYN and ACK */
	net_flows_to_guest(flows, frame, sizeof(frame));
}

/* As many connections as there can be sockets are reset after a move, the first one too. */
static void connections_are_known(void)
{
	struct net_flows *flows = calloc(1, sizeof(*flows));
	uint8_t frame[NET_RESET_BYTES];

	require(flows);
	for (unsigned int i = 0; i < VIRTIO_MAX_FDS; i++)
		begin_connection(flows, 1000 + i);
	expect_equal(flows->count, VIRTIO_MAX_FDS);
	for (unsigned int i = 0; i < VIRTIO_MAX_FDS; i++) {
		net_flows_reset(flows, i, frame);
		expect_equal(frame[36] << 8 | frame[37], 1000 + i);
		expect_equal(frame[47], 0x04);
	}
	free(flows);
}

static void nonsense_net(void)
{
	nonsense_to(create_net);
	ask_host();
	driver_end();
}

const struct test_table net_tests = TEST_TABLE(
	{ "a tap that is deleted is let go", tap_goes },
	{ "cards of other hosts and namespaces have other addresses", macs_differ },
	{ "a network card sends, receives, and breaks on bad buffers", net },
	{ "the host's loopback is the guest's only if the user says so",
	  loopback_is_not_the_guests },
	{ "a guest does not use up the descriptors", sockets_are_bounded },
	{ "each connection that can be is reset after a move", connections_are_known },
	{ "100,000 nonsense writes to a network card", nonsense_net }
);
