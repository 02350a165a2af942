// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "inspect.h"
#include "map.h"
#include "shadows.h"
#include "show.h"
#include "walk.h"
#include "control/control.h"
#include "vm/vm.h"

/* More than a vCPU's records with the largest XSAVE area. */
#define STATE_MAX	65536

struct state {
	_Alignas(8) char buffer[STATE_MAX];
	uint64_t used;
};

static bool get_state(struct control_request *request, int fd, struct state *state)
{
	int ret;

	state->used = sizeof(state->buffer);
	ret = __gondola_get_state(fd, state->buffer, &state->used);
	if (ret < 0)
		control_fail(request, "failed", "the state cannot be read: %s", strerror(-ret));
	return !ret;
}

/* The module always has each of these records; else it is an unknown module. */
static const void *find(struct control_request *request, const void *buffer, uint64_t used,
			uint32_t type, uint32_t bytes)
{
	const void *found = gondola_find_record(buffer, used, type, bytes);

	if (!found && !request->failed)
		control_fail(request, "failed", "the state has no record %u", type);
	return found;
}

static const void *record(struct control_request *request, const struct state *state,
			  uint32_t type, uint32_t bytes)
{
	return find(request, state->buffer, state->used, type, bytes);
}

static void on_registers(struct control_request *request, struct vcpu *vcpu, struct state *state)
{
	const struct gondola_rec_regs *regs;
	const struct gondola_rec_sregs *sregs;
	const struct gondola_rec_debug *debug;
	const struct gondola_rec_events *events;

	if (!get_state(request, vcpu->fd, state))
		return;
	regs = record(request, state, GONDOLA_REC_REGS, sizeof(*regs));
	sregs = record(request, state, GONDOLA_REC_SREGS, sizeof(*sregs));
	debug = record(request, state, GONDOLA_REC_DEBUG, sizeof(*debug));
	events = record(request, state, GONDOLA_REC_EVENTS, sizeof(*events));
	if (!request->failed)
		show_registers(request->out, regs, sregs, debug, events);
}

static void on_walk(struct control_request *request, struct vcpu *vcpu, struct state *state)
{
	const char *text = control_string(request, "address", "");
	const struct gondola_rec_sregs *sregs;
	struct gondola_shadow shadow;
	struct walk_cpu cpu;
	struct walk walk;
	uint64_t address;
	char *end;
	int ret;

	if (request->failed)
		return;
	errno = 0;
	address = strtoull(text, &end, 0);
	if (!isdigit((unsigned char)text[0]) || *end || errno) {
		control_fail(request, "bad-argument",
			     "inspect: \"address\" is not a number such as \"0xffff888000000000\"");
		return;
	}
	if (!get_state(request, vcpu->fd, state))
		return;
	sregs = record(request, state, GONDOLA_REC_SREGS, sizeof(*sregs));
	if (!sregs)
		return;
	walk_find_cpu(request->vm->cpuid, request->vm->nr_cpuid, &cpu);
	walk_tables(&request->vm->memory, sregs, &cpu, address, &walk);
	show_walk(request->out, &walk);
	ret = __gondola_get_shadow(vcpu->fd, address,
				   walk.result == WALK_MAPPED ? walk.gpa : UINT64_MAX, &shadow);
	if (!ret)
		show_shadow(request->out, &walk, &shadow);
	/* A module of an earlier version does not tell. */
	else if (ret != -ENOTTY)
		control_fail(request, "failed", "the shadow tables cannot be read: %s",
			     strerror(-ret));
}

/* What a VM has is not bounded by what a vCPU has. */
static void show_vm(struct control_request *request)
{
	const struct gondola_rec_ioapic *ioapic;
	const struct gondola_rec_pic *pic;
	const struct gondola_rec_pit *pit;
	uint64_t bytes;
	void *records;
	int ret = __gondola_read_state(request->vm->fd, &records, &bytes);

	if (ret) {
		control_fail(request, "failed", "the state cannot be read: %s", strerror(-ret));
		return;
	}
	ioapic = find(request, records, bytes, GONDOLA_REC_IOAPIC, sizeof(*ioapic));
	pic = find(request, records, bytes, GONDOLA_REC_PIC, sizeof(*pic));
	pit = find(request, records, bytes, GONDOLA_REC_PIT, sizeof(*pit));
	if (!request->failed)
		show_chips(request->out, ioapic, pic, pit);
	free(records);
}

static void on_interrupts(struct control_request *request, struct vcpu *vcpu, struct state *state)
{
	const struct gondola_rec_lapic *lapic;

	if (!get_state(request, vcpu->fd, state))
		return;
	lapic = record(request, state, GONDOLA_REC_LAPIC, sizeof(*lapic));
	if (!lapic)
		return;
	json_object_object_add(request->out, "lapic", show_lapic(lapic));
	show_vm(request);
}

static void on_history(struct control_request *request, struct vcpu *vcpu, struct state *state)
{
	struct gondola_history_entry *entries = (void *)state->buffer;
	uint32_t count = GONDOLA_HISTORY_LEN;
	uint64_t total;
	int ret;

	_Static_assert(sizeof(state->buffer) >= GONDOLA_HISTORY_LEN * sizeof(*entries), "room");
	ret = __gondola_get_history(vcpu->fd, entries, &count, &total);
	if (ret < 0)
		control_fail(request, "failed", "the history cannot be read: %s", strerror(-ret));
	else
		show_history(request->out, entries, count, total);
}

/* Of the VM, whatever vCPU is named. */
static void on_map(struct control_request *request, struct vcpu *vcpu, struct state *state)
{
	struct map *map = malloc(sizeof(*map));
	int ret = map ? map_make(&vcpu->vm->memory, map) : -ENOMEM;

	(void)state;
	if (ret)
		control_fail(request, "failed", "the kernel does not tell where the guest's memory is: %s",
			     strerror(-ret));
	else
		show_map(request->out, &vcpu->vm->memory, map);
	free(map);
}

static void on_shadows(struct control_request *request, struct vcpu *vcpu, struct state *state)
{
	struct gondola_shadows shadows;
	int ret = __gondola_get_shadows(vcpu->vm->memory.vm_fd, &shadows);

	(void)state;
	if (ret < 0)
		control_fail(request, "failed", "the shadow tables cannot be counted: %s", strerror(-ret));
	else
		show_shadows(request->out, &shadows);
}

static const struct subject {
	const char *what;
	void (*run)(struct control_request *request, struct vcpu *vcpu, struct state *state);
} subjects[] = {
	{ "registers", on_registers },
	{ "walk", on_walk },
	{ "interrupts", on_interrupts },
	{ "history", on_history },
	{ "map", on_map },
	{ "shadows", on_shadows },
};

static const struct subject *find_subject(struct control_request *request)
{
	const char *what = control_string(request, "what", "registers");

	for (size_t i = 0; what && i < sizeof(subjects) / sizeof(subjects[0]); i++)
		if (!strcmp(subjects[i].what, what))
			return &subjects[i];
	return NULL;
}

/*
 * Runs in a thread of its own.  The guest and its clocks are stopped for a few system calls, which
 * the guest does not notice.  The state stays "running", so subscribers get no event.
 */
static void look(struct control_request *request)
{
	const struct subject *subject = find_subject(request);
	struct vm *vm = request->vm;
	int64_t vcpu = control_number(request, "vcpu", 0, 0, vm->nr_vcpus - 1);
	struct state *state = calloc(1, sizeof(*state));

	if (!state) {
		control_fail(request, "failed", "out of memory");
		return;
	}
	json_object_object_add(request->out, "vcpu", json_object_new_int64(vcpu));
	vm_pause(vm, PAUSE_INSPECT);
	subject->run(request, &vm->vcpus[vcpu], state);
	vm_unpause(vm, PAUSE_INSPECT);
	free(state);
}

static void on_inspect(struct control_request *request)
{
	const struct subject *subject = find_subject(request);
	struct vm *vm = request->vm;

	control_number(request, "vcpu", 0, 0, vm->nr_vcpus - 1);
	if (request->failed)
		return;
	if (!subject) {
		control_fail(request, "bad-argument",
			     "inspect: \"what\" is registers, walk, interrupts, history, map or shadows");
		return;
	}
	/* Touching a missing page would block the launcher until the page arrives. */
	if (__atomic_load_n(&vm->memory.absent, __ATOMIC_ACQUIRE)) {
		control_fail(request, "busy", "%s still receives its memory from another host",
			     vm->name);
		return;
	}
	control_aside(request, LANE_VCPUS, look);
}

void inspect_add_commands(void)
{
	control_add("inspect", on_inspect);
}
