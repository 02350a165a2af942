// SPDX-License-Identifier: GPL-2.0-only
/*
 * A breakpoint is an INT3 in guest memory.  It is removed from the physical address where it was
 * set, even if the guest's tables have changed.
 */
#include <errno.h>
#include <pthread.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "stops.h"
#include "target.h"
#include "vm/vm.h"

#define INT3	0xcc

struct breakpoint {
	uint64_t address;
	uint64_t gpa;
	uint8_t was;
	bool set;
};

/* A debug register; @bytes is 0 if it is free. */
struct watch {
	enum stops_kind kind;
	uint64_t address;
	unsigned int bytes;
};

/**
 * struct stops - the debugger of the process' VM, for vCPUs that stop
 * @lock: for @fd, @any, @vcpu, @why, @dr6, which vCPUs' threads write
 * @fd: an eventfd, or -1: there is no debugger
 * @any: a vCPU has stopped: @vcpu, because of @why
 * @passing: stepping over the guest's own INT3
 */
static struct stops {
	pthread_mutex_t lock;
	struct vm *vm;
	struct loop *loop;
	int fd;
	bool any;
	unsigned int vcpu;
	uint32_t why;
	uint32_t dr6;
	bool passing;
	unsigned int nr_breakpoints;
	struct breakpoint breakpoints[STOPS_BREAKPOINTS];
	struct watch watches[STOPS_HARDWARE];
	void (*stopped)(const struct stop *stop);
} stops = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1 };

static bool on_stopped(struct vcpu *vcpu, uint32_t why)
{
	const uint64_t one = 1;
	bool debugged;

	pthread_mutex_lock(&stops.lock);
	debugged = stops.fd >= 0 && (why || vcpu->stepped);
	if (debugged) {
		vm_pause_begin(vcpu->vm, PAUSE_DEBUG);
		if (!stops.any) {
			stops.any = true;
			stops.vcpu = vcpu->id;
			stops.why = why;
			stops.dr6 = why == GONDOLA_DEBUG_HARDWARE ? vcpu->run->debug.dr6 : 0;
		}
		/* It does not matter if the eventfd is full. */
		if (write(stops.fd, &one, sizeof(one)) < 0)
			debugged = true;
	}
	pthread_mutex_unlock(&stops.lock);
	return debugged;
}

static struct breakpoint *find(uint64_t address)
{
	for (unsigned int i = 0; i < STOPS_BREAKPOINTS; i++)
		if (stops.breakpoints[i].set && stops.breakpoints[i].address == address)
			return &stops.breakpoints[i];
	return NULL;
}

/* Has the guest its own INT3 there? */
static bool is_guests(unsigned int vcpu)
{
	struct registers registers;

	return target_get(stops.vm, vcpu, &registers) &&
	       !find(registers.regs.rip + registers.sregs.seg[GONDOLA_CS].base);
}

/* Fill in the debug registers, which are the same for all vCPUs. */
static void fill_hardware(struct gondola_debug *debug)
{
	/* LEN of 1, 2, 4 and 8 bytes. */
	static const uint64_t lengths[] = { [1] = 0, [2] = 1, [4] = 3, [8] = 2 };

	for (unsigned int i = 0; i < STOPS_HARDWARE; i++) {
		const struct watch *watch = &stops.watches[i];

		if (!watch->bytes)
			continue;
		debug->flags |= GONDOLA_DEBUG_HARDWARE;
		debug->dr[i] = watch->address;
		debug->dr7 |= 1ull << 2 * i;
		debug->dr7 |= (lengths[watch->bytes] << 2 | watch->kind) << (16 + 4 * i);
	}
}

static void let_run(unsigned int only, bool step)
{
	struct vm *vm = stops.vm;

	pthread_mutex_lock(&stops.lock);
	stops.any = false;
	pthread_mutex_unlock(&stops.lock);
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		struct gondola_debug debug = { .flags = 0 };
		bool stepped = step && i == only;

		/* In a step over the guest's own INT3 the guest gets its exception. */
		if (stops.nr_breakpoints && !(stepped && stops.passing))
			debug.flags |= GONDOLA_DEBUG_BREAKPOINTS;
		if (stepped)
			debug.flags |= GONDOLA_DEBUG_STEP;
		fill_hardware(&debug);
		vm->vcpus[i].stepped = stepped;
		vm->vcpus[i].held = step && i != only;
		/* The module took the same values before (stops_watch()), and all vCPUs are alike. */
		if (__gondola_set_debug(vm->vcpus[i].fd, &debug))
			vm_end(vm, VM_ERROR, "vCPU %u cannot be debugged", i);
	}
	vm_unpause(vm, PAUSE_DEBUG);
}

static void find_watch(uint32_t dr6, struct stop *stop)
{
	for (unsigned int i = 0; i < STOPS_HARDWARE; i++)
		if (dr6 & 1u << i && stops.watches[i].bytes) {
			stop->kind = stops.watches[i].kind;
			stop->address = stops.watches[i].address;
			return;
		}
}

static void on_event(void *argument, int fd, short events)
{
	struct stop stop = { .why = 0 };
	uint64_t count;
	uint32_t dr6;
	bool any;

	(void)argument;
	(void)events;
	/* A source that was removed in this round of the loop may still be called once. */
	if (fd != stops.fd || read(fd, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&stops.lock);
	any = stops.any;
	stop.vcpu = stops.vcpu;
	stop.why = stops.why;
	dr6 = stops.dr6;
	stops.any = false;
	pthread_mutex_unlock(&stops.lock);
	if (!any)
		return;
	vm_pause(stops.vm, PAUSE_DEBUG);
	if (stops.passing) {
		stops.passing = false;
		stops_continue();
	} else if (stop.why == GONDOLA_DEBUG_BREAKPOINTS && is_guests(stop.vcpu)) {
		stops.passing = true;
		let_run(stop.vcpu, true);
	} else {
		find_watch(dr6, &stop);
		stops.stopped(&stop);
	}
}

bool stops_open(struct vm *vm, struct loop *loop, void (*stopped)(const struct stop *stop))
{
	const struct gondola_debug none = { .flags = 0 };
	int fd;

	if (__gondola_set_debug(vm->vcpus[0].fd, &none))
		return false;
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return false;
	pthread_mutex_lock(&stops.lock);
	stops.vm = vm;
	stops.loop = loop;
	stops.fd = fd;
	stops.any = false;
	stops.stopped = stopped;
	pthread_mutex_unlock(&stops.lock);
	loop_add(loop, fd, POLLIN, on_event, NULL);
	__atomic_store_n(&vm->stopped, on_stopped, __ATOMIC_RELEASE);
	return true;
}

static void take_away(struct breakpoint *breakpoint)
{
	uint8_t *at = memory_at(&stops.vm->memory, breakpoint->gpa, 1);

	/* The guest may have overwritten it. */
	if (at && *at == INT3) {
		*at = breakpoint->was;
		memory_mark_dirty(&stops.vm->memory, 0, breakpoint->gpa, 1);
	}
	breakpoint->set = false;
	stops.nr_breakpoints--;
}

void stops_close(void)
{
	struct vm *vm = stops.vm;

	vm_pause(vm, PAUSE_DEBUG);
	for (unsigned int i = 0; i < STOPS_BREAKPOINTS; i++)
		if (stops.breakpoints[i].set)
			take_away(&stops.breakpoints[i]);
	memset(stops.watches, 0, sizeof(stops.watches));
	stops.passing = false;
	__atomic_store_n(&vm->stopped, NULL, __ATOMIC_RELEASE);
	loop_remove(stops.loop, stops.fd);
	pthread_mutex_lock(&stops.lock);
	close(stops.fd);
	stops.fd = -1;
	pthread_mutex_unlock(&stops.lock);
	let_run(0, false);
}

bool stops_insert(unsigned int vcpu, uint64_t address)
{
	struct breakpoint *breakpoint = stops.breakpoints;
	uint8_t *at;

	if (find(address))
		return true;
	while (breakpoint < stops.breakpoints + STOPS_BREAKPOINTS && breakpoint->set)
		breakpoint++;
	if (breakpoint == stops.breakpoints + STOPS_BREAKPOINTS ||
	    !target_translate(stops.vm, vcpu, address, &breakpoint->gpa))
		return false;
	at = memory_at(&stops.vm->memory, breakpoint->gpa, 1);
	if (!at)
		return false;
	breakpoint->address = address;
	breakpoint->was = *at;
	breakpoint->set = true;
	*at = INT3;
	memory_mark_dirty(&stops.vm->memory, 0, breakpoint->gpa, 1);
	stops.nr_breakpoints++;
	return true;
}

bool stops_remove(uint64_t address)
{
	struct breakpoint *breakpoint = find(address);

	if (breakpoint)
		take_away(breakpoint);
	return breakpoint;
}

static struct watch *find_same(enum stops_kind kind, uint64_t address, unsigned int bytes)
{
	for (unsigned int i = 0; i < STOPS_HARDWARE; i++) {
		struct watch *watch = &stops.watches[i];

		if (watch->bytes == bytes &&
		    (!bytes || (watch->kind == kind && watch->address == address)))
			return watch;
	}
	return NULL;
}

int stops_watch(enum stops_kind kind, uint64_t address, unsigned int bytes)
{
	struct gondola_debug debug = { .flags = 0 };
	struct watch *watch;
	int ret;

	if ((bytes != 1 && bytes != 2 && bytes != 4 && bytes != 8) || address % bytes ||
	    (kind == STOPS_EXECUTE && bytes != 1))
		return -EINVAL;
	if (find_same(kind, address, bytes))
		return 0;
	watch = find_same(kind, address, 0);
	if (!watch)
		return -ENOSPC;
	*watch = (struct watch){ .kind = kind, .address = address, .bytes = bytes };
	fill_hardware(&debug);
	ret = __gondola_set_debug(stops.vm->vcpus[0].fd, &debug);
	if (ret)
		watch->bytes = 0;
	return ret;
}

bool stops_unwatch(enum stops_kind kind, uint64_t address, unsigned int bytes)
{
	struct watch *watch = bytes ? find_same(kind, address, bytes) : NULL;

	if (watch)
		watch->bytes = 0;
	return watch;
}

void stops_continue(void)
{
	let_run(0, false);
}

void stops_step(unsigned int vcpu)
{
	let_run(vcpu, true);
}

void stops_pause(void)
{
	vm_pause(stops.vm, PAUSE_DEBUG);
	stops.passing = false;
	pthread_mutex_lock(&stops.lock);
	stops.any = false;
	pthread_mutex_unlock(&stops.lock);
}
