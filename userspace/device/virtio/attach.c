// SPDX-License-Identifier: GPL-2.0-only
/* Creates the devices of the command line, and gives them their places in the machine. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <json-c/json.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>

#include "vm/vm.h"
#include "sandbox/sandbox.h"
#include "balloon.h"
#include "devices.h"

/**
 * struct virtio_devices - the virtio devices of a VM
 * @devices: @count of them, in their places
 * @balloon: one of them, or NULL
 */
struct virtio_devices {
	struct virtio_device *devices[VIRTIO_MAX_DEVICES];
	unsigned int count;
	struct virtio_device *balloon;
};

struct virtio_device *virtio_balloon(const struct vm *vm)
{
	return vm->virtio ? vm->virtio->balloon : NULL;
}

struct virtio_device *virtio_device_at(const struct vm *vm, unsigned int slot)
{
	return vm->virtio && slot < vm->virtio->count ? vm->virtio->devices[slot] : NULL;
}

static uint64_t read_device(void *device, uint64_t offset, unsigned int bytes)
{
	return virtio_read(device, offset, bytes);
}

static void write_device(void *device, uint64_t offset, uint64_t value, unsigned int bytes)
{
	virtio_write(device, offset, value, bytes);
}

static bool connected(const struct virtio_device *device, int ret, struct error *error)
{
	return !ret || error_set(error, EXIT_CODE_ERROR, "%s: cannot connect it to the module: %s",
				 device->label, strerror(-ret));
}

/* By eventfds neither the notification nor the interrupt of a request exits to the launcher. */
static bool connect(struct vm *vm, struct virtio_device *device, unsigned int slot, struct error *error)
{
	uint64_t gpa = VIRTIO_MMIO_BASE + slot * VIRTIO_MMIO_STRIDE;
	int ret;

	ret = __gondola_ioeventfd(vm->fd, 0, device->kick_fd, gpa + VIRTIO_MMIO_QUEUE_NOTIFY, 4, 0,
				  NULL);
	if (!ret)
		ret = __gondola_ioeventfd(vm->fd, GONDOLA_IOEVENTFD_CLEAR, -1,
					  gpa + VIRTIO_MMIO_INTERRUPT_ACK, 4, 0,
					  device->registers + VIRTIO_MMIO_INTERRUPT_STATUS);
	if (!ret)
		ret = __gondola_irqfd(vm->fd, 0, device->irq_fd, VIRTIO_GSI(slot));
	return connected(device, ret, error);
}

static bool name(struct vm *vm, struct virtio_device *device, unsigned int slot, unsigned int index,
		 struct error *error)
{
	return connected(device, virtio_name(device, vm->fd, slot + 1, index), error);
}

static void begin_device(void)
{
	sandbox_thread(SANDBOX_DEVICE);
}

static void begin_net(void)
{
	sandbox_thread(SANDBOX_NET);
}

bool virtio_makes_connections(const struct virtio_spec *spec)
{
	return spec->kind == VIRTIO_NET && !strncmp(spec->value, "user", 4);
}

/* Of a wrong word the device says more. */
static bool is_image(const char *spec)
{
	struct disk_options options = { .readonly = false };
	char *path = strdup(spec);
	bool image = path && disk_split(path, &options, NULL) && disk_is_served(&options);

	free(path);
	return image;
}

bool virtio_shares_memory(const struct virtio_spec *specs, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		if (specs[i].kind == VIRTIO_VHOST_USER ||
		    (specs[i].kind == VIRTIO_DISK && is_image(specs[i].value)))
			return true;
	return false;
}

/* @device: NULL if it could not be created; then @error has the reason. */
static bool place(struct vm *vm, struct virtio_device *device, struct error *error)
{
	static const struct bus_ops ops = { .read = read_device, .write = write_device };
	struct virtio_devices *all = vm->virtio;
	unsigned int before = 0, slot = all->count;

	if (!device)
		return false;
	for (unsigned int i = 0; i < slot; i++)
		before += all->devices[i]->ops == device->ops;
	virtio_register(device, slot);
	device->begin = begin_device;
	all->devices[all->count++] = device;
	/* A paravirtualized guest has no place for registers. */
	if (vm->on_xen)
		return name(vm, device, slot, before, error);
	vm_add_mmio(vm, VIRTIO_MMIO_BASE + slot * VIRTIO_MMIO_STRIDE, VIRTIO_MMIO_STRIDE, 8, &ops,
		    device);
	return connect(vm, device, slot, error) && name(vm, device, slot, before, error);
}

/* Collect the values of all ports; returns their number. */
static unsigned int ports_of(const struct virtio_spec *specs, unsigned int count,
			     const char **values)
{
	unsigned int ports = 0;

	for (unsigned int i = 0; i < count; i++)
		if (specs[i].kind == VIRTIO_PORT)
			values[ports++] = specs[i].value;
	return ports;
}

unsigned int virtio_count(const struct virtio_spec *specs, unsigned int count)
{
	const char *values[VIRTIO_MAX_DEVICES];
	unsigned int ports = ports_of(specs, count, values);

	return count - (ports ? ports - 1 : 0);
}

static bool create(struct vm *vm, const struct virtio_spec *spec, uint8_t *registers,
		   struct error *error)
{
	struct guest_memory *memory = &vm->memory;
	struct virtio_device *device;

	switch (spec->kind) {
	case VIRTIO_DISK:
		device = (is_image(spec->value) ? image_create : block_create)(memory, registers,
									       spec->value, error);
		break;
	case VIRTIO_VHOST_USER:
		device = vhost_blk_create(memory, registers, spec->value, error);
		break;
	case VIRTIO_RNG:
		device = rng_create(memory, registers, error);
		break;
	case VIRTIO_NET:
		device = net_create(memory, registers, spec->value, error);
		break;
	default:
		device = balloon_create(memory, registers, spec->kind == VIRTIO_BALLOON_OOM, error);
		vm->virtio->balloon = device;
		break;
	}
	if (!place(vm, device, error))
		return false;
	if (virtio_makes_connections(spec))
		device->begin = begin_net;
	return true;
}

bool virtio_create_all(struct vm *vm, const struct virtio_spec *specs, unsigned int count,
		       struct error *error)
{
	size_t bytes = virtio_count(specs, count) * VIRTIO_MMIO_STRIDE;
	const char *ports[VIRTIO_MAX_DEVICES];
	unsigned int nr_ports = ports_of(specs, count, ports);
	uint8_t *pages;
	int ret;

	if (!count)
		return true;
	vm->virtio = calloc(1, sizeof(*vm->virtio));
	if (!vm->virtio)
		return error_set(error, EXIT_CODE_MEMORY, "no memory for the devices");
	pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED)
		return error_set(error, EXIT_CODE_ERROR,
				 "cannot allocate the devices' registers: %s", strerror(errno));
	for (unsigned int i = 0; i < count; i++) {
		uint8_t *registers = pages + vm->virtio->count * VIRTIO_MMIO_STRIDE;

		/* The first port stands for all. */
		if (specs[i].kind == VIRTIO_PORT && nr_ports) {
			if (!place(vm, console_create(&vm->memory, registers, ports, nr_ports,
						      error), error))
				return false;
			nr_ports = 0;
		} else if (specs[i].kind != VIRTIO_PORT && !create(vm, &specs[i], registers, error)) {
			return false;
		}
	}
	if (vm->on_xen)
		return true;
	/* Reads go to memory; writes exit to us. */
	ret = __gondola_set_memory(vm->fd, VIRTIO_SLOT, GONDOLA_MEM_READONLY, VIRTIO_MMIO_BASE,
				   bytes, pages);
	return !ret || error_set(error, EXIT_CODE_ERROR,
				 "cannot give the devices' registers to the module: %s",
				 strerror(-ret));
}

bool virtio_start_all(struct vm *vm, struct error *error)
{
	for (unsigned int i = 0; vm->virtio && i < vm->virtio->count; i++) {
		struct virtio_device *device = vm->virtio->devices[i];
		int ret = virtio_start(device);

		if (ret)
			return error_set(error, EXIT_CODE_ERROR, "%s: cannot start its thread: %s",
					 device->label, strerror(-ret));
	}
	return true;
}

/* Its index is that among the devices of its kind, as in traces. */
static struct json_object *counts_of(const struct virtio_device *device, unsigned int index)
{
	static const char *const names[VIRTIO_COUNTERS] = {
		[VIRTIO_IN] = "in", [VIRTIO_IN_BYTES] = "in_bytes",
		[VIRTIO_OUT] = "out", [VIRTIO_OUT_BYTES] = "out_bytes",
		[VIRTIO_FLUSHES] = "flushes", [VIRTIO_DISCARDS] = "discards",
		[VIRTIO_ERRORS] = "errors", [VIRTIO_DROPPED] = "dropped",
	};
	struct json_object *counts = json_object_new_object();

	json_object_object_add(counts, "kind", json_object_new_string(device->ops->name));
	json_object_object_add(counts, "index", json_object_new_int(index));
	json_object_object_add(counts, "label", json_object_new_string(device->label));
	for (unsigned int i = 0; i < VIRTIO_COUNTERS; i++)
		json_object_object_add(counts, names[i], json_object_new_uint64(
			__atomic_load_n(&device->counters[i], __ATOMIC_RELAXED)));
	return counts;
}

struct json_object *virtio_counts_json(const struct vm *vm)
{
	struct json_object *list = json_object_new_array();
	unsigned int disks = 0, cards = 0;

	for (unsigned int i = 0; vm->virtio && i < vm->virtio->count; i++) {
		const struct virtio_device *device = vm->virtio->devices[i];

		if (device->ops->id == VIRTIO_ID_BLOCK)
			json_object_array_add(list, counts_of(device, disks++));
		else if (device->ops->id == VIRTIO_ID_NET)
			json_object_array_add(list, counts_of(device, cards++));
	}
	return list;
}

void virtio_stop_all(struct vm *vm)
{
	/* The module releases their eventfds with the VM. */
	for (unsigned int i = 0; vm->virtio && i < vm->virtio->count; i++) {
		virtio_stop(vm->virtio->devices[i]);
		virtio_destroy(vm->virtio->devices[i]);
	}
	free(vm->virtio);
	vm->virtio = NULL;
	devices_forget();
}
