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

/* Ports and lines that are also in the ACPI tables. */
#define SERIAL_PORT	0x3f8
#define SERIAL_IRQ	4
#define RTC_PORT	0x70
#define RTC_IRQ		8
#define PANIC_PORT	0x505
#define PM1_EVENT_PORT	0x600
#define PM1_CONTROL_PORT 0x604
#define PM_TIMER_PORT	0x608
#define SCI_IRQ		9
#define FIRMWARE_PORT	0xb2	/* by which programs call the firmware of a PC */
#define RESET_PORT	0xcf9
#define RESET_VALUE	6
#define GENERATION_GPA	0xef000u	/* of a page with the VM's generation ID, 16 bytes */
#define GENERATION_IRQ	13
#define SLEEP_TYPE_S5	5	/* \_S5 in dsdt.asl */

/* virtio devices: a page each, and a line above those of the ISA bus, shared if there are too few. */
#define VIRTIO_MMIO_BASE	0xe0000000ull
#define VIRTIO_MMIO_STRIDE	0x1000u
#define VIRTIO_MAX_DEVICES	32
#define VIRTIO_GSI(slot)	(16 + (slot) % 8)	/* GONDOLA_PIC_LINES at the PIC */
#define VIRTIO_SLOT		8	/* memory slot of the pages of all */

/**
 * struct xen_pages - what a guest of --personality xen shares with its devices
 * @console, @store: addresses of their pages
 * @console_port, @store_port: the event channels that go with them
 * @grants, @grant_bytes: the table of grants
 * @frames: the frames that the guest may grant end here
 * @cpus: how many it has, which it looks for in the store
 */
struct xen_pages {
	uint64_t console;
	uint64_t store;
	uint32_t console_port;
	uint32_t store_port;
	uint64_t grants;
	uint64_t grant_bytes;
	uint64_t frames;
	unsigned int cpus;
};

/**
 * xen_create() - what stands behind a guest of --personality xen
 * @pages: NULL: the guest is yet to come, and brings them along
 *
 * After serial_create(): keys go to the console of this guest.
 */
void xen_create(struct vm *vm, struct console *console, const struct xen_pages *pages);
/** xen_add_devices() - let such a guest find the VM's virtio devices, in the form that its drivers know */
void xen_add_devices(struct vm *vm);
/** xen_destroy() - forget it all; its devices have stopped */
void xen_destroy(void);
/** xen_power_button() - ask such a guest to power off; false: it does not listen; any thread, no lock held */
bool xen_power_button(struct vm *vm);
void serial_create(struct vm *vm, struct console *console);
void rtc_create(struct vm *vm);
void acpi_pm_create(struct vm *vm);
/**
 * acpi_pm_power_button() - press the button; false: the guest has not enabled it; any thread, no
 * lock held
 */
bool acpi_pm_power_button(struct vm *vm);
/**
 * generation_renew() - give the VM another generation ID; false with @error
 *
 * It has a new one when it boots and when it goes on from a state that others may go on from, too.
 * The guest takes fresh random numbers then.
 */
bool generation_renew(const struct vm *vm, struct error *error);
/** generation_notify() - tell the guest of it; the VM is paused, and its state is loaded */
void generation_notify(struct vm *vm);
void i8042_create(struct vm *vm);
/** pci_create() - create the configuration ports of an empty bus, with the reset register */
void pci_create(struct vm *vm);
/** post_create() - create port 0x80, which firmware writes to report progress, and others to wait */
void post_create(struct vm *vm);
/** firmware_create() - create the port where the BIOS's code (boot/bios_code.S) reports unknown calls */
void firmware_create(struct vm *vm);
/** panic_create() - the port by which a guest's kernel says that it has panicked */
void panic_create(struct vm *vm);
/** debug_exit_create() - create the debug exit; false with @error, as below, if the port is taken */
bool debug_exit_create(struct vm *vm, uint16_t port, struct error *error);
/** count_port_create() - create a port where a 32-bit write notes the counters, with the value */
bool count_port_create(struct vm *vm, uint16_t port, struct error *error);

/** device_alloc() - allocate zeroed memory for a part of the VM, or fail() */
void *device_alloc(unsigned long bytes);
/** device_claim_port() - claim four bytes at @port for @option; false with @error if they are taken */
bool device_claim_port(struct vm *vm, const char *option, uint16_t port, const struct bus_ops *ops,
		       struct error *error);
/** struct irq_line - a line and the level that the module was last told; device lock held */
struct irq_line {
	struct vm *vm;
	uint32_t gsi;
	int level;
};
void irq_line_set(struct irq_line *line, int level);
/** irq_line_restore() - set the level, and tell the module even if it did not change */
void irq_line_restore(struct irq_line *line, int level);

#endif
