// SPDX-License-Identifier: GPL-2.0-only
/* The list of devices, and their state as records of fields: see state.h. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state.h"

#define HEADER	6u	/* size of a field's lengths and kind */

/**
 * struct state_writer - a device's fields while they are written
 * @data: the fields; grows
 * @bytes: used size of @data
 * @room: allocated size of @data
 * @failed: out of memory
 */
struct state_writer {
	uint8_t *data;
	size_t bytes;
	size_t room;
	bool failed;
};

/**
 * struct state_reader - a record that is read
 * @at: the next field
 * @error: the first error, if @failed
 */
struct state_reader {
	const struct device_record *record;
	size_t at;
	bool failed;
	struct error *error;
};

/**
 * struct registered - a device and its status
 * @loaded: a record was loaded
 * @claimed: it holds its exclusive resources
 */
struct registered {
	const struct device_state_ops *ops;
	uint32_t instance;
	void *device;
	bool loaded;
	bool claimed;
};

/* A process has one VM, so devices register here when they are created. */
static struct registered devices[STATE_MAX_DEVICES];
static unsigned int nr_devices;
static bool incoming, frozen;

static struct registered *find(const char *name, uint32_t instance)
{
	for (unsigned int i = 0; i < nr_devices; i++)
		if (devices[i].instance == instance && !strcmp(devices[i].ops->name, name))
			return &devices[i];
	return NULL;
}

void device_register(const struct device_state_ops *ops, uint32_t instance, void *device)
{
	assert(strlen(ops->name) <= STATE_NAME_MAX && ops->save && ops->load);
	assert(nr_devices < STATE_MAX_DEVICES && !find(ops->name, instance));
	devices[nr_devices++] = (struct registered){
		.ops = ops, .instance = instance, .device = device, .claimed = !incoming,
	};
}

void devices_forget(void)
{
	nr_devices = 0;
	frozen = false;
	incoming = false;
}

void devices_set_incoming(void)
{
	incoming = true;
}

bool devices_incoming(void)
{
	return incoming;
}

bool devices_frozen(void)
{
	return frozen;
}

/* Devices register before anybody can call this, and live as long as the VM. */
bool devices_prepare(struct error *error)
{
	bool safe = true;

	/* Ask all of them, so that each knows; report the first error. */
	for (unsigned int i = 0; i < nr_devices; i++) {
		struct error *where = safe ? error : &(struct error){ .words = "" };

		if (devices[i].ops->prepare && !devices[i].ops->prepare(devices[i].device, where))
			safe = false;
	}
	return safe;
}

void devices_freeze(void)
{
	if (frozen)
		return;
	/* Set this first: a device may check it while another is being frozen. */
	frozen = true;
	for (unsigned int i = 0; i < nr_devices; i++)
		if (devices[i].ops->freeze)
			devices[i].ops->freeze(devices[i].device);
}

bool devices_flush(struct error *error)
{
	bool safe = true;

	assert(frozen);
	/* Ask all of them, so that each knows; report the first error. */
	for (unsigned int i = 0; i < nr_devices; i++) {
		struct error *where = safe ? error : &(struct error){ .words = "" };

		if (devices[i].ops->flush && !devices[i].ops->flush(devices[i].device, where))
			safe = false;
	}
	return safe;
}

void devices_yield(void)
{
	assert(frozen);
	for (unsigned int i = 0; i < nr_devices; i++) {
		if (devices[i].claimed && devices[i].ops->yield)
			devices[i].ops->yield(devices[i].device);
		devices[i].claimed = false;
	}
}

bool devices_thaw(struct error *error)
{
	if (!frozen)
		return true;
	for (unsigned int i = 0; i < nr_devices; i++) {
		struct registered *one = &devices[i];

		if (!one->claimed && one->ops->claim && !one->ops->claim(one->device, error)) {
			devices_yield();
			return false;
		}
		one->claimed = true;
	}
	incoming = false;
	frozen = false;
	for (unsigned int i = 0; i < nr_devices; i++)
		if (devices[i].ops->thaw)
			devices[i].ops->thaw(devices[i].device);
	return true;
}

bool devices_save(bool (*emit)(void *argument, const struct device_record *record),
		  void *argument, struct error *error)
{
	bool more = true;

	assert(frozen);
	for (unsigned int i = 0; i < nr_devices && more; i++) {
		const struct device_state_ops *ops = devices[i].ops;
		struct state_writer out = { .data = NULL };

		ops->save(devices[i].device, &out);
		more = out.failed ?
		       error_set(error, EXIT_CODE_MEMORY, "%s %u: no memory for its state",
				 ops->name, devices[i].instance) :
		       emit(argument, &(struct device_record){
			.name = ops->name, .instance = devices[i].instance,
			.version = ops->version, .data = out.data, .bytes = out.bytes,
		       });
		free(out.data);
	}
	return more;
}

bool devices_load(const struct device_record *record, struct error *error)
{
	struct registered *one = find(record->name, record->instance);
	struct state_reader in = { .record = record, .error = error };

	assert(frozen);
	if (!one)
		return error_set(error, EXIT_CODE_ERROR,
				 "%.*s %u: there is no such device in this machine",
				 STATE_NAME_MAX, record->name, record->instance);
	if (one->loaded)
		return error_set(error, EXIT_CODE_ERROR, "%s %u: there is a second record of it",
				 record->name, record->instance);
	if (record->version != one->ops->version)
		return error_set(error, EXIT_CODE_ERROR,
				 "%s %u: its record has version %u, this gondola knows version %u",
				 record->name, record->instance, record->version,
				 one->ops->version);
	if (record->bytes > STATE_RECORD_MAX)
		return error_set(error, EXIT_CODE_ERROR, "%s %u: its record is longer than %u bytes",
				 record->name, record->instance, STATE_RECORD_MAX);
	return one->loaded = one->ops->load(one->device, &in);
}

bool devices_loaded(struct error *error)
{
	for (unsigned int i = 0; i < nr_devices; i++)
		if (!devices[i].loaded)
			return error_set(error, EXIT_CODE_ERROR, "%s %u: there is no record of it",
					 devices[i].ops->name, devices[i].instance);
	return true;
}

/* ---- fields --------------------------------------------------------------------------- */

static void put(struct state_writer *out, const char *field, unsigned int kind, const void *value,
		size_t bytes)
{
	size_t name = strlen(field), more = HEADER + name + bytes;
	uint8_t *at;

	assert(name && name <= STATE_NAME_MAX && more <= STATE_RECORD_MAX - out->bytes);
	if (more > out->room - out->bytes) {
		at = realloc(out->data, 2 * (out->bytes + more));
		if (!at)
			out->failed = true;
		else
			out->room = 2 * (out->bytes + more);
		out->data = at ? at : out->data;
	}
	if (out->failed)
		return;
	at = out->data + out->bytes;
	at[0] = name;
	at[1] = kind;
	for (unsigned int i = 0; i < 4; i++)
		at[2 + i] = bytes >> (8 * i);
	memcpy(at + HEADER, field, name);
	if (bytes)
		memcpy(at + HEADER + name, value, bytes);
	out->bytes += more;
}

void state_put(struct state_writer *out, const char *field, unsigned int bytes, uint64_t value)
{
	uint8_t little[8];

	assert(bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8);
	assert(bytes == 8 || !(value >> (8 * bytes)));
	for (unsigned int i = 0; i < bytes; i++)
		little[i] = value >> (8 * i);
	put(out, field, STATE_NUMBER, little, bytes);
}

void state_put_bytes(struct state_writer *out, const char *field, const void *data, size_t bytes)
{
	put(out, field, STATE_BYTES, data, bytes);
}

size_t state_next(const struct device_record *record, size_t at, char *name, unsigned int *kind,
		  const void **value, size_t *bytes)
{
	const uint8_t *field = (const uint8_t *)record->data + at;
	size_t left, length;

	if (at > record->bytes || record->bytes - at < HEADER)
		return 0;
	left = record->bytes - at - HEADER;
	length = field[0];
	*kind = field[1];
	*bytes = field[2] | field[3] << 8 | field[4] << 16 | (size_t)field[5] << 24;
	if (!length || length > STATE_NAME_MAX || length > left || *bytes > left - length)
		return 0;
	if (*kind == STATE_NUMBER ? *bytes != 1 && *bytes != 2 && *bytes != 4 && *bytes != 8 :
	    *kind != STATE_BYTES)
		return 0;
	for (size_t i = 0; i < length; i++)
		if (field[HEADER + i] <= ' ' || field[HEADER + i] > '~')
			return 0;
	memcpy(name, field + HEADER, length);
	name[length] = 0;
	*value = field + HEADER + length;
	return at + HEADER + length + *bytes;
}

bool state_failed(const struct state_reader *in)
{
	return in->failed;
}

void state_refuse(struct state_reader *in, const char *field, const char *format, ...)
{
	const struct device_record *record = in->record;
	char words[256];
	va_list args;

	if (in->failed)
		return;
	in->failed = true;
	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	error_set(in->error, EXIT_CODE_ERROR, "%s %u: field %s: %s", record->name, record->instance,
		  field, words);
}

/* Take the next field, which must have this name and kind; NULL after a failure. */
static const void *next(struct state_reader *in, const char *field, enum state_kind kind,
			size_t *bytes)
{
	char name[STATE_NAME_MAX + 1];
	unsigned int found_kind;
	const void *value;
	size_t after;

	if (in->failed)
		return NULL;
	if (in->at == in->record->bytes) {
		state_refuse(in, field, "the record ends before it");
		return NULL;
	}
	after = state_next(in->record, in->at, name, &found_kind, &value, bytes);
	if (!after)
		state_refuse(in, field, "it is cut off or no field, at byte %zu", in->at);
	else if (strcmp(name, field))
		state_refuse(in, field, "\"%s\" is there in its place", name);
	else if (found_kind != kind)
		state_refuse(in, field, "it is %s", kind == STATE_NUMBER ? "no number" : "a number");
	in->at = after;
	return in->failed ? NULL : value;
}

uint64_t state_take(struct state_reader *in, const char *field, unsigned int bytes, uint64_t max)
{
	uint64_t number = 0;
	size_t found = 0;
	const uint8_t *value = next(in, field, STATE_NUMBER, &found);

	if (!value)
		return 0;
	if (found != bytes) {
		state_refuse(in, field, "it has %zu bytes, not %u", found, bytes);
		return 0;
	}
	for (unsigned int i = 0; i < bytes; i++)
		number |= (uint64_t)value[i] << (8 * i);
	if (number > max) {
		state_refuse(in, field, "%llu is more than %llu", (unsigned long long)number,
			     (unsigned long long)max);
		return 0;
	}
	return number;
}

const void *state_take_some(struct state_reader *in, const char *field, size_t max,
			    size_t *bytes)
{
	const void *value;

	*bytes = 0;
	value = next(in, field, STATE_BYTES, bytes);
	if (value && *bytes > max) {
		state_refuse(in, field, "it has %zu bytes, more than %zu", *bytes, max);
		value = NULL;
	}
	if (!value)
		*bytes = 0;
	return value;
}

void state_take_bytes(struct state_reader *in, const char *field, void *to, size_t bytes)
{
	size_t found;
	const void *value = state_take_some(in, field, bytes, &found);

	if (value && found == bytes) {
		memcpy(to, value, bytes);
		return;
	}
	if (value)
		state_refuse(in, field, "it has %zu bytes, not %zu", found, bytes);
	memset(to, 0, bytes);
}

bool state_end(struct state_reader *in)
{
	if (!in->failed && in->at != in->record->bytes)
		state_refuse(in, "(end)", "%zu bytes follow", in->record->bytes - in->at);
	return !in->failed;
}
