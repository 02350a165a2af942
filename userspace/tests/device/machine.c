// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "machine.h"
#include "vm/console.h"
#include "base/fail.h"

struct machine machine;

/* Devices are never freed, nor are they in the launcher. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

void vm_add_pio(struct vm *vm, uint16_t start, unsigned int count, unsigned int width,
		const struct bus_ops *ops, void *device)
{
	require_equal(bus_add(&vm->pio, start, count, width, ops, device), 0);
}

void vm_end(struct vm *vm, enum vm_end_kind kind, const char *format, ...)
{
	(void)format;
	vm->end = kind;
}

void vm_debug_exit(struct vm *vm, uint32_t value)
{
	vm->end = VM_DEBUG_EXIT;
	vm->end_value = value;
}

uint64_t vm_clock_ns(struct vm *vm)
{
	(void)vm;
	return machine.now_ns += machine.step_ns;
}

void gondola_irq_line(int vm, uint32_t gsi, bool level)
{
	(void)vm;
	machine.lines[gsi] = level;
	machine.driven[gsi]++;
}

void console_connect(struct console *console, const struct console_guest *guest, void *device)
{
	(void)console;
	machine.guest = guest;
	machine.guest_device = device;
}

void console_put(struct console *console, char c)
{
	(void)console;
	machine.output[machine.printed++ % sizeof(machine.output)] = c;
}

bool console_room(struct console *console)
{
	(void)console;
	return !machine.full;
}

void console_more(struct console *console)
{
	(void)console;
	machine.more++;
}

void machine_start(void)
{
	memset(&machine, 0, sizeof(machine));
	machine.vm.memory.low = 64 << 20;
	machine.vm.memory.bytes = 64 << 20;
	machine.vm.nr_vcpus = 1;
	machine.now_ns = 1000000000;
	pthread_mutex_init(&machine.vm.devices, NULL);
	loop_init(&machine.vm.device_loop);
	serial_create(&machine.vm, NULL);
	rtc_create(&machine.vm);
	acpi_pm_create(&machine.vm);
	i8042_create(&machine.vm);
	pci_create(&machine.vm);
	post_create(&machine.vm);
	require(debug_exit_create(&machine.vm, 0xf4, NULL));
}

void machine_end(void)
{
	for (unsigned int i = 0; i < machine.vm.device_loop.room; i++)
		if (machine.vm.device_loop.sources[i].fd >= 0)
			close(machine.vm.device_loop.sources[i].fd);
	free(machine.vm.device_loop.sources);
	devices_forget();
}

uint32_t in(uint16_t port, unsigned int bytes)
{
	uint32_t value = 0;

	bus_access(&machine.vm.pio, port, &value, bytes, false);
	return value;
}

void out(uint16_t port, uint32_t value, unsigned int bytes)
{
	bus_access(&machine.vm.pio, port, &value, bytes, true);
}
