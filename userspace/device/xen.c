// SPDX-License-Identifier: GPL-2.0-only
/*
 * What stands behind a paravirtualized guest of Xen's interface: its console, and its end.  The console
 * is a page with two rings, which the guest and we fill and empty.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/fail.h"
#include "lib/libgondola.h"
#include "vm/console.h"
#include "vm/vm.h"
#include "device.h"

#define IN_BYTES	1024u
#define OUT_BYTES	2048u

/* The layout is ABI: xencons_interface in Xen's public/io/console.h. */
struct rings {
	char in[IN_BYTES];
	char out[OUT_BYTES];
	uint32_t in_read;
	uint32_t in_written;
	uint32_t out_read;
	uint32_t out_written;
};

struct xen_device {
	struct vm *vm;
	struct rings *rings;
	uint64_t gpa;
	uint32_t port;
	struct console *console;
};

static struct xen_device *device;

/* The guest is told, since it may wait for what has changed. */
static void changed(struct xen_device *xen)
{
	memory_mark_dirty(&xen->vm->memory, 0, xen->gpa, sizeof(*xen->rings));
	__gondola_xen_raise(xen->vm->fd, xen->port);
}

/*
 * The guest's counters are its own: whatever they say, no more than a ring is copied.  What the console
 * has no room for stays in the ring.
 */
static void empty_ring(struct xen_device *xen)
{
	struct rings *rings = xen->rings;
	uint32_t from = rings->out_read, to = __atomic_load_n(&rings->out_written, __ATOMIC_ACQUIRE);
	uint32_t begin = from;

	if (to - from > OUT_BYTES)
		from = to - OUT_BYTES;
	for (; from != to && console_room(xen->console); from++)
		console_put(xen->console, rings->out[from % OUT_BYTES]);
	__atomic_store_n(&rings->out_read, from, __ATOMIC_RELEASE);
	if (from != begin)
		changed(xen);
}

static size_t room(void *of)
{
	const struct rings *rings = ((struct xen_device *)of)->rings;
	uint32_t used = rings->in_written - __atomic_load_n(&rings->in_read, __ATOMIC_ACQUIRE);

	return used < IN_BYTES ? IN_BYTES - used : 0;
}

static void input(void *of, const char *data, size_t count)
{
	struct xen_device *xen = of;
	uint32_t at = xen->rings->in_written;

	for (size_t i = 0; i < count; i++)
		xen->rings->in[at++ % IN_BYTES] = data[i];
	__atomic_store_n(&xen->rings->in_written, at, __ATOMIC_RELEASE);
	changed(xen);
}

static void drained(void *of)
{
	empty_ring(of);
}

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

static void on_xen(struct vm *vm, uint32_t op, uint32_t value, const char *data)
{
	switch (op) {
	case GONDOLA_XEN_CONSOLE:
		for (uint32_t i = 0; i < value && i < GONDOLA_RUN_SIZE - GONDOLA_RUN_IO_OFFSET; i++)
			console_put(device->console, data[i]);
		break;
	case GONDOLA_XEN_SHUTDOWN:
		shut_down(vm, value);
		break;
	case GONDOLA_XEN_EVENT:
		if (value != device->port)
			break;
		empty_ring(device);
		console_more(device->console);
		break;
	}
}

void xen_create(struct vm *vm, struct console *console, uint64_t gpa, uint32_t port)
{
	static const struct console_guest guest = { .room = room, .input = input, .drained = drained };

	device = calloc(1, sizeof(*device));
	if (!device)
		fail(EXIT_CODE_ERROR, "out of memory");
	device->vm = vm;
	device->rings = memory_at(&vm->memory, gpa, sizeof(*device->rings));
	assert(device->rings);
	device->gpa = gpa;
	device->port = port;
	device->console = console;
	console_connect(console, &guest, device);
	vm->on_xen = on_xen;
}
