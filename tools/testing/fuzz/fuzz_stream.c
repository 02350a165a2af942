// SPDX-License-Identifier: GPL-2.0-only
/*
 * A stream from a stranger: as the source of a migration, as a saved file, or as what a target
 * answers. An input is a byte that says which, and the stream. It can ask for its checksums and
 * numbers to be made right: chance does not find those. The machine is whole but for the module,
 * which takes every call, and for processors; threads run where they are made.
 */
#include <errno.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "base/wait.h"
#include "cmd/cmd.h"
#include "cmd/incoming.h"
#include "cmd/launch.h"
#include "control/control.h"
#include "device/device.h"
#include "device/state.h"
#include "device/virtio/balloon_device.h"
#include "device/virtio/devices.h"
#include "migrate/commands.h"
#include "migrate/source.h"
#include "migrate/suspend.h"
#include "migrate/target.h"
#include "vm/features.h"
#include "vm/vm.h"
#include "world.h"

#define MEMORY		(2ull << 20)
#define LOW		(1ull << 20)	/* the other half lies at MEMORY_HIGH */
#define GUARD		(1ull << 20)
#define STREAM_MOST	(1u << 20)
#define WIRE_FD		"fd:1000"	/* of the connection */
#define WIRE_COPY	1001
#define LINKS		3u		/* that a user brings, at most */
#define TSC_KHZ		1000000

enum kind { RECEIVE, RESUME, ANSWERS, KINDS };
#define KIND		3
#define SEAL		4
#define OWN		8	/* there is a configuration of this VM here */

static struct vm vm;
static uint8_t *base;
static _Alignas(4096) uint8_t registers[2][4096];
static uint8_t stream[STREAM_MOST];
static struct input input;
static const uint8_t *link_began;
static unsigned int depth, nr_links;
/* The bytes that a sender writes while seeds are made. */
static uint8_t *sent;
static size_t nr_sent;

/* ---- the system as it is here -------------------------------------------------------------- */

int __wrap_ioctl(int fd, unsigned long request, void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			  void *(*fn)(void *), void *argument);
int __wrap_pthread_join(pthread_t thread, void **result);
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
				  const struct timespec *until);
/* A target waits here for a user with another link, or for the end: it gets the same link. */
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
	struct target *target = target_here();

	(void)condition;
	(void)mutex;
	if (target && nr_links < LINKS) {
		nr_links++;
		target->recover_fd = dup(WIRE_COPY);
		target->recover_asked = true;
	} else {
		vm_end(&vm, VM_STOPPED, "nobody comes");
	}
	return 0;
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
				  const struct timespec *until)
{
	(void)until;
	return __wrap_pthread_cond_wait(condition, mutex);
}

ssize_t __wrap_recv(int fd, void *data, size_t bytes, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
void __wrap_sandbox_thread(int kind);
int __wrap_chdir(const char *path);

static void get_state(struct gondola_state *state)
{
	struct gondola_rec_clock clock = { .tsc = 1, .tsc_khz = TSC_KHZ, .host_ns = 1 };

	state->bytes = gondola_put_record((void *)(uintptr_t)state->buffer, state->bytes, 0,
					  GONDOLA_REC_CLOCK, &clock, sizeof(clock));
}

/* Reads all, as the module does, and refuses some. */
static int set_state(struct gondola_state *state)
{
	const struct gondola_record *record = (const void *)(uintptr_t)state->buffer;
	unsigned int sum = 0;

	for (uint64_t i = 0; i < state->bytes; i++)
		sum += ((const uint8_t *)record)[i];
	if (state->bytes < sizeof(*record) || sum % 7)
		return 0;
	state->bad_record = record->type;
	state->bad_field = sum;
	errno = EINVAL;
	return -1;
}

int __wrap_ioctl(int fd, unsigned long request, void *argument)
{
	const struct uffdio_copy *copy = argument;

	(void)fd;
	switch (request) {
	case GONDOLA_GET_STATE:
		get_state(argument);
		break;
	case GONDOLA_SET_STATE:
		return set_state(argument);
	case UFFDIO_COPY:
		memcpy((void *)copy->dst, (const void *)copy->src, copy->len);
		break;
	case UFFDIO_ZEROPAGE:
		memset((void *)((struct uffdio_zeropage *)argument)->range.start, 0,
		       ((struct uffdio_zeropage *)argument)->range.len);
		break;
	}
	return 0;
}

/* One in another's place would wait for it for ever: that one is left out. */
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			  void *(*fn)(void *), void *argument)
{
	(void)attributes;
	*thread = pthread_self();
	if (!depth++)
		fn(argument);
	depth--;
	return 0;
}

int __wrap_pthread_join(pthread_t thread, void **result)
{
	(void)thread;
	(void)result;
	return 0;
}

ssize_t __wrap_recv(int fd, void *data, size_t bytes, int flags)
{
	size_t left = input.end - input.at;

	(void)fd;
	(void)flags;
	/* Where another stream begins the link ends. */
	if (left >= 8 && input.at != link_began && !memcmp(input.at, STREAM_MAGIC, 8)) {
		link_began = input.at;
		return 0;
	}
	bytes = bytes < left ? bytes : left;
	memcpy(data, input.at, bytes);
	input.at += bytes;
	/* The end of the input ends the VM: there is no other connection to wait for. */
	if (!bytes)
		vm_end(&vm, VM_STOPPED, "the input is over");
	return bytes;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
	size_t bytes = 0;

	(void)fd;
	(void)flags;
	for (size_t i = 0; i < message->msg_iovlen; i++) {
		const struct iovec *part = &message->msg_iov[i];

		if (sent)
			memcpy(sent + nr_sent, part->iov_base, part->iov_len);
		else if (memchr(part->iov_base, 0x100, part->iov_len))
			bytes++;	/* it is read, for the address sanitizer, and not found */
		nr_sent += sent ? part->iov_len : 0;
		bytes += part->iov_len;
	}
	return bytes;
}

void __wrap_sandbox_thread(int kind)
{
	(void)kind;
}

/* The fuzzer's files are where they were. */
int __wrap_chdir(const char *path)
{
	(void)path;
	return 0;
}

/* ---- numbers made right ---------------------------------------------------------------------- */

static uint64_t count_zero(const uint8_t *payload, uint32_t bytes)
{
	struct stream_range range;
	uint64_t pages = 0;

	for (uint32_t at = 0; at + sizeof(range) <= bytes; at += sizeof(range)) {
		memcpy(&range, payload + at, sizeof(range));
		pages += range.pages;
	}
	return pages;
}

static void seal_record(struct stream_record_header *header, uint8_t *payload,
			struct stream_end *counts)
{
	struct stream_pages pages;

	header->sequence = counts->records;
	if (!(header->flags & STREAM_RECORD_ZSTD))
		header->bytes = header->stored;
	if (header->type == STREAM_PAGES && header->stored >= sizeof(pages)) {
		memcpy(&pages, payload, sizeof(pages));
		counts->pages += pages.count;
	} else if (header->type == STREAM_ZERO) {
		counts->zero_pages += count_zero(payload, header->stored);
	} else if (header->type == STREAM_END && header->stored == sizeof(*counts)) {
		memcpy(payload, counts, sizeof(*counts));
	}
	counts->records++;
	header->payload_checksum = crc32_z(0, payload, header->stored);
	header->checksum = crc32_z(0, (void *)header, offsetof(typeof(*header), checksum));
}

static void seal_first(uint8_t *data)
{
	struct stream_header first;

	memcpy(&first, data, sizeof(first));
	first.checksum = crc32_z(0, (void *)&first, offsetof(typeof(first), checksum));
	memcpy(data, &first, sizeof(first));
}

/* Another link has a stream of its own, behind the first. */
static void seal(uint8_t *data, size_t bytes)
{
	struct stream_record_header header;
	struct stream_end counts = { 0 };
	size_t at = 0;

	while (bytes - at >= sizeof(header)) {
		uint8_t *payload = data + at + sizeof(header);

		_Static_assert(sizeof(header) == sizeof(struct stream_header), "both end alike");
		if (!at || !memcmp(data + at, STREAM_MAGIC, 8)) {
			seal_first(data + at);
			memset(&counts, 0, sizeof(counts));
			at += sizeof(struct stream_header);
			continue;
		}
		memcpy(&header, data + at, sizeof(header));
		if (header.stored > bytes - at - sizeof(header))
			header.stored = bytes - at - sizeof(header);
		seal_record(&header, payload, &counts);
		memcpy(data + at, &header, sizeof(header));
		at += sizeof(header) + header.stored;
	}
}

/* ---- the machine ------------------------------------------------------------------------------ */

static const char config_text[] =
	"{\"format\":1,\"name\":\"vm\",\"directory\":\"/\",\"arguments\":[\"--mem\",\"2M\",\"--cpus\",\"2\",\"--engine\",\"svm\",\"--pv\",\"on\",\"--console\",\"stdio\",\"--rng\",\"--balloon\"],\"memory\":2097152,\"vcpus\":2,\"paused\":false}";

static void prepare(void)
{
	int ends[2];

	base = mmap(NULL, MEMORY + GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		    -1, 0);
	if (base == MAP_FAILED || mprotect(base, MEMORY, PROT_READ | PROT_WRITE) ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		abort();
	/* Closed at the other end: who polls it is told so at once. */
	dup2(ends[0], WIRE_COPY);
	close(ends[0]);
	close(ends[1]);
}

static void make_machine(bool incoming)
{
	memset(&vm, 0, sizeof(vm));
	memset(registers, 0, sizeof(registers));
	vm.memory = (struct guest_memory){ .base = base, .bytes = MEMORY, .low = LOW, .vm_fd = -1 };
	strcpy(vm.name, "vm");
	vm.fd = -1;
	vm.nr_vcpus = 2;
	for (uint32_t i = 0; i < vm.nr_vcpus; i++)
		vm.vcpus[i] = (struct vcpu){ .vm = &vm, .id = i, .fd = -1 };
	vm.end_vcpu = -1;
	vm.config = json_tokener_parse(config_text);
	vm.nr_cpuid = 1;
	pthread_mutex_init(&vm.devices, NULL);
	pthread_mutex_init(&vm.end_lock, NULL);
	pause_init(&vm.pause);
	loop_init(&vm.loop);
	devices_forget();
	if (incoming)
		devices_set_incoming();
	rtc_create(&vm);
	acpi_pm_create(&vm);
	i8042_create(&vm);
	virtio_register(rng_create(&vm.memory, registers[0], NULL), 0);
	virtio_register(balloon_create(&vm.memory, registers[1], false, NULL), 1);
	if (!incoming)
		return;
	devices_freeze();
	/* Of processors there is none to stop. */
	vm.pause.reasons = 1u << PAUSE_START;
}

static bool make_options(struct machine_config *config, bool own)
{
	static struct run_options run;
	static struct gondola_cpuid_entry none[1];
	struct error error;
	bool fits;

	memset(&run, 0, sizeof(run));
	fits = incoming_make(&run, &command_receive, config->json,
			     own ? json_tokener_parse(config_text) : NULL, false, "vm", NULL,
			     &error);
	launch_config_of(&run);
	features_missing(config->cpuid, config->nr_cpuid, none, 1, false, error.words,
			 sizeof(error.words));
	return fits;
}

/* ---- the three --------------------------------------------------------------------------------- */

static void receive(bool own)
{
	static struct target target;
	struct error error;

	if (!target_listen(&target, WIRE_FD, &error) || !target_accept(&target, &error))
		return;
	if (!make_options(&target.config, own)) {
		target_refuse(&target, "it does not fit");
		return;
	}
	make_machine(true);
	target.uffd = eventfd(0, EFD_CLOEXEC);
	if (target_begin(&vm, &target, &error))
		target_join(&target);
}

static void resume(bool own)
{
	static struct resume resume;
	struct error error;

	memset(&resume, 0, sizeof(resume));
	if (!resume_open(&resume, world_file(input.at, input.end - input.at), &error))
		return;
	if (!make_options(&resume.config, own))
		return;
	make_machine(true);
	resume_begin(&vm, &resume, &error);
}

static void hear_answers(void)
{
	static struct source source;

	make_machine(false);
	source = (struct source){
		.vm = &vm, .link.transport.fd = -1, .recover_fd = -1,
		.options = { .address = WIRE_FD, .fd = 1000, .zero = true, .delta = true,
			     .cache = 1 << 16, .limits = { .downtime_ns = 1000000000, .rounds = 2 } },
	};
	pthread_mutex_init(&source.lock, NULL);
	wait_init(&source.changed);
	depth++;
	source_run(&source);
	depth--;
}

static void handle(void *argument)
{
	uint8_t how = *(uint8_t *)argument;

	switch ((how & KIND) % KINDS) {
	case RECEIVE:
		receive(how & OWN);
		break;
	case RESUME:
		resume(how & OWN);
		break;
	default:
		hear_answers();
	}
	/* As the end of the process: nothing of it is left. */
	exit(0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	uint8_t how;

	if (!base) {
		prepare();
		world_ready();
	}
	if (!bytes || bytes > sizeof(stream))
		return 0;
	how = *data;
	memcpy(stream, data + 1, bytes - 1);
	if (how & SEAL)
		seal(stream, bytes - 1);
	input = (struct input){ stream, stream + bytes - 1 };
	link_began = stream;
	dup2(WIRE_COPY, 1000);
	depth = 0;
	nr_links = 0;
	world_try(handle, &how);
	madvise(base, MEMORY, MADV_DONTNEED);
	world_forget();
	return 0;
}

/* ---- seeds --------------------------------------------------------------------------------------- */

static void begin_seed(struct link *link, uint64_t features)
{
	memset(link, 0, sizeof(*link));
	link->transport.fd = 1000;
	nr_sent = 0;
	link_start(link, features, 0);
}

static void put_memory(struct link *link)
{
	struct error error;

	memset(base + 0x5000, 0x55, 100);
	memset(base + LOW + 0x3000, 0x77, 4096);
	if (machine_put_memory(&vm, &link->out, NULL, NULL, &error))
		abort();
}

static void put_state(struct link *link)
{
	struct error error;

	devices_freeze();
	if (machine_put_state(&vm, &link->out, &error))
		abort();
}

/* The link is lost on the way, and there is another. */
static void seed_postcopy(struct link *link)
{
	struct wire_recover recover = { .protocol = WIRE_PROTOCOL };

	stream_put_whole(&link->out, 4 * 4096, base);
	link_flush(link);
	memset(link, 0, sizeof(*link));
	link->transport.fd = 1000;
	link_start(link, STREAM_FEATURE_DELTA, 0);
	link_put(link, WIRE_RECOVER, &recover, sizeof(recover));
	for (uint64_t page = 5; page < 8; page++)
		stream_put_whole(&link->out, page * 4096, base);
	link_flush(link);
	link_put(link, WIRE_POSTED, NULL, 0);
}

static void seed_source(struct link *link, bool postcopy)
{
	struct wire_hello hello = { .protocol = WIRE_PROTOCOL, .memory = MEMORY, .tsc_khz = TSC_KHZ };
	struct wire_round round = { .phase = 1, .round = 1 };
	struct { struct wire_missing head; uint8_t bits[64]; } missing = {
		{ 0, MEMORY / 4096 }, { 0xf0 } };
	struct error error;
	uint64_t ping = 7;

	begin_seed(link, STREAM_FEATURE_DELTA);
	machine_put_config(&vm, &link->out, &error);
	link_put(link, WIRE_HELLO, &hello, sizeof(hello));
	link_put(link, WIRE_PING, &ping, sizeof(ping));
	put_memory(link);
	link_put(link, WIRE_ROUND, &round, sizeof(round));
	stream_put_delta(&link->out, 0x5000, "\0\0\1\0x", 5);
	if (postcopy)
		link_put(link, WIRE_MISSING, &missing, sizeof(missing));
	put_state(link);
	link_put(link, WIRE_PREPARE, NULL, 0);
	link_put(link, WIRE_COMMIT, NULL, 0);
	if (postcopy)
		seed_postcopy(link);
	link_put(link, WIRE_BYE, NULL, 0);
}

static void seed_file(struct link *link)
{
	struct error error;

	begin_seed(link, 0);
	machine_put_config(&vm, &link->out, &error);
	put_memory(link);
	put_state(link);
	stream_end(&link->out);
}

static void seed_answers(struct link *link)
{
	struct wire_ready ready = { .protocol = WIRE_PROTOCOL, .load_ns = 5, .absent_ns = 5 };
	struct wire_time loaded = { 5 };

	begin_seed(link, 0);
	link_put(link, WIRE_READY, &ready, sizeof(ready));
	for (uint64_t i = 0; i < 3; i++)
		link_put(link, WIRE_PONG, &i, sizeof(i));
	link_put(link, WIRE_PREPARED, &loaded, sizeof(loaded));
	link_put(link, WIRE_COMMITTED, NULL, 0);
}

void world_make_seeds(void)
{
	struct link link;

	sent = calloc(1, STREAM_MOST);
	prepare();
	make_machine(false);
	seed_source(&link, false);
	world_seed("receive", RECEIVE | SEAL, sent, nr_sent);
	world_seed("receive-own", RECEIVE | SEAL | OWN, sent, nr_sent);
	seed_source(&link, true);
	world_seed("receive-postcopy", RECEIVE | SEAL, sent, nr_sent);
	seed_file(&link);
	world_seed("resume", RESUME | SEAL, sent, nr_sent);
	world_seed("resume-own", RESUME | OWN, sent, nr_sent);
	seed_answers(&link);
	world_seed("answers", ANSWERS | SEAL, sent, nr_sent);
}
