/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The devices on a guest's buses.  Each x_create() allocates a device, claims
 * its ports and registers its timers; devices live until the launcher ends.
 */
#ifndef DEVICE_DEVICE_H
#define DEVICE_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

struct bus_ops;
struct console;
struct error;
struct vm;

/* Ports and lines that the ACPI tables name too. */
#define SERIAL_PORT	0x3f8
#define SERIAL_IRQ	4
#define RTC_PORT	0x70
#define RTC_IRQ		8
#define PANIC_PORT	0x505
#define PM1_EVENT_PORT	0x600
#define PM1_CONTROL_PORT 0x604
#define PM_TIMER_PORT	0x608
#define SCI_IRQ		9
#define FIRMWARE_PORT	0xb2	/* a PC's programs call firmware by it */
#define RESET_PORT	0xcf9
#define RESET_VALUE	6
#define SLEEP_TYPE_S5	5	/* \_S5 in dsdt.asl */

/* virtio devices: a page each; lines above those of the ISA bus, shared where they run out. */
#define VIRTIO_MMIO_BASE	0xe0000000ull
#define VIRTIO_MMIO_STRIDE	0x1000u
#define VIRTIO_MAX_DEVICES	32
#define VIRTIO_GSI(slot)	(16 + (slot) % 8)	/* the PIC has them as GONDOLA_PIC_LINES */
#define VIRTIO_SLOT		8	/* of the module's memory slots: the pages of all */

void serial_create(struct vm *vm, struct console *console);
void rtc_create(struct vm *vm);
void acpi_pm_create(struct vm *vm);
/** acpi_pm_power_button() - press it; false: the guest does not listen. Any thread, no lock held */
bool acpi_pm_power_button(struct vm *vm);
void i8042_create(struct vm *vm);
/** pci_create() - configuration ports with nothing behind, and the reset register among them */
void pci_create(struct vm *vm);
/** post_create() - port 0x80, where firmware writes its progress and others write to wait */
void post_create(struct vm *vm);
/** firmware_create() - the port by which the BIOS's code (boot/bios_code.S) says what it does not serve */
void firmware_create(struct vm *vm);
/** panic_create() - the port by which a guest's kernel says that it has panicked */
void panic_create(struct vm *vm);
/** debug_exit_create() - false with @error, as below, if the user's choice of a port is taken */
bool debug_exit_create(struct vm *vm, uint16_t port, struct error *error);
/** count_port_create() - a 32-bit write notes the counters under the value written */
bool count_port_create(struct vm *vm, uint16_t port, struct error *error);

/** device_alloc() - zeroed memory for what is made with the VM, or fail() */
void *device_alloc(unsigned long bytes);
/** device_claim_port() - four bytes at @port, as @option says; false with @error if they are taken */
bool device_claim_port(struct vm *vm, const char *option, uint16_t port, const struct bus_ops *ops,
		       struct error *error);
/** struct irq_line - a line and its level as last told to the module; device lock held */
struct irq_line {
	struct vm *vm;
	uint32_t gsi;
	int level;
};
void irq_line_set(struct irq_line *line, int level);
/** irq_line_restore() - set the level, even if the module has another one */
void irq_line_restore(struct irq_line *line, int level);

#endif
