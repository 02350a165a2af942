// SPDX-License-Identifier: GPL-2.0-only
/* Devices with a single port: configuration of an empty PCI bus, POST codes, firmware, debug exit. */
#include "device.h"
#include "base/error.h"
#include "vm/vm.h"

#define PCI_PORT	0xcf8
#define FIRST_SERVICE	0x10		/* interrupts below are exceptions, or devices' */
#define RESET_NOW	4		/* bit of the reset register that resets */

static void pci_write(void *device, uint64_t offset, uint64_t value, unsigned int bytes)
{
	if (offset == RESET_PORT - PCI_PORT && bytes == 1 && value & RESET_NOW)
		vm_end(device, VM_RESET, "the guest reset itself (reset register)");
}

void pci_create(struct vm *vm)
{
	/* No read operation: reads give all ones, as on a bus without devices. */
	static const struct bus_ops ops = { .write = pci_write };

	vm_add_pio(vm, PCI_PORT, 8, 4, &ops, vm);
}

void post_create(struct vm *vm)
{
	static const struct bus_ops ops = { .write = NULL };

	vm_add_pio(vm, 0x80, 1, 1, &ops, vm);
}

static void firmware_write(void *device, uint64_t offset, uint64_t value, unsigned int bytes)
{
	unsigned int vector = value & 0xff, function = value >> 8 & 0xff;

	if (offset || bytes != 2)
		return;
	if (vector < FIRST_SERVICE)
		vm_end(device, VM_ERROR, "the guest raised exception %u in real mode and has no handler for it",
		       vector);
	else
		vm_end(device, VM_ERROR, "the guest called the BIOS (interrupt 0x%02x, function 0x%02x), which this machine does not have",
		       vector, function);
}

void firmware_create(struct vm *vm)
{
	static const struct bus_ops ops = { .write = firmware_write };

	vm_add_pio(vm, FIRMWARE_PORT, 2, 2, &ops, vm);
}

bool device_claim_port(struct vm *vm, const char *option, uint16_t port, const struct bus_ops *ops,
		       struct error *error)
{
	if (port <= 0xffff - 3 && !bus_add(&vm->pio, port, 4, 4, ops, vm))
		return true;
	return error_set(error, EXIT_CODE_USAGE, "%s 0x%x: these ports are taken by another device",
			 option, port);
}

static void debug_exit_write(void *device, uint64_t offset, uint64_t value, unsigned int bytes)
{
	/* Narrower writes come from drivers that probe for other devices. */
	if (offset == 0 && bytes == 4)
		vm_debug_exit(device, value);
}

bool debug_exit_create(struct vm *vm, uint16_t port, struct error *error)
{
	static const struct bus_ops ops = { .write = debug_exit_write };

	return device_claim_port(vm, "--debug-exit", port, &ops, error);
}
