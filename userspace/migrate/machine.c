// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "device/state.h"
#include "machine.h"
#include "vm/vm.h"

#define ROOM	(1u << 16)	/* for the module's records of one object */

/* ---- out --------------------------------------------------------------------------------- */

struct emit {
	struct stream_writer *out;
	int ret;
};

static bool put_device(void *argument, const struct device_record *record)
{
	struct emit *emit = argument;
	struct stream_device head = {
		.instance = record->instance, .version = record->version,
	};

	snprintf(head.name, sizeof(head.name), "%s", record->name);
	emit->ret = stream_put(emit->out, STREAM_DEVICE, 1, &head, sizeof(head), record->data,
			       record->bytes);
	return !emit->ret;
}

static int put_clock(struct vm *vm, struct stream_writer *out)
{
	struct stream_clock clock = { .vm_ns = vm_clock_ns(vm) };
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	clock.realtime_ns = now.tv_sec * 1000000000ull + now.tv_nsec;
	return stream_put(out, STREAM_CLOCK, 1, &clock, sizeof(clock), NULL, 0);
}

/* The module's clock went on after the VM stopped; what counts is when it stopped. */
static void stopped_clock(struct vm *vm, void *records, uint64_t bytes)
{
	const void *found = gondola_find_record(records, bytes, GONDOLA_REC_CLOCK,
						sizeof(vm->pause.clock));

	if (found)
		memcpy((void *)found, &vm->pause.clock, sizeof(vm->pause.clock));
}

static int put_module(struct vm *vm, struct stream_writer *out, int fd, uint32_t type,
		      const void *head, size_t head_bytes, char *error)
{
	_Alignas(8) static char records[ROOM];
	uint64_t bytes = sizeof(records);
	int ret = __gondola_get_state(fd, records, &bytes);

	if (ret) {
		snprintf(error, MACHINE_WORDS, "the module does not give the state: %s",
			 strerror(-ret));
		return ret;
	}
	if (type == STREAM_VM)
		stopped_clock(vm, records, bytes);
	return stream_put(out, type, 1, head, head_bytes, records, bytes);
}

int machine_put(struct vm *vm, struct stream_writer *out, char *error)
{
	struct emit emit = { .out = out };
	int ret;

	error[0] = 0;
	ret = put_module(vm, out, vm->fd, STREAM_VM, NULL, 0, error);
	for (unsigned int i = 0; !ret && i < vm->nr_vcpus; i++) {
		struct stream_vcpu head = { .id = i };

		ret = put_module(vm, out, vm->vcpus[i].fd, STREAM_VCPU, &head, sizeof(head),
				 error);
	}
	if (!ret) {
		pthread_mutex_lock(&vm->devices);
		devices_save(put_device, &emit);
		pthread_mutex_unlock(&vm->devices);
		ret = emit.ret;
	}
	if (!ret)
		ret = put_clock(vm, out);
	if (ret && !error[0])
		snprintf(error, MACHINE_WORDS, "the state cannot be written: %s", strerror(-ret));
	return ret ? -1 : 0;
}

/* ---- in ---------------------------------------------------------------------------------- */

static int take_module(struct stream_reader *in, const struct stream_record *record, int fd,
		       const void *records, size_t bytes)
{
	struct gondola_fault fault;
	int ret = __gondola_set_state(fd, records, bytes, &fault);

	if (!ret)
		return 1;
	if (ret == -EINVAL && fault.record == GONDOLA_REC_CLOCK)
		return stream_refuse(in, record, "this host's TSC has another frequency, and nothing scales it");
	if (ret == -EINVAL)
		return stream_refuse(in, record, "the module refuses its record of type %u for byte %d",
				     fault.record, (int)fault.field);
	return stream_refuse(in, record, "the module refuses it: %s", strerror(-ret));
}

static int take_vm(struct vm *vm, struct stream_reader *in, const struct stream_record *record,
		   struct machine_taken *taken)
{
	const void *clock = gondola_find_record(record->data, record->bytes, GONDOLA_REC_CLOCK,
						sizeof(vm->pause.clock));

	if (taken->vm)
		return stream_refuse(in, record, "there is a second one");
	if (!clock)
		return stream_refuse(in, record, "it has no clock");
	taken->vm = true;
	/* From there the clocks go on when the VM does. */
	memcpy(&vm->pause.clock, clock, sizeof(vm->pause.clock));
	return take_module(in, record, vm->fd, record->data, record->bytes);
}

static int take_vcpu(struct vm *vm, struct stream_reader *in, const struct stream_record *record,
		     struct machine_taken *taken)
{
	const struct stream_vcpu *head = (const void *)record->data;

	if (head->pad || head->id >= vm->nr_vcpus)
		return stream_refuse(in, record, "there is no vCPU %u in this machine", head->id);
	if (taken->vcpus & 1u << head->id)
		return stream_refuse(in, record, "there is a second one of vCPU %u", head->id);
	taken->vcpus |= 1u << head->id;
	return take_module(in, record, vm->vcpus[head->id].fd, head + 1,
			   record->bytes - sizeof(*head));
}

static int take_device(struct vm *vm, struct stream_reader *in, const struct stream_record *record)
{
	const struct stream_device *head = (const void *)record->data;
	struct device_record device = {
		.name = head->name, .instance = head->instance, .version = head->version,
		.data = head + 1, .bytes = record->bytes - sizeof(*head),
	};
	char error[STATE_ERROR_ROOM];
	bool loaded;

	pthread_mutex_lock(&vm->devices);
	loaded = devices_load(&device, error);
	pthread_mutex_unlock(&vm->devices);
	return loaded ? 1 : stream_refuse(in, record, "%s", error);
}

int machine_take(struct vm *vm, struct stream_reader *in, const struct stream_record *record,
	       struct machine_taken *taken)
{
	const struct stream_clock *clock = (const void *)record->data;

	switch (record->type) {
	case STREAM_VM:
		return take_vm(vm, in, record, taken);
	case STREAM_VCPU:
		return take_vcpu(vm, in, record, taken);
	case STREAM_DEVICE:
		return take_device(vm, in, record);
	case STREAM_CLOCK:
		if (taken->clock)
			return stream_refuse(in, record, "there is a second one");
		taken->clock = true;
		vm_clock_set(vm, clock->vm_ns);
		return 1;
	default:
		return 0;
	}
}

bool machine_complete(struct vm *vm, const struct machine_taken *taken, char *error)
{
	bool devices;

	error[0] = 0;
	if (!taken->vm)
		snprintf(error, MACHINE_WORDS, "there is no record of the VM");
	else if (taken->vcpus != (1u << vm->nr_vcpus) - 1)
		snprintf(error, MACHINE_WORDS, "there is no record of some vCPU");
	else if (!taken->clock)
		snprintf(error, MACHINE_WORDS, "there is no record of the clocks");
	if (error[0])
		return false;
	pthread_mutex_lock(&vm->devices);
	devices = devices_loaded(error);
	pthread_mutex_unlock(&vm->devices);
	return devices;
}
