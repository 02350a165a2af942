// SPDX-License-Identifier: GPL-2.0-only
/*
 * The I/O APIC: 24 pins, each with an entry that directs its interrupt.  A level-triggered pin
 * sends once, sets remote IRR, and sends again only after the EOI, which bounds a line that stays
 * high.  An edge on a masked pin is lost, as in the data sheet.
 */
#include <linux/bitops.h>
#include <linux/nospec.h>
#include <linux/string.h>
#include "irqchip.h"
#include "lapic.h"

static bool ioapic_send(struct gondola_irqchip *chip, u64 entry, struct gondola_vcpu *from)
{
	struct lapic_message msg = {
		.dest = entry >> REDIR_DEST_SHIFT,
		.logical = entry & REDIR_LOGICAL,
		.level = entry & REDIR_LEVEL,
		.vector = entry & REDIR_VECTOR,
		.mode = (entry & REDIR_MODE) >> DELIVERY_SHIFT,
		.shorthand = TO_DEST,
	};

	/* The chip has no delivery mode for start-up IPIs. */
	if (msg.mode == DELIVER_SIPI)
		return false;
	return lapic_deliver(chip->vm, &msg, from);
}

/* Send if a level-triggered pin can. */
static void ioapic_check_level(struct gondola_irqchip *chip, u32 pin, struct gondola_vcpu *from)
{
	struct ioapic *ioapic = &chip->ioapic;
	u64 entry = ioapic->redirect[pin];

	if (!(ioapic->level & BIT(pin)) || !(entry & REDIR_LEVEL) ||
	    (entry & (REDIR_MASKED | REDIR_REMOTE_IRR)))
		return;
	/* NMI and INIT are edges, since no EOI would clear remote IRR. */
	if (ioapic_send(chip, entry, from) &&
	    (entry & REDIR_MODE) >> DELIVERY_SHIFT <= DELIVER_LOWEST)
		ioapic->redirect[pin] |= REDIR_REMOTE_IRR;
}

void ioapic_update_pin(struct gondola_irqchip *chip, u32 pin)
{
	struct ioapic *ioapic = &chip->ioapic;
	bool level, was;

	lockdep_assert_held(&chip->lock);
	level = irqchip_level(chip, pin);
	if (pin == 2)
		level |= irqchip_level(chip, 0);
	was = ioapic->level & BIT(pin);
	if (level != was) {
		ioapic->level ^= BIT(pin);
		if (level) {
			u64 entry = ioapic->redirect[pin];

			if (entry & REDIR_LEVEL)
				ioapic_check_level(chip, pin, NULL);
			else if (!(entry & REDIR_MASKED))
				ioapic_send(chip, entry, NULL);
		}
	}
}

void ioapic_eoi(struct gondola_vcpu *vcpu, u8 vector)
{
	struct gondola_irqchip *chip = vcpu->vm->irqchip;
	struct ioapic *ioapic = &chip->ioapic;
	unsigned long flags;
	u32 pin;

	spin_lock_irqsave(&chip->lock, flags);
	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		if ((ioapic->redirect[pin] & (REDIR_VECTOR | REDIR_LEVEL | REDIR_REMOTE_IRR)) !=
		    (vector | REDIR_LEVEL | REDIR_REMOTE_IRR))
			continue;
		ioapic->redirect[pin] &= ~REDIR_REMOTE_IRR;
		ioapic_check_level(chip, pin, vcpu);
	}
	spin_unlock_irqrestore(&chip->lock, flags);
}

static u32 ioapic_read(struct ioapic *ioapic)
{
	u32 reg = ioapic->select;

	switch (reg) {
	case IOAPIC_REG_ID:
	case IOAPIC_REG_ARBITRATION:
		return ioapic->id;
	case IOAPIC_REG_VERSION:
		return IOAPIC_VERSION_VALUE;
	case IOAPIC_REG_REDIRECT ... IOAPIC_REG_REDIRECT + 2 * IOAPIC_PINS - 1:
		reg = array_index_nospec(reg - IOAPIC_REG_REDIRECT, 2 * IOAPIC_PINS);
		return ioapic->redirect[reg / 2] >> (reg & 1 ? 32 : 0);
	default:
		return 0;
	}
}

static void ioapic_write(struct gondola_irqchip *chip, u32 val, struct gondola_vcpu *from)
{
	struct ioapic *ioapic = &chip->ioapic;
	u32 reg = ioapic->select;
	u64 *entry, new;

	if (reg == IOAPIC_REG_ID) {
		ioapic->id = val & IOAPIC_ID_BITS;
		return;
	}
	if (reg < IOAPIC_REG_REDIRECT || reg >= IOAPIC_REG_REDIRECT + 2 * IOAPIC_PINS)
		return;
	reg = array_index_nospec(reg - IOAPIC_REG_REDIRECT, 2 * IOAPIC_PINS);
	entry = &ioapic->redirect[reg / 2];
	if (reg & 1)
		new = (*entry & GENMASK_ULL(31, 0)) | (u64)val << 32;
	else
		new = (*entry & (GENMASK_ULL(63, 32) | REDIR_READ_ONLY)) |
		      (val & ~REDIR_READ_ONLY);
	new &= REDIR_DEFINED;
	/* Without a directed EOI, software clears remote IRR by a switch to edge mode and back. */
	if (!(new & REDIR_LEVEL))
		new &= ~REDIR_REMOTE_IRR;
	*entry = new;
	ioapic_check_level(chip, reg / 2, from);
}

void ioapic_mmio(struct gondola_vcpu *vcpu, u32 offset, unsigned int bytes, bool write,
		 void *data)
{
	struct gondola_irqchip *chip = vcpu->vm->irqchip;
	struct ioapic *ioapic = &chip->ioapic;
	unsigned long flags;
	u32 val = 0;

	if (write)
		memcpy(&val, data, min_t(unsigned int, bytes, sizeof(val)));
	else
		memset(data, 0, bytes);
	spin_lock_irqsave(&chip->lock, flags);
	if (offset == IOAPIC_SELECT) {
		if (write)
			ioapic->select = val & 0xff;
		else
			val = ioapic->select;
	} else if (offset == IOAPIC_WINDOW) {
		/* The window takes only whole words. */
		if (!write)
			val = ioapic_read(ioapic);
		else if (bytes >= 4)
			ioapic_write(chip, val, vcpu);
	}
	spin_unlock_irqrestore(&chip->lock, flags);
	if (!write)
		memcpy(data, &val, min_t(unsigned int, bytes, sizeof(val)));
}

void ioapic_init(struct gondola_irqchip *chip)
{
	u32 pin;

	for (pin = 0; pin < IOAPIC_PINS; pin++)
		chip->ioapic.redirect[pin] = REDIR_MASKED;
}

int ioapic_get(struct gondola_vm *vm, struct gondola_rec_ioapic *rec)
{
	struct gondola_irqchip *chip = vm->irqchip;
	struct ioapic *ioapic = &chip->ioapic;
	unsigned long flags;

	memset(rec, 0, sizeof(*rec));
	spin_lock_irqsave(&chip->lock, flags);
	static_assert(sizeof(rec->redirect) == sizeof(ioapic->redirect));
	memcpy(rec->redirect, ioapic->redirect, sizeof(rec->redirect));
	rec->select = ioapic->select;
	rec->id = ioapic->id;
	rec->level = ioapic->level;
	/* Edges are sent at once or lost, so none is pending. */
	rec->irr = 0;
	spin_unlock_irqrestore(&chip->lock, flags);
	return 0;
}

int ioapic_set(struct gondola_vm *vm, const struct gondola_rec_ioapic *rec, u32 *bad)
{
	struct gondola_irqchip *chip = vm->irqchip;
	struct ioapic *ioapic = &chip->ioapic;
	unsigned long flags;
	u32 pin;

	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		u64 entry = rec->redirect[pin];

		*bad = offsetof(struct gondola_rec_ioapic, redirect) + pin * sizeof(entry);
		if (entry & ~REDIR_DEFINED ||
		    (entry & (REDIR_REMOTE_IRR | REDIR_LEVEL)) == REDIR_REMOTE_IRR)
			return -EINVAL;
	}
	*bad = offsetof(struct gondola_rec_ioapic, select);
	if (rec->select > 0xff)
		return -EINVAL;
	*bad = offsetof(struct gondola_rec_ioapic, id);
	if (rec->id & ~IOAPIC_ID_BITS)
		return -EINVAL;
	*bad = offsetof(struct gondola_rec_ioapic, level);
	if (rec->level >> IOAPIC_PINS)
		return -EINVAL;
	*bad = offsetof(struct gondola_rec_ioapic, irr);
	if (rec->irr)
		return -EINVAL;

	spin_lock_irqsave(&chip->lock, flags);
	memcpy(ioapic->redirect, rec->redirect, sizeof(ioapic->redirect));
	ioapic->select = rec->select;
	ioapic->id = rec->id;
	ioapic->level = rec->level;
	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		irqchip_restore_level(chip, pin == 2 ? 0 : pin, rec->level & BIT(pin));
		ioapic_check_level(chip, pin, NULL);
	}
	spin_unlock_irqrestore(&chip->lock, flags);
	return 0;
}

GONDOLA_VM_RECORD(ioapic, IOAPIC);
