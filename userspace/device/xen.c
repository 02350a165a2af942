// SPDX-License-Identifier: GPL-2.0-only
/*
 * What stands behind a paravirtualized guest of Xen's interface: its console, and its end.  The console
 * is a page with two rings, which the guest and we fill and empty.
 */
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
	struct rings *rings;
	uint64_t gpa;
	uint32_t port;
	struct console *console;
};

static struct xen_device *device;

static void write_console(struct vm *vm, const char *data, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		bus_access(&vm->pio, SERIAL_PORT, (void *)&data[i], 1, true);
}

/* The guest's counters are its own: whatever they say, no more than a ring is copied. */
static void empty_ring(struct vm *vm)
{
	struct rings *rings = device->rings;
	uint32_t from = rings->out_read, to = __atomic_load_n(&rings->out_written, __ATOMIC_ACQUIRE);

	if (to - from > OUT_BYTES)
		from = to - OUT_BYTES;
	for (; from != to; from++)
		write_console(vm, &rings->out[from % OUT_BYTES], 1);
	__atomic_store_n(&rings->out_read, to, __ATOMIC_RELEASE);
	memory_mark_dirty(&vm->memory, 0, device->gpa, sizeof(*rings));
	/* It may wait for room. */
	__gondola_xen_raise(vm->fd, device->port);
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
		if (value <= GONDOLA_RUN_SIZE - GONDOLA_RUN_IO_OFFSET)
			write_console(vm, data, value);
		break;
	case GONDOLA_XEN_SHUTDOWN:
		shut_down(vm, value);
		break;
	case GONDOLA_XEN_EVENT:
		if (value == device->port)
			empty_ring(vm);
		break;
	}
}

bool xen_create(struct vm *vm, uint64_t console, uint32_t port)
{
	device = calloc(1, sizeof(*device));
	if (!device)
		fail(EXIT_CODE_ERROR, "out of memory");
	device->rings = memory_at(&vm->memory, console, sizeof(*device->rings));
	device->gpa = console;
	device->port = port;
	vm->on_xen = on_xen;
	return device->rings;
}
