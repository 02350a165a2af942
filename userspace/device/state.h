/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Saved devices.  Each device has a name, an instance and a version, and writes its state as a
 * sequence of fields: what a driver set, what it has not fetched yet.  Choices of the command line
 * (file, tap) are not part of it: a record is loaded into a device that was created in the same
 * way.
 *
 * To save:  devices_freeze(), devices_save(), then devices_thaw() or exit.
 * To load:  devices_set_incoming() before the devices are made, devices_freeze(),
 * devices_load() for each record, devices_loaded(), and devices_thaw() once the module's state is
 * set, too. To hand over to another process that uses the same files:  devices_yield() after
 * devices_save(); then the other process may call devices_thaw().  If it fails, call devices_thaw()
 * here to take all back.
 *
 * Call all of this with the VM's device lock (vm->devices) held and every vCPU out of GONDOLA_RUN,
 * so that only the devices' own threads run as well.
 *
 * The format of a field, without padding, all numbers little-endian:
 *
 *	u8 name_bytes; u8 kind; u32 bytes; char name[name_bytes]; u8 value[bytes];
 *
 * Kind 1 is an unsigned number of 1, 2, 4 or 8 bytes, kind 2 is bytes.  So tools can show a record
 * of any device.  The order of fields is fixed; a field that is unknown, missing or out of range is
 * an error, which names device and field.
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
 * struct device_state_ops - a device's operations on its state; all but @freeze and @thaw are
 * called while it is frozen
 * @name: of the kind of device: "serial", "virtio-net"
 * @version: changes whenever the fields change
 * @save: append all fields
 * @load: take and check all fields.  If state_end() finds them good, apply them and return true;
 *	else reset to power-on and return false
 * @freeze: finish what is under way, then touch no guest memory and take no input (may be NULL)
 * @thaw: continue: drive the interrupt line, set the timers, serve the queues (may be NULL)
 * @prepare: do the slow part of @flush; any state, any thread; false with @error (may be NULL)
 * @yield: release exclusive resources, like the lock of a file (may be NULL)
 * @claim: acquire these, before the first thaw of an incoming device and after a yield; false with
 *	@error (may be NULL)
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
 * struct device_record - a saved device
 * @name, @instance: identify the device
 * @version: version of the fields
 * @data, @bytes: the fields
 */
struct device_record {
	const char *name;
	uint32_t instance;
	uint32_t version;
	const void *data;
	size_t bytes;
};

/* ---- to save and load a machine's devices ---------------------------------------------- */

/** devices_set_incoming() - let the first devices_thaw() claim devices that are created from now on */
void devices_set_incoming(void);
bool devices_incoming(void);

/**
 * devices_prepare() - write out disks before a hand-over, while the guest still runs
 *
 * Needs neither the lock nor a stopped guest, so it does not lengthen the guest's stop; it may take
 * long.  False with @error, as devices_flush(), which does not report the same error again.
 */
bool devices_prepare(struct error *error);
/** devices_freeze() - complete all requests in progress and begin none; nothing is done twice */
void devices_freeze(void);
/**
 * devices_flush() - while frozen, before devices_save(): bring the guest's writes to stable storage
 *
 * False, with @error, if some data may be lost.  This is saved, and reported to the guest wherever
 * it continues.
 */
bool devices_flush(struct error *error);
/** devices_frozen() - are devices frozen? */
bool devices_frozen(void);
/**
 * devices_thaw() - claim devices that were yielded or are incoming, then continue
 *
 * False, with @error, if a device cannot be claimed: then all stay yielded and frozen.
 */
bool devices_thaw(struct error *error);
/** devices_yield() - while frozen: let another process have the disks, which are on stable storage */
void devices_yield(void);

/**
 * devices_save() - while frozen: save every device, in the order of their registration
 * @emit: takes a record, which is valid during the call; false ends the walk
 *
 * Returns the result of the last @emit; false, with @error, if there is no memory for a record.
 */
bool devices_save(bool (*emit)(void *argument, const struct device_record *record),
		  void *argument, struct error *error);
/**
 * devices_load() - while frozen: set one device's state; @record is not trusted
 * @error: "serial 0: field ier: 255 is more than 15"
 *
 * False if there is no such device, if it was loaded before, or if it refuses the record.
 */
bool devices_load(const struct device_record *record, struct error *error);
/** devices_loaded() - has every device got its record?  False with @error, which names the first without */
bool devices_loaded(struct error *error);

/**
 * state_next() - for tools that show records: get the field at @at of @record
 * @name: STATE_NAME_MAX + 1 bytes
 *
 * Returns the start of the next one, or 0 if the field is malformed.
 */
size_t state_next(const struct device_record *record, size_t at, char *name, unsigned int *kind,
		  const void **value, size_t *bytes);

/* ---- for devices ------------------------------------------------------------------------ */

/** device_register() - called at the end of x_create(); name and instance must be unique */
void device_register(const struct device_state_ops *ops, uint32_t instance, void *device);
/** devices_forget() - forget all devices, at the end of the VM */
void devices_forget(void);

/** state_put() - append a number of 1, 2, 4 or 8 @bytes */
void state_put(struct state_writer *out, const char *field, unsigned int bytes, uint64_t value);
void state_put_bytes(struct state_writer *out, const char *field, const void *data, size_t bytes);

/** state_take() - take a number of @bytes, @max at most; 0 after a failure */
uint64_t state_take(struct state_reader *in, const char *field, unsigned int bytes, uint64_t max);
/** state_take_bytes() - take exactly @bytes bytes; zeroes after a failure */
void state_take_bytes(struct state_reader *in, const char *field, void *to, size_t bytes);
/** state_take_some() - take at most @max bytes, which lie in the record; NULL and 0 after a failure */
const void *state_take_some(struct state_reader *in, const char *field, size_t max,
			    size_t *bytes);
/** state_refuse() - report that a value is wrong for a reason of the device */
void state_refuse(struct state_reader *in, const char *field, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
bool state_failed(const struct state_reader *in);
/** state_end() - end the fields; true if all were good and no other follows */
bool state_end(struct state_reader *in);

#endif
