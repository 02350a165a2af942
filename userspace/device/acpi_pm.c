// SPDX-License-Identifier: GPL-2.0-only
/* ACPI's fixed hardware: PM1 event and control blocks, PM timer, SCI. */
#include "device.h"
#include "state.h"
#include "vm/vm.h"

#define TIMER_HZ	3579545ull
#define NS		1000000000ull
#define MAX_TICKS	(1ull << 54)	/* more than a century */

#define PM1_TIMER	(1u << 0)	/* bit 31 of the PM timer has changed */
#define PM1_GLOBAL	(1u << 5)
#define PM1_POWER	(1u << 8)
#define PM1_SLEEP	(1u << 9)
#define PM1_RTC		(1u << 10)
#define PM1_WAKE	(1u << 15)
#define PM1_STATUS	(PM1_TIMER | PM1_GLOBAL | PM1_POWER | PM1_SLEEP | PM1_RTC | PM1_WAKE)
#define PM1_ENABLE	(PM1_TIMER | PM1_GLOBAL | PM1_POWER | PM1_SLEEP | PM1_RTC)
#define CONTROL_SCI	(1u << 0)
#define CONTROL_SLEEP	(1u << 13)
#define CONTROL_TYPE(v)	((v) >> 10 & 7)

struct acpi_pm {
	struct irq_line sci;
	struct vm *vm;
	int timer;
	uint64_t start_ns;
	uint64_t loaded_ns;		/* age of the timer in the record, until it starts again */
	uint64_t last;			/* the timer's value at the last check of its top bit */
	uint16_t status;
	uint16_t enable;
	uint16_t control;
};

/* The time in ticks of the timer, with 64 bits. */
static uint64_t ticks(const struct acpi_pm *pm)
{
	uint64_t ns = vm_clock_ns(pm->vm) - pm->start_ns;

	/* Compute in two parts, so that no product overflows. */
	return ns / NS * TIMER_HZ + ns % NS * TIMER_HZ / NS;
}

static void update(struct acpi_pm *pm)
{
	uint64_t now = ticks(pm);

	if (now >> 31 != pm->last >> 31)
		pm->status |= PM1_TIMER;
	pm->last = now;
	irq_line_set(&pm->sci, pm->status & pm->enable);
	/* Only a guest that enabled the interrupt must be told when the bit changes. */
	if (pm->enable & ~pm->status & PM1_TIMER)
		loop_timer_set(pm->timer, ((1ull << 31) - now % (1ull << 31)) * NS / TIMER_HZ + 1, 0);
}

static void on_timer(void *argument, int fd, short events)
{
	struct acpi_pm *pm = argument;

	(void)events;
	loop_timer_ack(fd);
	vm_lock_devices(pm->vm);
	if (!devices_frozen())
		update(pm);
	vm_unlock_devices(pm->vm);
}

static uint64_t event_read(void *device, uint64_t offset, unsigned int bytes)
{
	struct acpi_pm *pm = device;

	(void)bytes;
	update(pm);
	return (pm->status | (uint32_t)pm->enable << 16) >> (8 * offset);
}

static void event_write(void *device, uint64_t offset, uint64_t value, unsigned int bytes)
{
	struct acpi_pm *pm = device;
	uint32_t mask = (bytes >= 4 ? ~0u : (1u << (8 * bytes)) - 1) << (8 * offset);
	uint32_t all = (uint32_t)value << (8 * offset);
	uint16_t enable_mask = mask >> 16;

	update(pm);
	pm->status &= ~(all & mask & PM1_STATUS);	/* a written 1 clears */
	pm->enable = ((pm->enable & ~enable_mask) | (all >> 16 & enable_mask)) & PM1_ENABLE;
	update(pm);
}

static uint64_t control_read(void *device, uint64_t offset, unsigned int bytes)
{
	struct acpi_pm *pm = device;

	(void)bytes;
	return pm->control >> (8 * offset);
}

static void control_write(void *device, uint64_t offset, uint64_t value, unsigned int bytes)
{
	struct acpi_pm *pm = device;
	uint16_t mask = (bytes >= 2 ? 0xffff : 0xff) << (8 * offset);
	uint16_t control = (pm->control & ~mask) | ((value << (8 * offset)) & mask);

	if (control & CONTROL_SLEEP && CONTROL_TYPE(control) == SLEEP_TYPE_S5)
		vm_end(pm->vm, VM_POWEROFF, "the guest powered off");
	/* ACPI's is the only mode, so SCI_EN is fixed.  SLP_EN reads as 0. */
	pm->control = (control & ~CONTROL_SLEEP) | CONTROL_SCI;
}

static uint64_t timer_read(void *device, uint64_t offset, unsigned int bytes)
{
	struct acpi_pm *pm = device;

	(void)bytes;
	return (uint32_t)ticks(pm) >> (8 * offset);
}

bool acpi_pm_power_button(struct vm *vm)
{
	bool enabled;

	vm_lock_devices(vm);
	enabled = vm->pm->enable & PM1_POWER;
	if (enabled) {
		vm->pm->status |= PM1_POWER;
		update(vm->pm);
	}
	vm_unlock_devices(vm);
	return enabled;
}

/* ---- saved state ---------------------------------------------------------------- */

static void thaw(void *device)
{
	struct acpi_pm *pm = device;

	/* The machine's clock may have been set meanwhile. */
	if (pm->loaded_ns)
		pm->start_ns = vm_clock_ns(pm->vm) - pm->loaded_ns;
	pm->loaded_ns = 0;
	irq_line_restore(&pm->sci, pm->status & pm->enable);
	update(pm);
}

static void save(void *device, struct state_writer *out)
{
	const struct acpi_pm *pm = device;

	state_put(out, "timer", 8, ticks(pm));
	state_put(out, "last", 8, pm->last);
	state_put(out, "status", 2, pm->status);
	state_put(out, "enable", 2, pm->enable);
	state_put(out, "control", 2, pm->control);
}

/* The timer continues from its saved value: it never goes back. */
static bool load(void *device, struct state_reader *in)
{
	struct acpi_pm *pm = device, new = { .sci = pm->sci, .vm = pm->vm, .timer = pm->timer };
	uint64_t timer;

	timer = state_take(in, "timer", 8, MAX_TICKS);
	new.last = state_take(in, "last", 8, timer);
	new.status = state_take(in, "status", 2, 0xffff);
	if (new.status & ~PM1_STATUS)
		state_refuse(in, "status", "0x%x has bits that do not exist", new.status);
	new.enable = state_take(in, "enable", 2, 0xffff);
	if (new.enable & ~PM1_ENABLE)
		state_refuse(in, "enable", "0x%x has bits that do not exist", new.enable);
	new.control = state_take(in, "control", 2, 0xffff);
	if (!(new.control & CONTROL_SCI) || new.control & CONTROL_SLEEP)
		state_refuse(in, "control", "0x%x is none that the chip has", new.control);
	if (!state_end(in))
		return false;
	/* Round up, so that no tick is repeated. */
	new.loaded_ns = timer / TIMER_HZ * NS + timer % TIMER_HZ * NS / TIMER_HZ + 1;
	new.start_ns = vm_clock_ns(pm->vm) - new.loaded_ns;
	*pm = new;
	return true;
}

static const struct device_state_ops state = {
	.name = "acpi-pm", .version = 1, .save = save, .load = load, .thaw = thaw,
};

void acpi_pm_create(struct vm *vm)
{
	static const struct bus_ops event = { .read = event_read, .write = event_write };
	static const struct bus_ops control = { .read = control_read, .write = control_write };
	static const struct bus_ops timer = { .read = timer_read };
	struct acpi_pm *pm = device_alloc(sizeof(*pm));

	vm->pm = pm;
	pm->vm = vm;
	pm->sci = (struct irq_line){ .vm = vm, .gsi = SCI_IRQ };
	pm->start_ns = vm_clock_ns(vm);
	pm->control = CONTROL_SCI;
	pm->timer = loop_timer(&vm->device_loop, on_timer, pm);
	vm_add_pio(vm, PM1_EVENT_PORT, 4, 4, &event, pm);
	vm_add_pio(vm, PM1_CONTROL_PORT, 2, 2, &control, pm);
	vm_add_pio(vm, PM_TIMER_PORT, 4, 4, &timer, pm);
	device_register(&state, 0, pm);
}
