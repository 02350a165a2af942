// SPDX-License-Identifier: GPL-2.0-only
/* The interrupt chips of a VM: life, lines, and dispatch by address. */
#include <linux/nospec.h>
#include <linux/slab.h>
#include "irqchip.h"
#include "lapic.h"

static_assert(GONDOLA_NR_GSI == IOAPIC_PINS);

/* ISA line 0 (the PIT) is wired to pin 2; line 2 is the PIC's cascade. */
#define GSI_PIT		0
#define GSI_CASCADE	2
#define NR_ISA		16

/*
 * GSIs 16 to 23 are the PCI interrupts A to H of a PC.  For guests that do not use the I/O APIC a
 * router passes each to a line of the PIC as well.  No other device has these lines.
 */
static const u8 pic_line_of[GONDOLA_NR_GSI - NR_ISA] = GONDOLA_PIC_LINES;

int gondola_irqchip_create(struct gondola_vm *vm)
{
	struct gondola_irqchip *chip = kzalloc(sizeof(*chip), GFP_KERNEL_ACCOUNT);

	if (!chip)
		return -ENOMEM;
	chip->vm = vm;
	spin_lock_init(&chip->lock);
	pic_init(chip);
	ioapic_init(chip);
	pit_init(chip);
	vm->irqchip = chip;
	return 0;
}

void gondola_irqchip_destroy(struct gondola_vm *vm)
{
	if (!vm->irqchip)
		return;
	pit_destroy(vm->irqchip);
	kfree(vm->irqchip);
	vm->irqchip = NULL;
}

static u8 pic_line(u32 gsi)
{
	return pic_line_of[array_index_nospec(gsi - NR_ISA, ARRAY_SIZE(pic_line_of))];
}

static void route(struct gondola_irqchip *chip, u32 gsi)
{
	u16 line = BIT(pic_line(gsi));

	chip->routed = irqchip_level(chip, gsi) ? chip->routed | line : chip->routed & ~line;
}

void irqchip_restore_level(struct gondola_irqchip *chip, u32 gsi, bool level)
{
	lockdep_assert_held(&chip->lock);
	/* The router holds such a line, regardless of the order in which chips are restored. */
	if (gsi < NR_ISA && chip->routed & BIT(gsi))
		level = false;
	chip->sources[gsi] = level ? BIT(gsi ? GONDOLA_IRQ_LAUNCHER : GONDOLA_IRQ_PIT) : 0;
	if (gsi >= NR_ISA) {
		route(chip, gsi);
		if (level)
			chip->sources[pic_line(gsi)] = 0;
	}
}

static void set_line(struct gondola_irqchip *chip, u32 gsi, enum gondola_irq_source source,
		     bool level)
{
	u8 was = chip->sources[gsi];
	u8 sources = level ? was | BIT(source) : was & ~BIT(source);

	if (sources == was)
		return;
	chip->sources[gsi] = sources;
	if (gsi >= NR_ISA) {
		route(chip, gsi);
		pic_update_line(chip, pic_line(gsi));
	} else if (gsi != GSI_CASCADE) {
		pic_update_line(chip, gsi);
	}
	ioapic_update_pin(chip, gsi == GSI_PIT ? GSI_CASCADE : gsi);
}

void gondola_irq_set_line(struct gondola_vm *vm, u32 gsi, enum gondola_irq_source source,
			  bool level)
{
	struct gondola_irqchip *chip = vm->irqchip;
	unsigned long flags;

	if (WARN_ON_ONCE(gsi >= GONDOLA_NR_GSI))
		return;
	gsi = array_index_nospec(gsi, GONDOLA_NR_GSI);
	spin_lock_irqsave(&chip->lock, flags);
	set_line(chip, gsi, source, level);
	spin_unlock_irqrestore(&chip->lock, flags);
}

void irq_pulse(struct gondola_vm *vm, u32 gsi, enum gondola_irq_source source)
{
	struct gondola_irqchip *chip = vm->irqchip;
	unsigned long flags;

	gsi = array_index_nospec(gsi, GONDOLA_NR_GSI);
	spin_lock_irqsave(&chip->lock, flags);
	set_line(chip, gsi, source, true);
	set_line(chip, gsi, source, false);
	spin_unlock_irqrestore(&chip->lock, flags);
}

static bool pio_byte(struct gondola_irqchip *chip, u16 port, bool write, u8 *val)
{
	switch (port) {
	case 0x20 ... 0x21:
	case 0xa0 ... 0xa1:
	case 0x4d0 ... 0x4d1:
		if (write)
			pic_write(chip, port, *val);
		else
			*val = pic_read(chip, port);
		return true;
	case 0x40 ... 0x43:
	case 0x61:
		if (write)
			pit_write(chip, port, *val);
		else
			*val = pit_read(chip, port);
		return true;
	default:
		return false;
	}
}

bool gondola_irq_pio(struct gondola_vcpu *vcpu, u16 port, unsigned int bytes, bool write, u32 *val)
{
	struct gondola_irqchip *chip = vcpu->vm->irqchip;
	u32 out = 0;
	unsigned int i;
	u8 byte;

	byte = write ? *val : 0xff;
	if (!pio_byte(chip, port, write, &byte))
		return false;
	/* The chips have 8 bits: the bus splits a wider access into bytes. */
	out = byte;
	for (i = 1; i < bytes; i++) {
		byte = write ? *val >> (i * 8) : 0xff;
		pio_byte(chip, port + i, write, &byte);
		out |= (u32)byte << (i * 8);
	}
	if (!write)
		*val = out;
	return true;
}

int gondola_irq_mmio(struct gondola_vcpu *vcpu, u64 gpa, unsigned int bytes, bool write,
		     void *data)
{
	u64 page = gpa & GONDOLA_PAGE_MASK;

	if (WARN_ON_ONCE(bytes > 8))
		return -ENXIO;
	if (page == vcpu->lapic->mmio)
		return lapic_mmio(vcpu, gpa & ~GONDOLA_PAGE_MASK, bytes, write, data);
	if (page != IOAPIC_BASE)
		return -ENXIO;
	ioapic_mmio(vcpu, gpa & ~GONDOLA_PAGE_MASK, bytes, write, data);
	return 0;
}
