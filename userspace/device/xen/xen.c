// SPDX-License-Identifier: GPL-2.0-only
/*
 * What stands behind a paravirtualized guest of Xen's interface: its console, its store, its devices, and
 * its end.  Each device has two halves, which agree by the store: the guest's driver, and ours.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/virtio_ids.h>

#include "base/fail.h"
#include "base/loop.h"
#include "device/device.h"
#include "device/state.h"
#include "device/virtio/devices.h"
#include "lib/libgondola.h"
#include "vm/vm.h"
#include "xen.h"

#define PAGE		4096u
#define PORTS		4096u		/* event channels */
#define GRANTS_MAX	(256u * PAGE)	/* bytes of their table */

/* The states of either half: Xen's public/io/xenbus.h. */
enum { UNKNOWN, INITIALISING, WAITING, INITIALISED, CONNECTED, CLOSING, CLOSED };

/**
 * struct xen_guest - all that stands behind such a guest
 * @pages: what it shares with them; all 0: it is yet to come
 * @timer: of the device loop, after a stop
 * @backends: its devices, @count of them
 */
struct xen_guest {
	struct vm *vm;
	struct xen_console *console;
	struct store *store;
	struct grants grants;
	struct xen_pages pages;
	int timer;
	struct xen_backend backends[VIRTIO_MAX_DEVICES];
	unsigned int count;
};

static struct xen_guest *xen;

/* ---- a device and its driver --------------------------------------------------------------------- */

void xen_backend_tell(struct xen_backend *backend, const char *of, const char *name, const char *format, ...)
{
	char path[96], value[96];
	va_list args;

	snprintf(path, sizeof(path), "%s/%s", of, name);
	va_start(args, format);
	vsnprintf(value, sizeof(value), format, args);
	va_end(args);
	store_set(backend->store, path, "%s", value);
}

static void set_state(struct xen_backend *backend, unsigned int state)
{
	xen_backend_tell(backend, backend->back, "state", "%u", state);
}

void xen_backend_name(struct xen_backend *backend, const char *kind, unsigned int number)
{
	snprintf(backend->front, sizeof(backend->front), STORE_HOME "/device/%s/%u", kind, number);
	snprintf(backend->back, sizeof(backend->back), "/local/domain/0/backend/%s/1/%u", kind, number);
}

void xen_backend_begin(struct xen_backend *backend)
{
	xen_backend_tell(backend, backend->back, "frontend", "%s", backend->front);
	xen_backend_tell(backend, backend->back, "frontend-id", "1");
	xen_backend_tell(backend, backend->back, "online", "1");
	xen_backend_tell(backend, backend->front, "backend", "%s", backend->back);
	xen_backend_tell(backend, backend->front, "backend-id", "0");
	set_state(backend, WAITING);
	xen_backend_tell(backend, backend->front, "state", "%u", INITIALISING);
}

const char *xen_backend_read(const struct xen_backend *backend, const char *name)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/%s", backend->front, name);
	return store_get(backend->store, path);
}

bool xen_backend_number(const struct xen_backend *backend, const char *name, uint32_t *number)
{
	const char *value = xen_backend_read(backend, name);
	unsigned long read;
	char *end;

	if (!value || *value < '0' || *value > '9')
		return false;
	read = strtoul(value, &end, 10);
	*number = read;
	return !*end && read <= UINT32_MAX;
}

void xen_backend_ring(struct xen_backend *backend, unsigned int queue, const struct queue_form *form, void *ring)
{
	backend->rings[queue] = ring;
	backend->device->queues[queue].form = form;
	backend->device->queues[queue].form_data = ring;
}

const char *xen_backend_attach(struct xen_backend *backend, const uint64_t *rings)
{
	bool good;

	virtio_lock(backend->device);
	/* A saved state may say that it is. */
	virtio_reset(backend->device);
	good = virtio_attach(backend->device, rings, ~0ull);
	virtio_unlock(backend->device);
	return good ? NULL : "its rings are not in memory";
}

static void raise_port(struct virtio_device *device)
{
	const struct xen_backend *backend = device->raise_data;

	/* The guest may have closed it. */
	__gondola_xen_raise(backend->vm->fd, backend->port);
}

static void disconnect(struct xen_backend *backend)
{
	if (!backend->port)
		return;
	virtio_lock(backend->device);
	virtio_reset(backend->device);
	backend->port = 0;
	virtio_unlock(backend->device);
}

static void connect(struct xen_backend *backend)
{
	const char *words = "its driver names no event channel";
	uint32_t port;

	if (backend->port)
		return;
	if (xen_backend_number(backend, "event-channel", &port) && port) {
		backend->port = port;
		words = backend->open(backend);
	}
	if (!words) {
		set_state(backend, CONNECTED);
		return;
	}
	virtio_complain(backend->device, "%s", words);
	disconnect(backend);
	set_state(backend, CLOSING);
}

/* The driver has written its state, or is gone. */
static void follow(struct xen_backend *backend)
{
	uint32_t state;

	if (!xen_backend_number(backend, "state", &state))
		state = UNKNOWN;
	switch (state) {
	case INITIALISING:
		disconnect(backend);
		set_state(backend, WAITING);
		break;
	case INITIALISED:
	case CONNECTED:
		connect(backend);
		break;
	case CLOSING:
		disconnect(backend);
		set_state(backend, CLOSING);
		break;
	case CLOSED:
	case UNKNOWN:
		disconnect(backend);
		set_state(backend, CLOSED);
		break;
	}
}

static void changed(void *argument, const char *path)
{
	struct xen_guest *guest = argument;

	for (unsigned int i = 0; i < guest->count; i++) {
		struct xen_backend *backend = &guest->backends[i];
		size_t length = strlen(backend->front);

		if (!strncmp(path, backend->front, length) && !strcmp(path + length, "/state"))
			follow(backend);
	}
}

/* ---- the guest ------------------------------------------------------------------------------------ */

static void shut_down(struct vm *vm, uint32_t reason)
{
	switch (reason) {
	case GONDOLA_XEN_POWEROFF:
		vm_end(vm, VM_POWEROFF, "the guest has powered off");
		break;
	case GONDOLA_XEN_REBOOT:
		vm_end(vm, VM_RESET, "the guest has asked for a reset");
		break;
	case GONDOLA_XEN_CRASH:
		if (vm->panicked)
			vm->panicked(vm);
		vm_end(vm, VM_ERROR, "the guest's kernel has crashed");
		break;
	default:
		vm_end(vm, VM_ERROR, "the guest has ended for the reason %u, which is not known", reason);
	}
}

static void on_event(uint32_t port)
{
	if (port == xen->pages.console_port)
		xen_console_serve(xen->console);
	else if (port == xen->pages.store_port)
		store_serve(xen->store);
	for (unsigned int i = 0; i < xen->count; i++)
		if (xen->backends[i].port == port)
			virtio_kick(xen->backends[i].device);
}

static void on_xen(struct vm *vm, uint32_t op, uint32_t value, const char *data)
{
	switch (op) {
	case GONDOLA_XEN_CONSOLE:
		xen_console_say(xen->console, data, value < GONDOLA_RUN_SIZE - GONDOLA_RUN_IO_OFFSET ? value :
				GONDOLA_RUN_SIZE - GONDOLA_RUN_IO_OFFSET);
		break;
	case GONDOLA_XEN_SHUTDOWN:
		shut_down(vm, value);
		break;
	case GONDOLA_XEN_EVENT:
		on_event(value);
		break;
	}
}

bool xen_power_button(struct vm *vm)
{
	bool listens;

	vm_lock_devices(vm);
	listens = store_watched(xen->store, STORE_HOME "/control/shutdown");
	if (listens)
		store_set(xen->store, STORE_HOME "/control/shutdown", "poweroff");
	vm_unlock_devices(vm);
	return listens;
}

void xen_add_devices(struct vm *vm)
{
	unsigned int disks = 0, cards = 0;

	vm_lock_devices(vm);
	for (unsigned int i = 0; virtio_device_at(vm, i); i++) {
		struct xen_backend *backend = &xen->backends[xen->count++];

		*backend = (struct xen_backend){
			.vm = vm, .store = xen->store, .grants = &xen->grants, .device = virtio_device_at(vm, i),
		};
		backend->device->raise = raise_port;
		backend->device->raise_data = backend;
		if (backend->device->ops->id == VIRTIO_ID_NET)
			xen_net_create(backend, cards++);
		else
			xen_disk_create(backend, disks++);
	}
	vm_unlock_devices(vm);
}

/* False: they are not in memory. */
static bool place(struct xen_guest *guest, const struct xen_pages *pages)
{
	struct guest_memory *memory = &guest->vm->memory;
	void *console = memory_at(memory, pages->console, PAGE), *store = memory_at(memory, pages->store, STORE_RING);
	void *grants = memory_at(memory, pages->grants, pages->grant_bytes);

	if (!console || !store || !grants || (pages->console | pages->store | pages->grants) % PAGE)
		return false;
	guest->pages = *pages;
	xen_console_place(guest->console, console, pages->console, pages->console_port);
	store_place(guest->store, store, pages->store, pages->store_port);
	guest->grants = (struct grants){
		.memory = memory, .count = pages->grant_bytes / 8, .frames = pages->frames, .table = grants,
	};
	return true;
}

/* ---- saved state ---------------------------------------------------------------------------------- */

static void save(void *argument, struct state_writer *out)
{
	const struct xen_guest *guest = argument;
	const struct xen_pages *pages = &guest->pages;

	state_put(out, "console", 8, pages->console);
	state_put(out, "store", 8, pages->store);
	state_put(out, "console_port", 4, pages->console_port);
	state_put(out, "store_port", 4, pages->store_port);
	state_put(out, "grants", 8, pages->grants);
	state_put(out, "grant_bytes", 8, pages->grant_bytes);
	state_put(out, "frames", 8, pages->frames);
	state_put(out, "devices", 4, guest->count);
	for (unsigned int i = 0; i < guest->count; i++)
		state_put(out, "port", 4, guest->backends[i].port);
	store_save(guest->store, out);
}

static void load_pages(struct xen_pages *pages, struct state_reader *in)
{
	pages->console = state_take(in, "console", 8, UINT64_MAX);
	pages->store = state_take(in, "store", 8, UINT64_MAX);
	pages->console_port = state_take(in, "console_port", 4, PORTS - 1);
	pages->store_port = state_take(in, "store_port", 4, PORTS - 1);
	pages->grants = state_take(in, "grants", 8, UINT64_MAX);
	pages->grant_bytes = state_take(in, "grant_bytes", 8, GRANTS_MAX);
	pages->frames = state_take(in, "frames", 8, UINT32_MAX);
}

static bool load(void *argument, struct state_reader *in)
{
	struct xen_guest *guest = argument;
	uint32_t ports[VIRTIO_MAX_DEVICES], count;
	struct xen_pages pages = guest->pages;
	struct store *store;

	load_pages(&pages, in);
	count = state_take(in, "devices", 4, VIRTIO_MAX_DEVICES);
	if (count != guest->count)
		state_refuse(in, "devices", "the machine made here has %u, not %u", guest->count, count);
	for (unsigned int i = 0; i < guest->count; i++)
		ports[i] = state_take(in, "port", 4, PORTS - 1);
	store = store_load(guest->store, in);
	if (!store)
		return false;
	if (state_end(in) && !place(guest, &pages))
		state_refuse(in, "console", "a page that the guest shares with its devices is not in memory");
	if (state_failed(in)) {
		store_destroy(store);
		return false;
	}
	store_destroy(guest->store);
	guest->store = store;
	place(guest, &pages);
	for (unsigned int i = 0; i < guest->count; i++) {
		guest->backends[i].store = store;
		guest->backends[i].port = ports[i];
	}
	return true;
}

/* Look at all that the guest may have left for us, in the loop's thread: its pages may be on their way. */
static void on_timer(void *argument, int fd, short events)
{
	struct xen_guest *guest = argument;

	(void)events;
	loop_timer_ack(fd);
	vm_lock_devices(guest->vm);
	if (guest->pages.store && !devices_frozen()) {
		xen_console_serve(guest->console);
		store_serve(guest->store);
	}
	vm_unlock_devices(guest->vm);
}

/* Whatever we told the guest last may be told again: one time too many does no harm. */
static void thaw(void *argument)
{
	struct xen_guest *guest = argument;

	__gondola_xen_raise(guest->vm->fd, guest->pages.console_port);
	__gondola_xen_raise(guest->vm->fd, guest->pages.store_port);
	for (unsigned int i = 0; i < guest->count; i++)
		if (guest->backends[i].port)
			__gondola_xen_raise(guest->vm->fd, guest->backends[i].port);
	loop_timer_set(guest->timer, 1, 0);
}

static const struct device_state_ops state = {
	.name = "xen", .version = 1, .save = save, .load = load, .thaw = thaw,
};

void xen_create(struct vm *vm, struct console *console, const struct xen_pages *pages)
{
	bool placed;

	xen = device_alloc(sizeof(*xen));
	xen->vm = vm;
	xen->console = xen_console_create(vm, console);
	xen->store = store_create(vm, changed, xen);
	if (!xen->store)
		fail(EXIT_CODE_ERROR, "out of memory");
	xen->timer = loop_timer(&vm->device_loop, on_timer, xen);
	placed = !pages || place(xen, pages);
	assert(placed);
	store_set(xen->store, STORE_HOME "/domid", "1");
	store_set(xen->store, STORE_HOME "/name", "%s", vm->name);
	store_set(xen->store, STORE_HOME "/vm", "/vm/1");
	for (unsigned int i = 0; pages && i < pages->cpus; i++) {
		char path[64];

		snprintf(path, sizeof(path), STORE_HOME "/cpu/%u/availability", i);
		store_set(xen->store, path, "online");
	}
	store_set(xen->store, STORE_HOME "/control/shutdown", "%s", "");
	store_set(xen->store, STORE_HOME "/device", "%s", "");
	vm->on_xen = on_xen;
	device_register(&state, 0, xen);
}

void xen_destroy(void)
{
	if (!xen)
		return;
	for (unsigned int i = 0; i < xen->count; i++)
		for (unsigned int ring = 0; ring < VIRTIO_MAX_QUEUES; ring++)
			free(xen->backends[i].rings[ring]);
	store_destroy(xen->store);
	free(xen->console);
	free(xen);
	xen = NULL;
}
