// SPDX-License-Identifier: GPL-2.0-only
/* The guest's half of Xen's store and rings, as right or wrong as wanted. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "device/device.h"
#include "device/state.h"
#include "device/xen/xen.h"
#include "tests/virtio/driver.h"
#include "vm/console.h"
#include "vm/vm.h"

#define STORE_PAGE	0x8000u
#define CONSOLE_PAGE	0x9000u
#define GRANTS		0x3f0000u	/* the monitor's pages begin here */
#define GRANT_BYTES	0x1000u
#define STORE_PORT	2u
#define DISK_PORT	7u
#define RING_PAGE	0x20000u
#define DATA_PAGE	0x30000u
#define DISK_BYTES	(64u << 10)
#define FRONT		"device/vbd/51712/"
#define BACK		"/local/domain/0/backend/vbd/1/51712/"
#define NONSENSE	20000

enum { DIRECTORY = 1, READ = 2, WATCH = 4, UNWATCH, START, END, WRITE_NODE = 11, RM = 13, EVENT = 15, ERROR };

struct rings {
	char in[1024];
	char out[1024];
	uint32_t in_read, in_written, out_read, out_written;
};

struct message {
	uint32_t type, request, transaction, bytes;
	char data[4097];
};

char disk_name[DISK_NAME_ROOM];
static struct vm vm;
static unsigned int raised[16];
static struct message got;

/* ---- what the parts around them would do ---- */

int __wrap___gondola_xen_raise(int fd, uint32_t port);
int __wrap___gondola_xen_raise(int fd, uint32_t port)
{
	(void)fd;
	__atomic_fetch_add(&raised[port % 16], 1, __ATOMIC_SEQ_CST);
	return 0;
}

struct virtio_device *virtio_device_at(const struct vm *of, unsigned int slot)
{
	(void)of;
	return slot ? NULL : driver.device;
}

void vm_end(struct vm *of, enum vm_end_kind kind, const char *format, ...)
{
	(void)format;
	of->end = kind;
}

void console_connect(struct console *console, const struct console_guest *of, void *device)
{
	(void)console;
	(void)of;
	(void)device;
}

void console_put(struct console *console, char c)
{
	(void)console;
	(void)c;
}

bool console_room(struct console *console)
{
	(void)console;
	return true;
}

void console_more(struct console *console)
{
	(void)console;
}

static loop_fn timer;
static void *timer_argument;
static bool timer_runs;

int loop_timer(struct loop *loop, loop_fn call, void *argument)
{
	(void)loop;
	timer = call;
	timer_argument = argument;
	return 0;
}

void loop_timer_set(int fd, unsigned long long first_ns, unsigned long long period_ns)
{
	(void)fd;
	(void)period_ns;
	timer_runs = first_ns;
}

void loop_timer_ack(int fd)
{
	(void)fd;
	timer_runs = false;
}

/* ---- the guest's half of the store ---- */

static struct rings *ring(void)
{
	return guest(STORE_PAGE);
}

static void push(const void *data, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (ring()->in_written - ring()->in_read == 1024)
			vm.on_xen(&vm, GONDOLA_XEN_EVENT, STORE_PORT, NULL);
		ring()->in[ring()->in_written++ % 1024] = ((const char *)data)[i];
	}
}

static void event(uint32_t port)
{
	vm.on_xen(&vm, GONDOLA_XEN_EVENT, port, NULL);
}

static void pull(void *data, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (ring()->out_read == ring()->out_written)
			event(STORE_PORT);
		require(ring()->out_read != ring()->out_written);
		((char *)data)[i] = ring()->out[ring()->out_read++ % 1024];
	}
}

/* The next message, into @got. */
static void receive(void)
{
	pull(&got, 16);
	require(got.bytes <= 4096);
	pull(got.data, got.bytes);
	got.data[got.bytes] = 0;
}

static bool is_quiet(void)
{
	event(STORE_PORT);
	return ring()->out_read == ring()->out_written;
}

static void ask(uint32_t type, uint32_t transaction, const void *data, uint32_t bytes)
{
	const uint32_t header[] = { type, 42, transaction, bytes };

	push(header, sizeof(header));
	push(data, bytes);
	event(STORE_PORT);
	receive();
}

/* A node, or a path and another string: the answer is @wanted, or an error of that name. */
static void answers(uint32_t type, uint32_t transaction, const char *path, const char *value, const char *wanted)
{
	char data[2100];
	size_t bytes = strlen(path) + 1;

	strcpy(data, path);
	if (value) {
		strcpy(data + bytes, value);
		bytes += strlen(value) + (type != WRITE_NODE);
	}
	ask(type, transaction, data, bytes);
	tap_check(!strcmp(got.data, wanted), false, "%s: \"%s\" and not \"%s\"", path, got.data, wanted);
	expect_equal(got.type == ERROR, wanted[0] == 'E');
	expect_equal(got.request, 42);
}

static void is_event(const char *path, const char *token)
{
	receive();
	expect_equal(got.type, EVENT);
	tap_check(!strcmp(got.data, path), false, "an event of \"%s\" and not of \"%s\"", got.data, path);
	expect(!strcmp(got.data + strlen(got.data) + 1, token));
}

static void boot(bool readonly)
{
	const struct xen_pages pages = {
		.console = CONSOLE_PAGE, .store = STORE_PAGE, .console_port = 1, .store_port = STORE_PORT,
		.grants = GRANTS, .grant_bytes = GRANT_BYTES, .frames = GRANTS >> 12, .cpus = 2,
	};
	static const uint8_t data[DISK_BYTES] = { 1, 2, 3 };
	char spec[64];
	int fd = open(disk_name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	require(fd >= 0);
	require_equal(write(fd, data, sizeof(data)), sizeof(data));
	close(fd);
	driver_memory();
	memset(&vm, 0, sizeof(vm));
	pthread_mutex_init(&vm.devices, NULL);
	memset(raised, 0, sizeof(raised));
	vm.memory = driver.memory;
	snprintf(spec, sizeof(spec), "%s%s", disk_name, readonly ? ",ro" : "");
	driver.device = block_create(&driver.memory, driver.registers, spec, NULL);
	require(driver.device);
	xen_create(&vm, NULL, &pages);
	xen_add_devices(&vm);
	require_equal(virtio_start(driver.device), 0);
}

static void end(void)
{
	driver_end();
	xen_destroy();
	devices_forget();
}

static void nodes(void)
{
	boot(false);
	answers(READ, 0, "domid", NULL, "1");
	answers(READ, 0, "/local/domain/1/cpu/1/availability", NULL, "online");
	answers(READ, 0, "cpu/2/availability", NULL, "ENOENT");
	answers(WRITE_NODE, 0, "data/deep/node", "value", "OK");
	answers(READ, 0, "data/deep/node", NULL, "value");
	answers(DIRECTORY, 0, "data", NULL, "deep");
	answers(RM, 0, "data", NULL, "OK");
	answers(READ, 0, "data/deep/node", NULL, "ENOENT");
	/* What it is told, it cannot change; and paths are paths. */
	answers(WRITE_NODE, 0, BACK "sectors", "1", "EACCES");
	answers(RM, 0, "/local/domain/1", NULL, "EACCES");
	answers(READ, 0, "data//node", NULL, "EINVAL");
	answers(READ, 0, "data/", NULL, "EINVAL");
	answers(99, 0, "data", NULL, "ENOSYS");
	ask(READ, 0, "no end", 6);
	expect(!strcmp(got.data, "EINVAL"));
	end();
}

static void watches_tell(void)
{
	boot(false);
	/* Each begins with an event, and is one. */
	answers(WATCH, 0, "data", "mine", "OK");
	is_event("data", "mine");
	answers(WATCH, 0, "data", "mine", "EEXIST");
	answers(WATCH, 0, "/local/domain/1/data/node", "whole", "OK");
	is_event("/local/domain/1/data/node", "whole");
	ask(WRITE_NODE, 0, "data/node\0x", 11);
	expect_equal(got.type, EVENT);
	receive();
	expect_equal(got.type, EVENT);
	receive();
	expect(!strcmp(got.data, "OK"));
	/* Who watches below hears of a removal, too. */
	ask(RM, 0, "data", 5);
	expect_equal(got.type, EVENT);
	is_event("/local/domain/1/data/node", "whole");
	receive();
	expect(!strcmp(got.data, "OK"));
	answers(UNWATCH, 0, "data", "mine", "OK");
	answers(UNWATCH, 0, "data", "mine", "ENOENT");
	answers(WRITE_NODE, 0, "data/other", "1", "OK");
	expect(is_quiet());
	end();
}

static void transactions(void)
{
	uint32_t one;

	boot(false);
	ask(START, 0, "", 1);
	one = strtoul(got.data, NULL, 10);
	require(one);
	answers(WRITE_NODE, one, "data/a", "1", "OK");
	answers(READ, one, "data/a", NULL, "1");
	answers(READ, 0, "data/a", NULL, "ENOENT");
	answers(END, one, "T", NULL, "OK");
	answers(READ, 0, "data/a", NULL, "1");
	answers(END, one, "T", NULL, "ENOENT");
	/* One that is given up, and one that somebody else overtook. */
	ask(START, 0, "", 1);
	one = strtoul(got.data, NULL, 10);
	answers(WRITE_NODE, one, "data/a", "2", "OK");
	answers(END, one, "F", NULL, "OK");
	answers(READ, 0, "data/a", NULL, "1");
	ask(START, 0, "", 1);
	one = strtoul(got.data, NULL, 10);
	answers(WRITE_NODE, one, "data/a", "2", "OK");
	answers(WRITE_NODE, 0, "data/b", "1", "OK");
	answers(END, one, "T", NULL, "EAGAIN");
	answers(READ, 0, "data/a", NULL, "1");
	for (unsigned int i = 0; i < 4; i++)
		ask(START, 0, "", 1);
	answers(START, 0, "", NULL, "ENOSPC");
	end();
}

static void bounds(void)
{
	const uint32_t huge[] = { READ, 1, 0, 4097 };
	char path[32], data[4096];
	unsigned int made = 0;

	boot(false);
	for (; made < 2000; made++) {
		size_t bytes = snprintf(path, sizeof(path), "data/%u", made) + 1;

		ask(WRITE_NODE, 0, path, bytes);
		if (got.type == ERROR)
			break;
	}
	expect(made > 500 && made < 1024);
	expect(!strcmp(got.data, "ENOSPC"));
	memset(data, 'x', sizeof(data));
	strcpy(data, "data/0");
	ask(WRITE_NODE, 0, data, sizeof(data));
	expect(!strcmp(got.data, "ENOSPC"));
	answers(RM, 0, "data", NULL, "OK");
	for (unsigned int i = 0; i < 128; i++) {
		size_t bytes = snprintf(path, sizeof(path), "w/%u%cmine", i, 0) + 1;

		ask(WATCH, 0, path, bytes);
		expect_equal(got.type, WATCH);
		receive();
	}
	answers(WATCH, 0, "w", "mine", "ENOSPC");
	/* From here on it is not served. */
	push(huge, sizeof(huge));
	event(STORE_PORT);
	push("1234567890123456", 16);
	expect(is_quiet());
	end();
}

static void nonsense_to_store(void)
{
	boot(false);
	srand(1);
	for (unsigned int i = 0; i < NONSENSE; i++) {
		const char *const words[] = { "data", "/", "@x", "device/vbd/51712/state", "T", "3", "", "a/b/c" };
		uint32_t header[] = { rand() % 24, rand(), rand() % 8 ? 0 : rand() % 6, rand() % 40 };
		char data[40];

		for (unsigned int at = 0; at < sizeof(data); at++)
			data[at] = rand() % 3 ? rand() % 128 : 0;
		if (rand() % 4)
			strcpy(data, words[rand() % 8]);
		push(header, sizeof(header));
		push(data, header[3]);
		event(STORE_PORT);
		ring()->out_read = ring()->out_written;
		event(STORE_PORT);
		ring()->out_read = ring()->out_written;
	}
	answers(READ, 0, "domid", NULL, "1");
	ring()->in_written += 5000;
	event(STORE_PORT);
	expect(is_quiet());
	end();
}

/* ---- a disk ---- */

struct disk_request {
	uint8_t op, segments;
	uint16_t handle;
	uint32_t pad;
	uint64_t id, sector;
	struct { uint32_t grant; uint8_t first, last; uint16_t pad; } segment[11];
};

static void grant(unsigned int number, uint16_t flags, uint32_t frame)
{
	uint8_t *entry = guest(GRANTS + number * 8);

	*(uint16_t *)entry = flags;
	*(uint16_t *)(entry + 2) = 0;
	*(uint32_t *)(entry + 4) = frame;
}

static void write_node(const char *path, const char *value)
{
	char data[200];
	size_t bytes = strlen(path) + 1;

	strcpy(data, path);
	strcpy(data + bytes, value);
	ask(WRITE_NODE, 0, data, bytes + strlen(value));
	expect_equal(got.type, WRITE_NODE);
}

static void connect_disk(void)
{
	grant(8, 1, RING_PAGE >> 12);
	grant(9, 1, DATA_PAGE >> 12);
	write_node(FRONT "ring-ref", "8");
	write_node(FRONT "event-channel", "7");
	write_node(FRONT "protocol", "x86_64-abi");
	write_node(FRONT "state", "3");
	answers(READ, 0, BACK "state", NULL, "4");
}

/* Its status; -100: no answer within the time. */
static int disk_request(uint8_t op, uint8_t segments, uint32_t number, uint64_t sector)
{
	volatile uint32_t *counters = guest(RING_PAGE);
	uint32_t before = counters[2];
	struct disk_request *request = guest(RING_PAGE + 64 + counters[0] % 32 * 112);

	memset(request, 0, sizeof(*request));
	request->op = op;
	request->segments = segments;
	request->id = 0x1234567800000000 + counters[0];
	request->sector = sector;
	for (unsigned int i = 0; i < segments && i < 11; i++) {
		request->segment[i].grant = number;
		request->segment[i].first = 1;
		request->segment[i].last = 2;
	}
	__atomic_store_n(&counters[0], counters[0] + 1, __ATOMIC_RELEASE);
	event(DISK_PORT);
	for (unsigned int ms = 0; ms < PATIENCE_MS; ms++) {
		if (__atomic_load_n(&counters[2], __ATOMIC_ACQUIRE) == before + 1) {
			uint8_t *answer = guest(RING_PAGE + 64 + before % 32 * 112);

			expect_equal(*(uint64_t *)answer, 0x1234567800000000 + before);
			expect_equal(answer[8], op);
			return *(int16_t *)(answer + 10);
		}
		usleep(1000);
	}
	return -100;
}

static void disk(void)
{
	uint8_t *data;
	unsigned int before;

	boot(false);
	data = guest(DATA_PAGE);
	answers(READ, 0, BACK "state", NULL, "2");
	answers(READ, 0, BACK "sectors", NULL, "128");
	answers(READ, 0, BACK "dev", NULL, "xvda");
	connect_disk();
	expect_equal(disk_request(0, 1, 9, 0), 0);
	expect(data[512] == 1 && data[513] == 2 && data[514] == 3 && !data[0]);
	before = raised[DISK_PORT];
	memset(data + 512, 7, 1024);
	expect_equal(disk_request(1, 1, 9, 4), 0);
	memset(data, 0, 4096);
	expect_equal(disk_request(0, 1, 9, 4), 0);
	expect(data[512] == 7 && data[512 + 1023] == 7 && !data[512 + 1024]);
	expect(raised[DISK_PORT] > before);
	expect_equal(disk_request(3, 0, 9, 0), 0);
	expect_equal(disk_request(5, 0, 9, 0), -2);	/* of no sectors */
	/* More than the ring has entries, and on. */
	for (unsigned int i = 0; i < 70; i++)
		expect_equal(disk_request(0, 1, 9, i), 0);
	end();
}

static void disk_errors(void)
{
	boot(false);
	connect_disk();
	expect_equal(disk_request(0, 1, 9, 127), -1);	/* beyond its end */
	expect_equal(disk_request(0, 0, 9, 0), -1);
	expect_equal(disk_request(0, 12, 9, 0), -1);
	expect_equal(disk_request(0, 1, 10, 0), -1);	/* not granted */
	expect_equal(disk_request(0, 1, 100000, 0), -1);
	grant(10, 1 | 4, DATA_PAGE >> 12);		/* to be read only */
	expect_equal(disk_request(0, 1, 10, 0), -1);
	expect_equal(disk_request(1, 1, 10, 0), 0);
	grant(11, 1, GRANTS >> 12);			/* the monitor's */
	expect_equal(disk_request(1, 1, 11, 0), -1);
	grant(12, 1, 0xffffffff);
	expect_equal(disk_request(1, 1, 12, 0), -1);
	expect_equal(disk_request(2, 0, 9, 0), -2);	/* a barrier: it was not offered */
	expect_equal(disk_request(200, 0, 9, 0), -2);
	expect_equal(disk_request(0, 1, 9, 0), 0);
	*(volatile uint32_t *)guest(RING_PAGE) += 40;
	event(DISK_PORT);
	expect(broken_within());
	end();
}

static void disk_comes_and_goes(void)
{
	boot(true);
	write_node(FRONT "state", "3");			/* without anything else */
	answers(READ, 0, BACK "state", NULL, "5");
	answers(READ, 0, BACK "info", NULL, "4");
	write_node(FRONT "ring-ref", "8");
	write_node(FRONT "event-channel", "7");
	write_node(FRONT "state", "3");			/* not granted */
	answers(READ, 0, BACK "state", NULL, "5");
	write_node(FRONT "state", "1");
	answers(READ, 0, BACK "state", NULL, "2");
	connect_disk();
	expect_equal(disk_request(0, 1, 9, 0), 0);
	expect_equal(disk_request(1, 1, 9, 0), -1);
	write_node(FRONT "state", "5");
	answers(READ, 0, BACK "state", NULL, "5");
	write_node(FRONT "state", "6");
	answers(READ, 0, BACK "state", NULL, "6");
	memset(guest(RING_PAGE), 0, 4096);
	write_node(FRONT "state", "1");
	connect_disk();
	expect_equal(disk_request(0, 1, 9, 0), 0);
	end();
}

static void stops(void)
{
	boot(false);
	expect(!xen_power_button(&vm));
	answers(WATCH, 0, "control/shutdown", "s", "OK");
	is_event("control/shutdown", "s");
	expect(xen_power_button(&vm));
	is_event("control/shutdown", "s");
	answers(READ, 0, "control/shutdown", NULL, "poweroff");
	end();
}

/* ---- saved state ---- */

static struct device_record saved;

static bool keep(void *argument, const struct device_record *record)
{
	(void)argument;
	saved = *record;
	saved.data = malloc(record->bytes);
	require(saved.data);
	memcpy((void *)(uintptr_t)saved.data, record->data, record->bytes);
	return true;
}

/* A guest is yet to come, to the same memory. */
static void make_incoming(void)
{
	xen_destroy();
	devices_forget();
	xen_create(&vm, NULL, NULL);
	xen_add_devices(&vm);
	devices_freeze();
}

static bool load(const void *data, size_t bytes, struct error *error)
{
	struct device_record record = saved;

	make_incoming();
	record.data = data;
	record.bytes = bytes;
	return devices_load(&record, error);
}

static void prepare_to_save(void)
{
	const uint32_t half[] = { READ, 42, 0, 6 };

	boot(false);
	answers(WRITE_NODE, 0, "data/kept", "value", "OK");
	answers(WATCH, 0, "data", "token", "OK");
	is_event("data", "token");
	ask(START, 0, "", 1);
	answers(WRITE_NODE, 1, "data/inside", "transaction", "OK");
	push(half, sizeof(half));
	event(STORE_PORT);
	devices_freeze();
	require(devices_save(keep, NULL, NULL));
}

static void goes_on(void)
{
	struct error error = { .words = "" };

	prepare_to_save();
	tap_check(load(saved.data, saved.bytes, &error), true, "not loaded: %s", error.words);
	expect(devices_loaded(&error));
	/* The guest was just about to say so. */
	push("domid", 6);
	require(devices_thaw(&error));
	require(timer_runs);
	timer(timer_argument, 0, 0);
	receive();
	expect(!strcmp(got.data, "1"));
	answers(READ, 0, "data/kept", NULL, "value");
	answers(READ, 0, "data/inside", NULL, "ENOENT");
	answers(END, 1, "T", NULL, "OK");
	is_event("data/inside", "token");
	answers(READ, 0, "data/inside", NULL, "transaction");
	free((void *)(uintptr_t)saved.data);
	end();
}

/* What is cut off is refused, what is changed is refused or taken, and the store lives on. */
static void wild_state(void)
{
	struct error error;
	uint8_t *copy;
	size_t step;

	prepare_to_save();
	copy = malloc(saved.bytes);
	require(copy);
	step = saved.bytes / 300 + 1;
	for (size_t bytes = 0; bytes < saved.bytes; bytes += step)
		expect(!load(saved.data, bytes, &error));
	srand(1);
	for (unsigned int i = 0; i < 2000; i++) {
		memcpy(copy, saved.data, saved.bytes);
		for (int n = rand() % 3; n >= 0; n--)
			copy[rand() % saved.bytes] = rand();
		load(copy, saved.bytes, &error);
		xen_power_button(&vm);
	}
	expect(load(saved.data, saved.bytes, &error));
	free(copy);
	free((void *)(uintptr_t)saved.data);
	end();
}

/* Linux has room for 16 disks in its old numbers. */
static void disk_numbers(void)
{
	static const struct { unsigned int number, id; const char *name; } known[] = {
		{ 0, 51712, "xvda" }, { 15, 51952, "xvdp" }, { 16, 0x10001000, "xvdq" }, { 26, 0x10001a00, "xvdaa" },
		{ 31, 0x10001f00, "xvdaf" },
	};
	char name[XEN_DISK_NAME];

	for (unsigned int i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		expect_equal(xen_disk_number(known[i].number, name), known[i].id);
		expect(!strcmp(name, known[i].name));
	}
}

int main(void)
{
	static const struct tap_test tests[] = {
		{ "nodes are read, written, listed and removed, where they may be", nodes },
		{ "watches tell of nodes below and above", watches_tell },
		{ "transactions: ended, given up, overtaken", transactions },
		{ "nodes, watches and messages have a bound", bounds },
		{ "20,000 nonsense messages", nonsense_to_store },
		{ "a disk by its ring", disk },
		{ "bad requests get errors, a bad ring ends the disk", disk_errors },
		{ "a driver that comes, goes and comes again", disk_comes_and_goes },
		{ "the guest is asked to power off", stops },
		{ "a store goes on from its saved state", goes_on },
		{ "2,300 wrong states of a store", wild_state },
		{ "more disks than Linux's old numbers have room for", disk_numbers },
	};
	int status;

	snprintf(disk_name, sizeof(disk_name), "/tmp/xen-test-%d", (int)getpid());
	status = tap_run(tests, sizeof(tests) / sizeof(tests[0]));
	unlink(disk_name);
	return status;
}
