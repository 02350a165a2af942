// SPDX-License-Identifier: GPL-2.0-only
/* The port by which a guest's kernel says that it has panicked (QEMU's docs/specs/pvpanic). */
#include "device.h"
#include "vm/vm.h"

#define PANICKED	(1u << 0)
#define CRASH_LOADED	(1u << 1)	/* … and boots another kernel, which sees to it */

static uint64_t panic_read(void *device, uint64_t offset, unsigned int bytes)
{
	(void)device;
	(void)offset;
	(void)bytes;
	return PANICKED | CRASH_LOADED;
}

static void panic_write(void *device, uint64_t offset, uint64_t value, unsigned int bytes)
{
	struct vm *vm = device;

	(void)offset;
	(void)bytes;
	if (value & (PANICKED | CRASH_LOADED) && vm->panicked)
		vm->panicked(vm);
}

void panic_create(struct vm *vm)
{
	static const struct bus_ops ops = { .read = panic_read, .write = panic_write };

	vm_add_pio(vm, PANIC_PORT, 1, 1, &ops, vm);
}
