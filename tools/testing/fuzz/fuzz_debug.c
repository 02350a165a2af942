// SPDX-License-Identifier: GPL-2.0-only
/*
 * A debugger's packets. The first byte of an input chooses the processor's mode; then comes a row of
 * pieces, each up to a byte 0x1c: a byte says what happens, and the rest is a packet, which gets its
 * frame here, or raw bytes. The processors do not run: they stop when a piece says so.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* Its client and its loop are its own. */
#include "debug/server.c"
#include "world.h"

#define NEXT		0x1c
#define RAW		0x01	/* no frame, no checksum */
#define UNREAD		0x02	/* the client does not take its answers */
#define STOPS		0x04	/* a processor meets a breakpoint, or has made its step */
#define LEAVES		0x08	/* the client vanishes */
#define REFUSED		0x10	/* the module takes no state */
#define VCPUS		2u
#define MEMORY		(1u << 20)
#define TABLES		0x10000u
#define PAGE		4096u
#define MOST		(8u << 10)	/* of a piece; a packet's bound is below */

int __wrap_ioctl(int fd, unsigned long request, void *argument);

static struct vm vm;
static struct gondola_run run;
static struct gondola_rec_regs regs;
static struct gondola_rec_sregs sregs;
static uint8_t fpu[832];
static bool refused, ready;
static int client = -1;

/* The module: processors whose registers are what was set last. */
static int get_state(struct gondola_state *state)
{
	size_t used = 0;
	void *to = (void *)(uintptr_t)state->buffer;

	used = gondola_put_record(to, state->bytes, used, GONDOLA_REC_REGS, &regs, sizeof(regs));
	used = gondola_put_record(to, state->bytes, used, GONDOLA_REC_SREGS, &sregs, sizeof(sregs));
	used = gondola_put_record(to, state->bytes, used, GONDOLA_REC_FPU, fpu, sizeof(fpu));
	state->bytes = used;
	return 0;
}

static int set_state(const struct gondola_state *state)
{
	const void *from = (const void *)(uintptr_t)state->buffer, *record;

	if (refused) {
		errno = EINVAL;
		return -1;
	}
	record = gondola_find_record(from, state->bytes, GONDOLA_REC_REGS, sizeof(regs));
	if (record)
		memcpy(&regs, record, sizeof(regs));
	record = gondola_find_record(from, state->bytes, GONDOLA_REC_SREGS, sizeof(sregs));
	if (record)
		memcpy(&sregs, record, sizeof(sregs));
	record = gondola_find_record(from, state->bytes, GONDOLA_REC_FPU, sizeof(fpu));
	if (record)
		memcpy(fpu, record, sizeof(fpu));
	return 0;
}

int __wrap_ioctl(int fd, unsigned long request, void *argument)
{
	(void)fd;
	if (request == GONDOLA_GET_STATE)
		return get_state(argument);
	return request == GONDOLA_SET_STATE ? set_state(argument) : 0;
}

static void prepare(void)
{
	if (memory_create_bare(&vm.memory, MEMORY, false))
		abort();
	strcpy(vm.name, "vm");
	vm.memory.vm_fd = -1;
	vm.fd = -1;
	vm.end_vcpu = -1;
	vm.nr_vcpus = VCPUS;
	for (unsigned int i = 0; i < VCPUS; i++)
		vm.vcpus[i] = (struct vcpu){ .vm = &vm, .id = i, .fd = -1, .run = &run };
	pthread_mutex_init(&vm.devices, NULL);
	pthread_mutex_init(&vm.end_lock, NULL);
	pause_init(&vm.pause);
	loop_init(&vm.loop);
	debug_add_commands(&vm);
	ready = true;
	world_ready();
}

/* Its tables map 2 MiB; memory is the first half of it. */
static void reset(bool wide)
{
	uint64_t *tables = memory_at(&vm.memory, TABLES, 3 * PAGE);

	memset(memory_at(&vm.memory, 0, MEMORY), 0, MEMORY);
	tables[0] = (TABLES + PAGE) | 3;
	tables[512] = (TABLES + 2 * PAGE) | 3;
	tables[1024] = 0x83;
	regs = (struct gondola_rec_regs){ .rip = 0x1000, .rflags = 2 };
	sregs = (struct gondola_rec_sregs){ .cr0 = 0x11 };
	memset(fpu, 0, sizeof(fpu));
	if (wide) {
		sregs.cr0 = 0x80000011;
		sregs.cr3 = TABLES;
		sregs.cr4 = 0x20;
		sregs.efer = 0x500;
	}
	refused = false;
	vm.end = VM_RUNNING;
}

static void drop_client(void)
{
	if (client >= 0)
		close(client);
	client = -1;
	world_rest(&server.loop);
}

static void connect_client(void)
{
	const char *code, *words;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		abort();
	client = pair[0];
	__atomic_fetch_add(&vm.debuggers, 1, __ATOMIC_RELEASE);
	if (!attach(&vm, pair[1], &code, &words))
		abort();
}

static void hear(void)
{
	static char answers[1 << 16];

	while (recv(client, answers, sizeof(answers), MSG_DONTWAIT) > 0)
		;
}

static void send_piece(const uint8_t *text, size_t bytes, bool raw)
{
	static uint8_t framed[MOST + 4];
	uint8_t sum = 0;
	size_t used = 0;

	if (bytes > MOST)
		bytes = MOST;
	for (size_t i = 0; i < bytes; i++)
		sum += text[i];
	if (!raw)
		framed[used++] = '$';
	memcpy(framed + used, text, bytes);
	used += bytes;
	if (!raw) {
		framed[used++] = '#';
		framed[used++] = "0123456789abcdef"[sum >> 4];
		framed[used++] = "0123456789abcdef"[sum & 15];
	}
	if (send(client, framed, used, MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != EAGAIN)
		abort();
	world_rest(&server.loop);
}

static void piece(uint8_t how, const uint8_t *text, size_t bytes)
{
	bool (*stopped)(struct vcpu *vcpu, uint32_t why) = vm.stopped;

	refused = how & REFUSED;
	if (!server.session) {
		drop_client();
		connect_client();
	}
	if (how & STOPS && stopped) {
		run.debug.dr6 = how >> 5;
		stopped(&vm.vcpus[how >> 5 & 1], how & 0x80 ? GONDOLA_DEBUG_HARDWARE :
			how & 0x40 ? GONDOLA_DEBUG_BREAKPOINTS : 0);
		world_rest(&server.loop);
	}
	if (bytes && server.session)
		send_piece(text, bytes, how & RAW);
	if (!(how & UNREAD))
		hear();
	if (how & LEAVES)
		drop_client();
}

static void handle(void *argument)
{
	struct input *input = argument;

	reset(input_take(input, 1) & 1);
	while (input->at < input->end) {
		uint8_t how = input_take(input, 1);
		const uint8_t *end = input->at < input->end ?
			memchr(input->at, NEXT, input->end - input->at) : NULL;
		const uint8_t *text = input->at;

		input->at = end ?: input->end;
		piece(how, text, input->at - text);
		input->at += !!end;
	}
}

static unsigned int count_sources(void)
{
	unsigned int sources = 0;

	for (unsigned int i = 0; i < server.loop.room; i++)
		sources += server.loop.sources[i].fd >= 0;
	return sources;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static unsigned int nr_sources;
	struct input input = { data, data + bytes };

	if (!ready) {
		prepare();
		nr_sources = count_sources();
	}
	/* No packet is a reason for the launcher to give up. */
	if (!world_try(handle, &input))
		abort();
	drop_client();
	/* A client that is gone leaves nothing: the guest runs, and it may move. */
	if (server.session || vm.debuggers || vm.pause.reasons || vm.stopped ||
	    count_sources() != nr_sources)
		abort();
	return 0;
}

void world_make_seeds(void)
{
	static const char session[] =
		"\001\000qSupported:multiprocess+\034\000QStartNoAckMode\034\000qXfer:features:read:target.xml:0,7fb\034"
		"\000?\034\000qfThreadInfo\034\000qsThreadInfo\034\000Hg1\034\000g\034\000p10\034\000m1000,40\034"
		"\000Z0,1000,1\034\000Z1,2000,1\034\000Z2,3000,8\034\000c\034\104\034\000vCont;s:1;c\034\004\034"
		"\000z0,1000,1\034\000M1000,4:90909090\034\000P10=0010000000000000\034\000qRcmd,68656c70\034"
		"\001\003\034\000vCont;c:-1\034\001\003\034\000D";

	world_seed("session", session[0], session + 1, sizeof(session) - 2);
}
