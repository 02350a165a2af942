// SPDX-License-Identifier: GPL-2.0-only
/* The console of a paravirtualized guest: a page with two rings, which the guest and we fill and empty. */
#include "lib/libgondola.h"
#include "vm/console.h"
#include "vm/vm.h"
#include "device/device.h"
#include "device/state.h"
#include "xen.h"

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

struct xen_console {
	struct vm *vm;
	struct rings *rings;
	uint64_t gpa;
	uint32_t port;
	struct console *console;
};

/* The guest is told, since it may wait for what has changed. */
static void changed(struct xen_console *xen)
{
	memory_mark_dirty(&xen->vm->memory, 0, xen->gpa, sizeof(*xen->rings));
	__gondola_xen_raise(xen->vm->fd, xen->port);
}

/*
 * The guest's counters are its own: whatever they say, no more than a ring is copied.  What the console
 * has no room for stays in the ring.
 */
static void empty_ring(struct xen_console *xen)
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
	const struct rings *rings = ((struct xen_console *)of)->rings;
	uint32_t used;

	if (!rings || devices_frozen())
		return 0;
	used = rings->in_written - __atomic_load_n(&rings->in_read, __ATOMIC_ACQUIRE);

	return used < IN_BYTES ? IN_BYTES - used : 0;
}

static void input(void *of, const char *data, size_t count)
{
	struct xen_console *xen = of;
	uint32_t at = xen->rings->in_written;

	for (size_t i = 0; i < count; i++)
		xen->rings->in[at++ % IN_BYTES] = data[i];
	__atomic_store_n(&xen->rings->in_written, at, __ATOMIC_RELEASE);
	changed(xen);
}

static void drained(void *of)
{
	struct xen_console *xen = of;

	if (xen->rings && !devices_frozen())
		empty_ring(xen);
}

void xen_console_serve(struct xen_console *xen)
{
	empty_ring(xen);
	console_more(xen->console);
}

void xen_console_say(struct xen_console *xen, const char *data, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		console_put(xen->console, data[i]);
}

void xen_console_place(struct xen_console *xen, void *page, uint64_t gpa, uint32_t port)
{
	xen->rings = page;
	xen->gpa = gpa;
	xen->port = port;
}

struct xen_console *xen_console_create(struct vm *vm, struct console *console)
{
	static const struct console_guest guest = { .room = room, .input = input, .drained = drained };
	struct xen_console *xen = device_alloc(sizeof(*xen));

	xen->vm = vm;
	xen->console = console;
	console_connect(console, &guest, xen);
	return xen;
}
