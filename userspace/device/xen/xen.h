/* SPDX-License-Identifier: GPL-2.0-only */
/* What stands behind a paravirtualized guest of Xen's interface; shared by the files of this folder. */
#ifndef DEVICE_XEN_XEN_H
#define DEVICE_XEN_XEN_H

#include <stdint.h>
#include "device/virtio/virtio.h"
#include "grants.h"
#include "store.h"

struct console;
struct xen_console;

/**
 * struct xen_backend - a device of ours, behind a driver of the guest's
 * @device: it; the driver's rings are another form of its queues
 * @front, @back: the nodes of both sides in the store
 * @open: take what the driver wrote to its nodes and attach it; NULL, or words that say what is wrong
 * @port: event channel from and to the driver; 0: it is not connected
 * @rings: of its queues, see xen_backend_ring()
 */
struct xen_backend {
	struct vm *vm;
	struct store *store;
	const struct grants *grants;
	struct virtio_device *device;
	char front[64];
	char back[64];
	const char *(*open)(struct xen_backend *backend);
	uint32_t port;
	void *rings[VIRTIO_MAX_QUEUES];
};

/** xen_console_create() - the guest's side of @console, with no page yet */
struct xen_console *xen_console_create(struct vm *vm, struct console *console);
/** xen_console_place() - its page and event channel are these */
void xen_console_place(struct xen_console *console, void *page, uint64_t gpa, uint32_t port);
/** xen_console_serve() - the guest has written or read; device lock held */
void xen_console_serve(struct xen_console *console);
/** xen_console_say() - what the kernel says before it has a console */
void xen_console_say(struct xen_console *console, const char *data, uint32_t bytes);

/** xen_backend_number() - read a number that the driver wrote to its node @name; false: there is none */
bool xen_backend_number(const struct xen_backend *backend, const char *name, uint32_t *number);
/** xen_backend_read() - read what the driver wrote to its node @name; NULL */
const char *xen_backend_read(const struct xen_backend *backend, const char *name);
/** xen_backend_tell() - write the node @name of one side, @of: @backend->front or @backend->back */
void xen_backend_tell(struct xen_backend *backend, const char *of, const char *name, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/** xen_backend_name() - give both sides their names: @kind and number */
void xen_backend_name(struct xen_backend *backend, const char *kind, unsigned int number);
/** xen_backend_ring() - give a queue its form; @ring, which begins with a struct xen_ring, is the backend's */
void xen_backend_ring(struct xen_backend *backend, unsigned int queue, const struct queue_form *form, void *ring);
/** xen_backend_begin() - let the guest find the device, of which all else is told */
void xen_backend_begin(struct xen_backend *backend);
/** xen_backend_attach() - start the device with its rings there; NULL, or words that say what is wrong */
const char *xen_backend_attach(struct xen_backend *backend, const uint64_t *rings);
/** xen_net_create() - make a network card the @number-th of the guest; device lock held */
void xen_net_create(struct xen_backend *backend, unsigned int number);
#define XEN_DISK_NAME	8
/** xen_disk_number() - the number that drivers know the @number-th disk by; @name: theirs for it */
unsigned int xen_disk_number(unsigned int number, char name[XEN_DISK_NAME]);
/** xen_disk_create() - make a disk the @number-th of the guest; device lock held */
void xen_disk_create(struct xen_backend *backend, unsigned int number);

#endif
