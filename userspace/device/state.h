/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Saved devices.  Each device has a name, an instance and a version, and turns its state into a
 * row of fields: what a driver set, what it has not fetched yet.  Choices of the command line (which
 * file, which tap) are not part of it: a record is loaded into a device that was made alike.
 *
 * To save:  devices_freeze(), devices_save(), then devices_thaw() or the end.
 * To load:  devices_set_incoming() before the devices are made, devices_freeze(),
 *           devices_load() for each record, devices_loaded(), and once the module has its own
 *           state too: devices_thaw().
 * To hand over to another process that runs on the same files:  devices_yield() after
 * devices_save(); then the other one may devices_thaw().  If it cannot, devices_thaw() here
 * takes all back.
 *
 * All of this is called with the VM's device lock (vm->devices) held and every vCPU out of
 * GONDOLA_RUN, so that only the devices' own threads are there besides.
 *
 * A field is, in a row without padding, all numbers little-endian:
 *
 *	u8 name_bytes; u8 kind; u32 bytes; char name[name_bytes]; u8 value[bytes];
 *
 * Kind 1 is an unsigned number of 1, 2, 4 or 8 bytes, kind 2 is bytes.  So a tool can show a record
 * without knowing the device.  Fields come in one order; a field that is unknown, missing or out of
 * range is an error that names device and field.
 */
#ifndef DEVICE_STATE_H
#define DEVICE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

#define STATE_NAME_MAX		31		/* characters of a device's or a field's name */
#define STATE_RECORD_MAX	(64u << 20)	/* bytes of one device's record */
#define STATE_MAX_DEVICES	64

enum state_kind {
	STATE_NUMBER = 1,
	STATE_BYTES = 2,
};

struct state_writer;
struct state_reader;

/**
 * struct device_state_ops - what a device does about its state; all but @freeze and @thaw while
 *			     it is frozen
 * @name: of the kind of device: "serial", "virtio-net"
 * @version: of the row of fields: changed whenever that is
 * @save: append all fields
 * @load: take all fields and check each one, and once state_end() says that all are good become
 *        what they say; else be as after power-on.  True if it took them
 * @freeze: finish what is under way, then touch no guest memory and take no input (may be NULL)
 * @thaw: go on: drive the interrupt line, set the timers, look at the queues (may be NULL)
 * @prepare: do what would make @flush take long; any state, any thread; false with @error (may be
 *           NULL)
 * @yield: let go of what one process alone can have, like the lock of a file (may be NULL)
 * @claim: take that, before the first thaw of an incoming device and again after a yield; false
 *         with @error (may be NULL)
 */
struct device_state_ops {
	const char *name;
	uint32_t version;
	void (*save)(void *device, struct state_writer *out);
	bool (*load)(void *device, struct state_reader *in);
	void (*freeze)(void *device);
	void (*thaw)(void *device);
	bool (*prepare)(void *device, struct error *error);
	bool (*flush)(void *device, struct error *error);
	void (*yield)(void *device);
	bool (*claim)(void *device, struct error *error);
};

/**
 * struct device_record - one saved device
 * @name, @instance: which one
 * @version: of its fields
 * @data, @bytes: they
 */
struct device_record {
	const char *name;
	uint32_t instance;
	uint32_t version;
	const void *data;
	size_t bytes;
};

/* ---- to save and load a machine's devices ---------------------------------------------- */

/** devices_set_incoming() - devices made from now on are claimed by the first devices_thaw() */
void devices_set_incoming(void);
bool devices_incoming(void);

/**
 * devices_prepare() - a hand-over is near: disks are written out while the guest still runs
 *
 * The one function here that wants neither the lock nor a guest that stands still, so that the
 * guest stands no longer for it; it may take long.  False with @error as devices_flush(), which will
 * not fail again for what is told here.
 */
bool devices_prepare(struct error *error);
/** devices_freeze() - all requests under way are done, none begins; nothing happens twice */
void devices_freeze(void);
/**
 * devices_flush() - while frozen, before devices_save(): what the guest wrote is on stable storage
 *
 * False, with @error, if some of it may be lost: what is saved now says so, and the guest hears of
 * it wherever it goes on.
 */
bool devices_flush(struct error *error);
/** devices_frozen() - between devices_freeze() and devices_thaw()? */
bool devices_frozen(void);
/**
 * devices_thaw() - claim what was yielded or is incoming, then go on
 *
 * False, with @error, if something cannot be claimed: all is yielded and frozen then.
 */
bool devices_thaw(struct error *error);
/** devices_yield() - while frozen: disks are on stable storage, another process may have them */
void devices_yield(void);

/**
 * devices_save() - while frozen: every device, in the order of their registration
 * @emit: takes one record, which is gone after the call; false ends the walk
 *
 * Returns what the last @emit did; false, with @error, if there is no memory for a record.
 */
bool devices_save(bool (*emit)(void *argument, const struct device_record *record),
		  void *argument, struct error *error);
/**
 * devices_load() - while frozen: give one device its state; @record comes from anywhere
 * @error: "serial 0: field ier: 255 is more than 15"
 *
 * False if there is no such device, if it was loaded before, or if it refused the record.
 */
bool devices_load(const struct device_record *record, struct error *error);
/** devices_loaded() - has every device got its record? False with @error, which names the first without */
bool devices_loaded(struct error *error);

/**
 * state_next() - for tools that show records: the field at @at of @record
 * @name: STATE_NAME_MAX + 1 bytes
 *
 * Returns where the next one starts, 0 if the field is malformed.
 */
size_t state_next(const struct device_record *record, size_t at, char *name, unsigned int *kind,
		  const void **value, size_t *bytes);

/* ---- for devices ------------------------------------------------------------------------ */

/** device_register() - at the end of x_create(); name and instance are its own */
void device_register(const struct device_state_ops *ops, uint32_t instance, void *device);
/** devices_forget() - all of them: the VM is gone */
void devices_forget(void);

/** state_put() - a number of 1, 2, 4 or 8 @bytes */
void state_put(struct state_writer *out, const char *field, unsigned int bytes, uint64_t value);
void state_put_bytes(struct state_writer *out, const char *field, const void *data, size_t bytes);

/** state_take() - a number of @bytes, @max at most; 0 once anything has failed */
uint64_t state_take(struct state_reader *in, const char *field, unsigned int bytes, uint64_t max);
/** state_take_bytes() - exactly @bytes of them; zeroes once anything has failed */
void state_take_bytes(struct state_reader *in, const char *field, void *to, size_t bytes);
/** state_take_some() - @max bytes at most; they lie in the record. NULL and 0 after a failure */
const void *state_take_some(struct state_reader *in, const char *field, size_t max,
			    size_t *bytes);
/** state_refuse() - the value just taken is wrong for a reason of the device's own */
void state_refuse(struct state_reader *in, const char *field, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
bool state_failed(const struct state_reader *in);
/** state_end() - no field may follow; true if all were good */
bool state_end(struct state_reader *in);

#endif
