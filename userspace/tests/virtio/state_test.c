// SPDX-License-Identifier: GPL-2.0-only
/*
 * Saved virtio devices: one that is saved under way and loaded into a new one goes on; a record
 * that is cut off, of another version or with any byte changed is refused, or taken without harm.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_console.h>

#include "driver.h"

#define RECORD_ROOM	(1u << 20)
#define MUTATIONS	4000
#define INSTANCE	7

static uint8_t record_data[RECORD_ROOM];
static char record_name[STATE_NAME_MAX + 1];
static struct device_record record;
static struct error error;

static bool keep(void *argument, const struct device_record *saved)
{
	(void)argument;
	require(saved->bytes <= RECORD_ROOM);
	memcpy(record_data, saved->data, saved->bytes);
	snprintf(record_name, sizeof(record_name), "%s", saved->name);
	record = *saved;
	record.name = record_name;
	record.data = record_data;
	return true;
}

/* ---- one machine and the next ------------------------------------------------------------ */

static struct virtio_device *create_rng(void)
{
	return rng_create(&driver.memory, driver.registers, NULL);
}

static struct virtio_device *create_disk(void)
{
	return block_create(&driver.memory, driver.registers, disk_name, NULL);
}

static struct virtio_device *create_net(void)
{
	return net_create(&driver.memory, driver.registers, "user,mac=02:00:00:00:00:01", NULL);
}

static char socket_name[DISK_NAME_ROOM + 8];

static struct virtio_device *create_console(void)
{
	static char spec[sizeof(socket_name) + 16];
	const char *const specs[] = { spec, "second=/dev/null,console" };

	snprintf(socket_name, sizeof(socket_name), "%s.sock", disk_name);
	snprintf(spec, sizeof(spec), "first=unix:%s", socket_name);
	return console_create(&driver.memory, driver.registers, specs, 2, NULL);
}

static void make_disk(void)
{
	require_equal(truncate(disk_name, 1 << 20), 0);
}

static void begin(struct virtio_device *(*create)(void))
{
	make_disk();
	driver_memory();
	driver_start(create(), 0);
	virtio_register(driver.device, INSTANCE);
}

static void save(void)
{
	devices_freeze();
	require(devices_save(keep, NULL, NULL));
	expect_equal(record.instance, INSTANCE);
}

/* The device goes away, the guest's memory stays: a new one of the same kind waits to be loaded. */
static void replace(struct virtio_device *(*create)(void))
{
	virtio_stop(driver.device);
	virtio_destroy(driver.device);
	devices_forget();
	memset(driver.registers, 0, VIRTIO_MMIO_STRIDE);
	devices_set_incoming();
	driver.device = create();
	virtio_register(driver.device, INSTANCE);
	require_equal(virtio_start(driver.device), 0);
	devices_freeze();
}

static void load(void)
{
	error.words[0] = 0;
	tap_check(devices_load(&record, &error), true, "not loaded: %s", error.words);
	expect(devices_loaded(&error));
}

static void finish(void)
{
	driver_end();
	devices_forget();
}

/* ---- going on --------------------------------------------------------------------------------- */

static void rng_goes_on(void)
{
	begin(create_rng);
	put_desc(0, 0, BUFFERS, 1000, WRITE, 0);
	offer(0, 0);
	require(used_within(0, 1));
	save();
	expect(!strcmp(record.name, "virtio-rng"));
	/* Offered while it is frozen: it waits. */
	offer(0, 0);
	usleep(20000);
	expect_equal(ring_used(0)->idx, 1);
	replace(create_rng);
	load();
	expect_equal(get_register(VIRTIO_MMIO_STATUS), 3 | VIRTIO_CONFIG_S_FEATURES_OK |
		     VIRTIO_CONFIG_S_DRIVER_OK);
	expect_equal(get_register(VIRTIO_MMIO_INTERRUPT_STATUS), 1);
	usleep(20000);
	expect_equal(ring_used(0)->idx, 1);
	require(devices_thaw(&error));
	expect(used_within(0, 2));
	finish();
}

/* The interrupt that the guest has not acknowledged may have been lost on the way: it comes again. */
static void interrupt_repeated(void)
{
	uint64_t count = 0;

	begin(create_rng);
	put_desc(0, 0, BUFFERS, 1000, WRITE, 0);
	offer(0, 0);
	require(used_within(0, 1));
	save();
	replace(create_rng);
	load();
	require(devices_thaw(&error));
	expect_equal(read(driver.device->irq_fd, &count, sizeof(count)), sizeof(count));
	expect_equal(count, 1);
	/* Without a record there is nothing to repeat. */
	devices_freeze();
	require(devices_thaw(&error));
	expect(read(driver.device->irq_fd, &count, sizeof(count)) < 0);
	finish();
}

static void read_sector(uint16_t used, uint8_t expected)
{
	struct virtio_blk_outhdr *header = guest(BUFFERS);
	uint8_t *status = guest(BUFFERS + 0x100);

	*header = (struct virtio_blk_outhdr){ .type = VIRTIO_BLK_T_IN, .sector = 5 };
	*status = 0xaa;
	put_desc(0, 0, BUFFERS, sizeof(*header), NEXT, 1);
	put_desc(0, 1, BUFFERS + 0x1000, 512, NEXT | WRITE, 2);
	put_desc(0, 2, BUFFERS + 0x100, 1, WRITE, 0);
	offer(0, 0);
	require(used_within(0, used));
	expect_equal(*status, expected);
}

static void disk_goes_on(void)
{
	begin(create_disk);
	read_sector(1, 0);
	save();
	/* The old machine has its lock still: the new one may be made, but not go on. */
	struct virtio_device *old = driver.device;
	uint8_t *old_registers = driver.registers;

	driver.registers = mmap(NULL, VIRTIO_MMIO_STRIDE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	require(driver.registers != MAP_FAILED);
	devices_forget();
	devices_set_incoming();
	driver.device = create_disk();
	virtio_register(driver.device, INSTANCE);
	require_equal(virtio_start(driver.device), 0);
	devices_freeze();
	load();
	expect(!devices_thaw(&error));
	expect(strstr(error.words, "in use"));
	expect(devices_frozen());
	old->ops->yield(old);
	require(devices_thaw(&error));
	read_sector(2, 0);
	virtio_stop(old);
	virtio_destroy(old);
	munmap(old_registers, VIRTIO_MMIO_STRIDE);
	finish();
}

static void disk_of_another_size(void)
{
	begin(create_disk);
	save();
	require_equal(truncate(disk_name, 2 << 20), 0);
	replace(create_disk);
	expect(!devices_load(&record, &error));
	expect(strstr(error.words, "virtio-disk 7: field disk.sectors"));
	expect(!devices_loaded(&error));
	finish();
}

/* A read-only disk does not discard: what the driver negotiated cannot be kept. */
static struct virtio_device *create_readonly(void)
{
	char spec[DISK_NAME_ROOM + 4];

	snprintf(spec, sizeof(spec), "%s,ro", disk_name);
	return block_create(&driver.memory, driver.registers, spec, NULL);
}

static void disk_now_readonly(void)
{
	begin(create_disk);
	save();
	replace(create_readonly);
	expect(!devices_load(&record, &error));
	expect(strstr(error.words, "virtio-disk 7: field features"));
	finish();
}

static const uint8_t arp[42] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6,
	0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 2, 15, 0, 0, 0, 0, 0, 0, 10, 0, 2, 2,
};

/* An answer for which the guest has no buffer yet comes after the change. */
static void net_goes_on(void)
{
	uint8_t *answer = guest(0);

	begin(create_net);
	answer = guest(BUFFERS + 0x1000);
	memset(guest(BUFFERS), 0, 12);
	memcpy((uint8_t *)guest(BUFFERS) + 12, arp, sizeof(arp));
	put_desc(1, 0, BUFFERS, 12 + sizeof(arp), 0, 0);
	offer(1, 0);
	require(used_within(1, 1));
	save();
	replace(create_net);
	((uint8_t *)driver.registers)[VIRTIO_CONFIG] ^= 0x40;
	load();
	expect_equal(driver.registers[VIRTIO_CONFIG], 2);
	require(devices_thaw(&error));
	put_desc(0, 0, BUFFERS + 0x1000, 2000, WRITE, 0);
	offer(0, 0);
	require(used_within(0, 1));
	expect_equal(answer[12 + 21], 2);
	finish();
}

/* ---- a connection that ends at sockets of the process that the guest leaves ----------------- */

#define GUEST_PORT	4096u
#define TCP_AT		(14 + 20)
enum { FIN = 1, SYN = 2, RST = 4, PUSH = 8, ACK = 16 };

static struct virtio_device *create_open_net(void)
{
	return net_create(&driver.memory, driver.registers,
			  "user,host-loopback=on,mac=02:00:00:00:00:01", NULL);
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
}

static uint16_t checksum(const uint8_t *data, unsigned int bytes, uint32_t sum)
{
	for (unsigned int i = 0; i < bytes; i += 2)
		sum += data[i] << 8 | data[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static void send_frame(const void *frame, unsigned int bytes)
{
	uint16_t next = ring_used(1)->idx + 1;

	memset(guest(BUFFERS), 0, 12);
	memcpy((uint8_t *)guest(BUFFERS) + 12, frame, bytes);
	put_desc(1, 0, BUFFERS, 12 + bytes, 0, 0);
	offer(1, 0);
	require(used_within(1, next));
}

static const uint8_t *next_frame(void)
{
	uint16_t next = ring_used(0)->idx + 1;

	put_desc(0, 0, BUFFERS + 0x1000, 2000, WRITE, 0);
	offer(0, 0);
	require(used_within(0, next));
	return (uint8_t *)guest(BUFFERS + 0x1000) + 12;
}

static void send_segment(uint16_t from, uint16_t to, uint8_t flags, uint32_t sequence, uint32_t ack)
{
	uint8_t frame[TCP_AT + 20] = {
		0x52, 0x55, 10, 0, 2, 2, 2, 0, 0, 0, 0, 1, 8, 0,
		0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2,
		from >> 8, from, to >> 8, to, sequence >> 24, sequence >> 16, sequence >> 8, sequence,
		ack >> 24, ack >> 16, ack >> 8, ack, 0x50, flags, 0x20, 0,
	};
	uint16_t sum = checksum(frame + 14, 20, 0);

	frame[24] = sum >> 8;
	frame[25] = sum;
	sum = checksum(frame + 26, 8 + 20, 6 + 20);
	frame[TCP_AT + 16] = sum >> 8;
	frame[TCP_AT + 17] = sum;
	send_frame(frame, sizeof(frame));
}

/* The next segment for that port, with these flags; returns its sequence number. */
static uint32_t await_segment(uint16_t port, uint8_t flags)
{
	const uint8_t *frame = next_frame();

	while (frame[23] != 6 || (frame[TCP_AT + 2] << 8 | frame[TCP_AT + 3]) != port)
		frame = next_frame();
	expect_equal(frame[TCP_AT + 13] & ~PUSH, flags);
	expect_equal(checksum(frame + 14, 20, 0), 0);
	return get32(frame + TCP_AT + 4);
}

/* A connection to @server's port; returns the host's end, and what the guest waits for. */
static int connect_guest(int server, uint16_t from, uint32_t *wanted)
{
	struct sockaddr_in at;
	socklen_t bytes = sizeof(at);
	int end;

	require_equal(getsockname(server, (struct sockaddr *)&at, &bytes), 0);
	send_segment(from, ntohs(at.sin_port), SYN, 1000, 0);
	*wanted = await_segment(from, SYN | ACK) + 1;
	send_segment(from, ntohs(at.sin_port), ACK, 1001, *wanted);
	end = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	require(end >= 0);
	return end;
}

static int loopback_server(uint16_t *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t bytes = sizeof(at);
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	require(server >= 0 && !bind(server, (struct sockaddr *)&at, bytes) && !listen(server, 4));
	require(!getsockname(server, (struct sockaddr *)&at, &bytes));
	*port = ntohs(at.sin_port);
	return server;
}

/* The guest only reads: nothing that it does would tell it that its connection is lost. */
static void reader_is_reset(void)
{
	uint32_t wanted, over;
	int server, reads, ends;
	uint16_t port;

	begin(create_open_net);
	server = loopback_server(&port);
	send_frame(arp, sizeof(arp));
	reads = connect_guest(server, GUEST_PORT, &wanted);
	/* Another one has come to its end before, and is told nothing. */
	ends = connect_guest(server, GUEST_PORT + 1, &over);
	close(ends);
	expect_equal(await_segment(GUEST_PORT + 1, FIN | ACK), over);
	send_segment(GUEST_PORT + 1, port, FIN | ACK, 1001, over + 1);
	expect_equal(await_segment(GUEST_PORT + 1, ACK), over + 1);
	require_equal(write(reads, "hello", 5), 5);
	expect_equal(await_segment(GUEST_PORT, ACK), wanted);
	send_segment(GUEST_PORT, port, ACK, 1001, wanted + 5);
	/* A move that fails changes nothing. */
	save();
	require(devices_thaw(&error));
	require_equal(write(reads, "again", 5), 5);
	expect_equal(await_segment(GUEST_PORT, ACK), wanted + 5);
	save();
	replace(create_open_net);
	load();
	require(devices_thaw(&error));
	expect_equal(await_segment(GUEST_PORT, RST), wanted + 10);
	/* Nothing else was sent: the next that comes is an answer. */
	send_frame(arp, sizeof(arp));
	expect_equal(next_frame()[13], 6);
	close(reads);
	close(server);
	finish();
}

#define LARGE	(3u << 20)

/* The guest writes LARGE bytes to a console; no word occurs twice. */
static int begin_output(void)
{
	int peer;

	begin(create_console);
	peer = connect_peer(socket_name);
	for (uint32_t i = 0; i < LARGE / 4; i++)
		((uint32_t *)guest(BUFFERS))[i] = i * 2654435761u;
	put_desc(1, 0, BUFFERS, LARGE, 0, 0);
	offer(1, 0);
	return peer;
}

/* The peer, which has @first bytes of them, gets the rest. */
static void end_output(int peer, uint8_t *got, size_t first)
{
	ssize_t bytes;

	while (first < LARGE && (bytes = recv(peer, got + first, LARGE - first, 0)) > 0)
		first += bytes;
	expect_equal(first, LARGE);
	expect(!memcmp(got, guest(BUFFERS), LARGE));
	expect(used_within(1, 1));
	close(peer);
	finish();
}

/* The next machine writes the rest of a buffer: no byte twice, none lost. */
static void console_goes_on(void)
{
	static uint8_t got[LARGE + 1];
	size_t first = 0;
	ssize_t bytes;
	int peer;

	peer = begin_output();
	require_equal(poll(&(struct pollfd){ .fd = peer, .events = POLLIN }, 1, PATIENCE_MS), 1);
	usleep(50000);
	expect_equal(ring_used(1)->idx, 0);
	save();
	while ((bytes = recv(peer, got + first, LARGE - first, MSG_DONTWAIT)) > 0)
		first += bytes;
	expect(first && first < LARGE);
	close(peer);
	replace(create_console);
	load();
	require(devices_thaw(&error));
	usleep(20000);
	peer = connect_peer(socket_name);
	end_output(peer, got, first);
}

/* While it is yielded another process may listen there; taken meanwhile, it cannot go on. */
static void console_yields(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int other, peer;

	begin(create_console);
	save();
	/* Its thread polls nothing any more: what is closed is closed. */
	expect(driver.device->parked);
	devices_yield();
	expect(access(socket_name, F_OK));
	other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strcpy(address.sun_path, socket_name);
	require_equal(bind(other, (struct sockaddr *)&address, sizeof(address)), 0);
	require_equal(listen(other, 1), 0);
	expect(!devices_thaw(&error));
	expect(strstr(error.words, "port first: "));
	expect(devices_frozen());
	unlink(socket_name);
	close(other);
	require(devices_thaw(&error));
	peer = connect_peer(socket_name);
	close(peer);
	finish();
	expect(access(socket_name, F_OK));
}

/* A disk that was cut meanwhile is not gone on with, and not kept from others. */
static void disk_cut_meanwhile(void)
{
	begin(create_disk);
	save();
	devices_yield();
	require_equal(truncate(disk_name, 4096), 0);
	expect(!devices_thaw(&error));
	expect(strstr(error.words, "has become shorter"));
	require_equal(truncate(disk_name, 1 << 20), 0);
	require(devices_thaw(&error));
	read_sector(1, 0);
	finish();
}

/* The machine goes on after it was frozen. */
static void console_thaws(void)
{
	static uint8_t got[LARGE + 1];
	int peer;

	peer = begin_output();
	usleep(20000);
	for (int i = 0; i < 3; i++) {
		devices_freeze();
		devices_yield();
		usleep(1000);
		require(devices_thaw(&error));
		usleep(1000);
	}
	end_output(peer, got, 0);
}

/* ---- records that are not right ------------------------------------------------------------------- */

static struct virtio_device *(*const creators[])(void) = {
	create_rng, create_disk, create_net, create_console,
};
#define NR_CREATORS	(sizeof(creators) / sizeof(creators[0]))

static void round_trip(void)
{
	static uint8_t before[RECORD_ROOM];

	for (unsigned int i = 0; i < NR_CREATORS; i++) {
		size_t bytes;

		begin(creators[i]);
		save();
		bytes = record.bytes;
		memcpy(before, record_data, bytes);
		replace(creators[i]);
		load();
		require(devices_save(keep, NULL, NULL));
		expect_equal(record.bytes, bytes);
		expect(!memcmp(before, record_data, bytes));
		finish();
	}
}

static void refused(const char *words)
{
	error.words[0] = 0;
	expect(!devices_load(&record, &error));
	tap_check(strstr(error.words, words), false, "\"%s\" has no \"%s\"", error.words, words);
	expect_equal(get_register(VIRTIO_MMIO_STATUS), 0);
	expect_equal(driver.device->queues[0].ready, 0);
}

static void cut_off(void)
{
	for (unsigned int i = 0; i < NR_CREATORS; i++) {
		size_t bytes;

		begin(creators[i]);
		save();
		bytes = record.bytes;
		replace(creators[i]);
		for (record.bytes = 0; record.bytes < bytes; record.bytes++)
			refused("virtio-");
		record.bytes = bytes + 1;
		refused("follow");
		record.bytes = bytes;
		record.version++;
		refused("version");
		record.version--;
		record.instance++;
		refused("no such device");
		record.instance--;
		record.name = "toaster";
		refused("toaster 7: there is no such device");
		record.name = record_name;
		load();
		/* A record is taken once only. */
		expect(!devices_load(&record, &error));
		expect(strstr(error.words, "second record"));
		finish();
	}
}

/* Sets a number of the record; @nth of those of that name. */
static void set_field(const char *field, unsigned int nth, uint64_t value)
{
	char name[STATE_NAME_MAX + 1];
	const void *at_value;
	unsigned int kind;
	size_t at = 0, next, bytes;

	while ((next = state_next(&record, at, name, &kind, &at_value, &bytes))) {
		if (!strcmp(name, field) && kind == STATE_NUMBER && !nth--) {
			memcpy(record_data + next - bytes, &value, bytes);
			return;
		}
		at = next;
	}
	tap_check(false, true, "there is no field %s", field);
}

static void wrong_values(void)
{
	static const struct {
		const char *field;
		uint64_t value;
	} wrong[] = {
		{ "features", ~0ull }, { "negotiated", 1ull << 60 }, { "negotiated", 0 },
		{ "status", 0x100 }, { "status", 4 }, { "interrupt_status", 4 },
		{ "queues", 2 }, { "queues", 1000000 },
		{ "queue.size", 0 }, { "queue.size", 3 }, { "queue.size", 1 << 20 },
		{ "queue.ready", 2 }, { "queue.event_idx", 0 },
		{ "queue.desc", GUEST_BYTES }, { "queue.desc", 8 }, { "queue.avail", ~1ull },
		{ "queue.used", VIRTIO_MMIO_BASE },
	};
	static uint8_t good[RECORD_ROOM];

	begin(create_rng);
	save();
	memcpy(good, record_data, record.bytes);
	replace(create_rng);
	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		memcpy(record_data, good, record.bytes);
		set_field(wrong[i].field, 0, wrong[i].value);
		refused("virtio-rng 7: field ");
	}
	memcpy(record_data, good, record.bytes);
	load();
	finish();
}

/* A byte anywhere; half the time one of a value, which gets further. */
static void mutate(void)
{
	char name[STATE_NAME_MAX + 1];
	size_t at = 0, next, bytes, field = random() % 24;
	const void *value;
	unsigned int kind;

	if (random() % 2) {
		record_data[random() % record.bytes] = random() >> 8;
		return;
	}
	while ((next = state_next(&record, at, name, &kind, &value, &bytes)) && field--)
		at = next;
	if (next && bytes)
		record_data[next - 1 - random() % bytes] = random() >> 8;
}

/* With any accepted record the device serves its rings, or breaks, and does no harm. */
static void mutated(void)
{
	static uint8_t good[RECORD_ROOM];
	unsigned int taken = 0, told = 0;

	srandom(20260102);
	for (unsigned int i = 0; i < NR_CREATORS; i++) {
		size_t bytes;

		begin(creators[i]);
		save();
		bytes = record.bytes;
		memcpy(good, record_data, bytes);
		replace(creators[i]);
		for (unsigned int round = 0; round < MUTATIONS; round++) {
			memcpy(record_data, good, bytes);
			mutate();
			error.words[0] = 0;
			if (!devices_load(&record, &error)) {
				told += !!strstr(error.words, "virtio-");
				continue;
			}
			taken++;
			require(devices_thaw(&error));
			for (unsigned int queue = 0; queue < 4; queue++)
				set_register(VIRTIO_MMIO_QUEUE_NOTIFY, queue);
			replace(creators[i]);
		}
		finish();
	}
	expect_equal(taken + told, NR_CREATORS * MUTATIONS);
	printf("# %u taken, %u refused\n", taken, told);
	expect(taken > 500);
	expect(told > 500);
}

const struct test_table state_tests = TEST_TABLE(
	{ "a saved rng goes on", rng_goes_on },
	{ "an interrupt under way is repeated", interrupt_repeated },
	{ "a saved disk goes on once it can be locked", disk_goes_on },
	{ "a disk that was cut meanwhile is not gone on with", disk_cut_meanwhile },
	{ "a port's socket is given away and taken back", console_yields },
	{ "a disk of another size is refused", disk_of_another_size },
	{ "a disk that is read-only now is refused", disk_now_readonly },
	{ "a frame that waits for the guest is saved", net_goes_on },
	{ "a connection that only reads is reset by a move", reader_is_reset },
	{ "output that a port holds is saved, no byte lost or doubled", console_goes_on },
	{ "output that a port holds survives freezing", console_thaws },
	{ "saving what was loaded gives the same record", round_trip },
	{ "records cut off, of another version, of unknown devices are refused", cut_off },
	{ "wrong values are refused by name", wrong_values },
	{ "records with changed bytes do no harm", mutated }
);
