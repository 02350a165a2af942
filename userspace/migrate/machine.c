// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <json-c/json.h>

#include "device/state.h"
#include "machine.h"

#define PROGRESS_PAGES	4096u

/* ---- saving ------------------------------------------------------------------------------ */

static int written(struct error *error, int ret)
{
	if (ret)
		error_set(error, EXIT_CODE_ERROR, "it cannot be written: %s", strerror(-ret));
	return ret;
}

int machine_put_config(struct vm *vm, struct stream_writer *writer, struct error *error)
{
	const char *text = json_object_to_json_string_ext(vm->config, JSON_C_TO_STRING_PLAIN);
	int ret = stream_put(writer, STREAM_CONFIG, 1, NULL, 0, text, strlen(text));

	if (!ret)
		ret = stream_put(writer, STREAM_CPUID, 1, NULL, 0, vm->cpuid,
				 vm->nr_cpuid * sizeof(vm->cpuid[0]));
	return written(error, ret);
}

static int put_module_state(struct stream_writer *writer, int fd, uint32_t type, const void *head,
			    size_t head_bytes, struct error *error)
{
	uint64_t bytes;
	void *buffer;
	int ret = __gondola_read_state(fd, &buffer, &bytes);

	if (ret) {
		error_set(error, EXIT_CODE_ERROR, "the module does not give its state: %s",
			  strerror(-ret));
		return ret;
	}
	ret = written(error, stream_put(writer, type, 1, head, head_bytes, buffer, bytes));
	free(buffer);
	return ret;
}

struct device_sink {
	struct stream_writer *writer;
	struct error *error;
	int ret;
};

static bool put_device(void *argument, const struct device_record *record)
{
	struct stream_device head = { .instance = record->instance, .version = record->version };
	struct device_sink *sink = argument;

	snprintf(head.name, sizeof(head.name), "%s", record->name);
	sink->ret = stream_put(sink->writer, STREAM_DEVICE, 1, &head, sizeof(head), record->data,
			       record->bytes);
	if (sink->ret == -EMSGSIZE)
		error_set(sink->error, EXIT_CODE_ERROR, "the state of %s %u is too long",
			  record->name, record->instance);
	else
		written(sink->error, sink->ret);
	return !sink->ret;
}

int machine_put_state(struct vm *vm, struct stream_writer *writer, struct error *error)
{
	struct device_sink sink = { writer, error, 0 };
	struct stream_clock clock;
	struct timespec now;
	int ret;

	clock_gettime(CLOCK_REALTIME, &now);
	clock = (struct stream_clock){ vm_clock_ns(vm), now.tv_sec * 1000000000ull + now.tv_nsec };
	ret = written(error, stream_put(writer, STREAM_CLOCK, 1, NULL, 0, &clock, sizeof(clock)));
	if (!ret)
		ret = put_module_state(writer, vm->fd, STREAM_VM, NULL, 0, error);
	for (unsigned int i = 0; !ret && i < vm->nr_vcpus; i++) {
		struct stream_vcpu head = { .id = vm->vcpus[i].id };

		ret = put_module_state(writer, vm->vcpus[i].fd, STREAM_VCPU, &head, sizeof(head),
				       error);
	}
	if (ret)
		return ret;
	vm_lock_devices(vm);
	if (!devices_save(put_device, &sink, error) && !sink.ret)
		sink.ret = -ENOMEM;
	vm_unlock_devices(vm);
	return sink.ret;
}

static uint64_t gpa_of(const struct guest_memory *memory, uint64_t offset)
{
	return offset < memory->low ? offset : MEMORY_HIGH + offset - memory->low;
}

int machine_put_memory(struct vm *vm, struct stream_writer *writer,
		       bool (*progress)(void *argument, uint64_t done, uint64_t all),
		       void *argument, struct error *error)
{
	const struct guest_memory *memory = &vm->memory;
	uint64_t all = memory->bytes / STREAM_PAGE;

	for (uint64_t page = 0; page < all; page++) {
		uint64_t offset = page * STREAM_PAGE;
		int ret = stream_put_page(writer, gpa_of(memory, offset), memory->base + offset);

		if (ret)
			return written(error, ret);
		if (progress && page % PROGRESS_PAGES == 0 && !progress(argument, page, all)) {
			error_set(error, EXIT_CODE_ERROR, "it was cancelled");
			return -ECANCELED;
		}
	}
	return written(error, stream_flush(writer));
}

/* ---- loading ------------------------------------------------------------------------------- */

static struct json_object *parse_config(const struct stream_record *record)
{
	struct json_tokener *tokener = json_tokener_new_ex(16);
	struct json_object *json;

	if (!tokener)
		return NULL;
	json = json_tokener_parse_ex(tokener, (const char *)record->data, (int)record->bytes);
	if (json && !json_object_is_type(json, json_type_object)) {
		json_object_put(json);
		json = NULL;
	}
	json_tokener_free(tokener);
	return json;
}

int machine_read_config(struct stream_reader *reader, struct machine_config *config)
{
	struct stream_record record;
	int ret = stream_read(reader, &record);

	memset(config, 0, sizeof(*config));
	if (ret < 0)
		return -1;
	if (!ret || record.type != STREAM_CONFIG)
		return stream_refuse(reader, &record, "the configuration should come first");
	config->json = parse_config(&record);
	if (!config->json)
		return stream_refuse(reader, &record, "it is not JSON");
	ret = stream_read(reader, &record);
	if (ret == 1 && record.type == STREAM_CPUID) {
		config->nr_cpuid = record.bytes / sizeof(config->cpuid[0]);
		memcpy(config->cpuid, record.data, record.bytes);
		return 0;
	}
	json_object_put(config->json);
	config->json = NULL;
	return ret < 0 ? -1 : stream_refuse(reader, &record, "the CPUID should come second");
}

int machine_loader_init(struct machine_loader *loader, struct vm *vm,
			struct stream_reader *reader, bool count_pages)
{
	*loader = (struct machine_loader){ .vm = vm, .reader = reader };
	if (!count_pages)
		return 0;
	loader->missing = vm->memory.bytes / STREAM_PAGE;
	loader->seen = calloc((loader->missing + 63) / 64, sizeof(*loader->seen));
	if (loader->seen)
		return 0;
	error_set(&reader->error, EXIT_CODE_IMAGE, "out of memory");
	return -1;
}

void machine_loader_free(struct machine_loader *loader)
{
	free(loader->seen);
	loader->seen = NULL;
}

/* The address of a guest page; NULL and an error if there is none, or it came already. */
static uint8_t *place(struct machine_loader *loader, const struct stream_record *record,
		      uint64_t gpa)
{
	uint8_t *at = memory_at(&loader->vm->memory, gpa, STREAM_PAGE);
	uint64_t page;

	if (!at) {
		stream_refuse(loader->reader, record, "this machine has no memory at 0x%llx",
			      (unsigned long long)gpa);
		return NULL;
	}
	if (!loader->seen)
		return at;
	page = (at - loader->vm->memory.base) / STREAM_PAGE;
	if (loader->seen[page / 64] & 1ull << page % 64) {
		stream_refuse(loader->reader, record, "the page at 0x%llx comes twice",
			      (unsigned long long)gpa);
		return NULL;
	}
	loader->seen[page / 64] |= 1ull << page % 64;
	loader->missing--;
	return at;
}

struct page_sink {
	struct machine_loader *loader;
	const struct stream_record *record;
};

static int load_page(void *argument, const struct stream_page *page, const uint8_t *data)
{
	struct page_sink *sink = argument;
	uint8_t *at;

	if (page->flags)
		return stream_refuse(sink->loader->reader, sink->record,
				     "a saved VM has no differences of pages");
	at = place(sink->loader, sink->record, page->gpa);
	if (!at)
		return -1;
	memcpy(at, data, STREAM_PAGE);
	return 0;
}

static int load_zero(struct machine_loader *loader, const struct stream_record *record)
{
	const struct stream_range *range = (const void *)record->data;

	for (uint32_t i = 0; i < record->bytes / sizeof(*range); i++)
		for (uint64_t page = 0; page < range[i].pages; page++) {
			uint8_t *at = place(loader, record, range[i].gpa + page * STREAM_PAGE);

			if (!at)
				return -1;
			/* New memory reads as zero; do not allocate it. */
			if (!stream_page_is_zero(at))
				memset(at, 0, STREAM_PAGE);
		}
	return 0;
}

/* The module checks each field; report its verdict in words. */
static int load_module_state(struct machine_loader *loader, const struct stream_record *record,
			     int fd, const void *data, uint64_t bytes)
{
	struct gondola_fault fault;
	int ret = __gondola_set_state(fd, data, bytes, &fault);
	const struct gondola_rec_clock *clock;
	char name[32];

	if (!ret)
		return 0;
	if (ret != -EINVAL)
		return stream_refuse(loader->reader, record, "the module cannot take it: %s",
				     strerror(-ret));
	clock = gondola_find_record(data, bytes, GONDOLA_REC_CLOCK, sizeof(*clock));
	if (fault.record == GONDOLA_REC_CLOCK && clock &&
	    fault.field == offsetof(struct gondola_rec_clock, tsc_khz))
		return stream_refuse(loader->reader, record,
				     "the guest's TSC runs at %llu.%03llu MHz, this host's does not, and its engine \"%s\" cannot scale it",
				     (unsigned long long)clock->tsc_khz / 1000,
				     (unsigned long long)clock->tsc_khz % 1000,
				     gondola_engine_name(loader->vm->engine));
	return stream_refuse(loader->reader, record, "the module refuses \"%s\": %s",
			     gondola_record_name(fault.record),
			     gondola_record_field(fault.record, fault.field, name, sizeof(name)));
}

static int load_vcpu(struct machine_loader *loader, const struct stream_record *record)
{
	const struct stream_vcpu *head = (const void *)record->data;

	if (head->id >= loader->vm->nr_vcpus || head->pad)
		return stream_refuse(loader->reader, record, "this machine has no vCPU %u",
				     head->id);
	if (loader->vcpus & 1u << head->id)
		return stream_refuse(loader->reader, record, "vCPU %u comes twice", head->id);
	loader->vcpus |= 1u << head->id;
	return load_module_state(loader, record, loader->vm->vcpus[head->id].fd, head + 1,
				 record->bytes - sizeof(*head));
}

static int load_device(struct machine_loader *loader, const struct stream_record *record)
{
	const struct stream_device *head = (const void *)record->data;
	struct device_record device = {
		.name = head->name, .instance = head->instance, .version = head->version,
		.data = head + 1, .bytes = record->bytes - sizeof(*head),
	};
	struct error error;
	bool taken;

	vm_lock_devices(loader->vm);
	taken = devices_load(&device, &error);
	vm_unlock_devices(loader->vm);
	return taken ? 0 : stream_refuse(loader->reader, record, "%s", error.words);
}

static int load_clock(struct machine_loader *loader, const struct stream_record *record)
{
	const struct stream_clock *clock = (const void *)record->data;

	if (loader->clock)
		return stream_refuse(loader->reader, record, "the clock comes twice");
	/* A limit of three centuries, so that computations do not wrap. */
	if (clock->vm_ns >> 63)
		return stream_refuse(loader->reader, record, "no clock shows that");
	loader->clock = true;
	vm_clock_set(loader->vm, clock->vm_ns);
	return 0;
}

int machine_load(struct machine_loader *loader, const struct stream_record *record)
{
	struct page_sink sink = { loader, record };

	switch (record->type) {
	case STREAM_PAGES:
		return stream_each_page(loader->reader, record, load_page, &sink);
	case STREAM_ZERO:
		return load_zero(loader, record);
	case STREAM_VM:
		if (loader->vm_state)
			return stream_refuse(loader->reader, record, "it comes twice");
		loader->vm_state = true;
		return load_module_state(loader, record, loader->vm->fd, record->data,
					 record->bytes);
	case STREAM_VCPU:
		return load_vcpu(loader, record);
	case STREAM_DEVICE:
		return load_device(loader, record);
	case STREAM_CLOCK:
		return load_clock(loader, record);
	case STREAM_END:
		return 0;
	}
	return stream_refuse(loader->reader, record, "it has no place here");
}

static void load_again(int fd)
{
	uint64_t bytes;
	void *buffer;

	if (__gondola_read_state(fd, &buffer, &bytes))
		return;
	__gondola_set_state(fd, buffer, bytes, NULL);
	free(buffer);
}

static bool drop_device(void *argument, const struct device_record *record)
{
	(void)argument;
	(void)record;
	return true;
}

void machine_rehearse_load(struct vm *vm)
{
	struct error unused;

	load_again(vm->fd);
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		load_again(vm->vcpus[i].fd);
	/* A device takes one state only, and that is to come; to save it takes as long. */
	vm_lock_devices(vm);
	devices_save(drop_device, NULL, &unused);
	vm_unlock_devices(vm);
}

int machine_loaded(struct machine_loader *loader)
{
	struct stream_reader *reader = loader->reader;
	struct error error;
	const char *missing = NULL;
	bool devices;

	vm_lock_devices(loader->vm);
	devices = devices_loaded(&error);
	vm_unlock_devices(loader->vm);
	if (!loader->clock)
		missing = "the clock";
	else if (!loader->vm_state)
		missing = "the VM's own state";
	else if (loader->vcpus != (1u << loader->vm->nr_vcpus) - 1)
		missing = "the state of a vCPU";
	else if (loader->missing)
		missing = "a part of memory";
	else if (!devices)
		missing = error.words;
	if (!missing)
		return 0;
	error_set(&reader->error, EXIT_CODE_IMAGE, "the stream is whole, but it lacks %s", missing);
	return -1;
}
