// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two 8259A, the second on line 2 of the first, and their edge/level control registers.  An edge is
 * kept until it is acknowledged, even if the line falls before.  The real chip drops it and reports
 * a spurious interrupt.
 */
#include <linux/bitops.h>
#include "irqchip.h"
#include "lapic.h"

#define MASTER	0
#define SLAVE	1
#define CASCADE	2

/* Lines that can be level-triggered: all but timer, keyboard, cascade, RTC, FPU. */
static const u8 elcr_writable[2] = { 0xf8, 0xde };

/* The position of the most urgent of @lines, 0 … 7, counted from the line of highest priority. */
static unsigned int urgency(const struct pic_chip *chip, u8 lines)
{
	return __ffs(ror8(lines, chip->first));
}

/* The line for which the chip requests an interrupt, or -1. */
static int pic_line(const struct pic *pic, int which)
{
	const struct pic_chip *chip = &pic->chip[which];
	u8 wanted = chip->irr & ~chip->imr;
	u8 busy = chip->isr;
	unsigned int p;

	if (!wanted)
		return -1;
	if (chip->special_mask)
		busy &= ~chip->imr;
	if (chip->special_fully_nested && which == MASTER)
		busy &= ~BIT(CASCADE);
	p = urgency(chip, wanted);
	if (busy && urgency(chip, busy) <= p)
		return -1;
	return (p + chip->first) & 7;
}

/* Derive the cascade and the output.  Returns true if the output rose. */
static bool pic_derive(struct pic *pic)
{
	struct pic_chip *master = &pic->chip[MASTER];
	bool was = pic->output;

	if (pic_line(pic, SLAVE) >= 0)
		master->irr |= BIT(CASCADE);
	else
		master->irr &= ~BIT(CASCADE);
	WRITE_ONCE(pic->output, pic_line(pic, MASTER) >= 0);
	return pic->output && !was;
}

static void pic_update(struct gondola_irqchip *chip)
{
	if (pic_derive(&chip->pic)) {
		/* Pairs with the barrier in gondola_irq_pending(). */
		smp_mb();
		lapic_pic_raised(chip->vm);
	}
}

static void pic_set_line(struct pic_chip *chip, unsigned int line, bool level)
{
	u8 mask = BIT(line);

	if (level && ((chip->elcr & mask) || !(chip->level & mask)))
		chip->irr |= mask;
	else if (!level && (chip->elcr & mask))
		chip->irr &= ~mask;
	chip->level = level ? chip->level | mask : chip->level & ~mask;
}

void pic_update_line(struct gondola_irqchip *chip, u32 line)
{
	lockdep_assert_held(&chip->lock);
	pic_set_line(&chip->pic.chip[line >> 3], line & 7, irqchip_pic_level(chip, line));
	pic_update(chip);
}

/* Do an acknowledge cycle, or a poll, on one chip. */
static void pic_ack_line(struct pic_chip *chip, unsigned int line)
{
	u8 mask = BIT(line);

	if (!(chip->elcr & mask))
		chip->irr &= ~mask;
	if (!chip->auto_eoi)
		chip->isr |= mask;
	else if (chip->rotate_on_auto_eoi)
		chip->first = (line + 1) & 7;
}

int pic_ack(struct gondola_irqchip *chip, u8 *which)
{
	struct pic *pic = &chip->pic;
	unsigned long flags;
	int line, vector = -1;

	spin_lock_irqsave(&chip->lock, flags);
	line = pic_line(pic, MASTER);
	if (line >= 0) {
		pic_ack_line(&pic->chip[MASTER], line);
		vector = pic->chip[MASTER].base + line;
		*which = line;
		if (line == CASCADE) {
			line = pic_line(pic, SLAVE);
			if (line >= 0) {
				pic_ack_line(&pic->chip[SLAVE], line);
				*which = 8 + line;
			}
			/* Without a request the chip answers with its last line. */
			vector = pic->chip[SLAVE].base + (line >= 0 ? line : 7);
		}
		/* No kick: the vCPU's thread calls, and checks again before it enters. */
		pic_derive(pic);
	}
	spin_unlock_irqrestore(&chip->lock, flags);
	return vector;
}

/* Request an edge again.  A level requests by itself while the line is high. */
static void pic_take_back_line(struct pic_chip *chip, unsigned int line)
{
	u8 mask = BIT(line);

	chip->isr &= ~mask;
	if (!(chip->elcr & mask))
		chip->irr |= mask;
}

void pic_take_back(struct gondola_irqchip *chip, u8 line)
{
	struct pic *pic = &chip->pic;
	unsigned long flags;

	spin_lock_irqsave(&chip->lock, flags);
	if (line >= 8)
		pic_take_back_line(&pic->chip[SLAVE], line - 8);
	pic_take_back_line(&pic->chip[MASTER], line >= 8 ? CASCADE : line);
	pic_derive(pic);
	spin_unlock_irqrestore(&chip->lock, flags);
}

static void pic_init_word1(struct pic_chip *chip, u8 val)
{
	chip->irr &= chip->elcr;
	chip->isr = 0;
	chip->imr = 0;
	chip->first = 0;
	chip->auto_eoi = false;
	chip->rotate_on_auto_eoi = false;
	chip->special_mask = false;
	chip->special_fully_nested = false;
	chip->read_isr = false;
	chip->poll = false;
	chip->icw4 = val & 3;
	chip->init_state = 2;
}

/* Handle an initialisation word after the first. */
static void pic_init_word(struct pic_chip *chip, u8 val)
{
	switch (chip->init_state) {
	case 2:
		chip->base = val & 0xf8;
		chip->init_state = !(chip->icw4 & 2) ? 3 : chip->icw4 & 1 ? 4 : 0;
		break;
	case 3:		/* the wiring of the chips, which is fixed */
		chip->init_state = chip->icw4 & 1 ? 4 : 0;
		break;
	case 4:
		chip->auto_eoi = val & 2;
		chip->special_fully_nested = val & 0x10;
		chip->init_state = 0;
		break;
	}
}

/* Operation control word 2: end of interrupt and rotation. */
static void pic_end(struct pic_chip *chip, u8 val)
{
	bool rotate = val & 0x80, specific = val & 0x40, eoi = val & 0x20;
	unsigned int line = val & 7;
	u8 busy;

	if (!eoi) {
		if (specific && rotate)
			chip->first = (line + 1) & 7;
		else if (!specific)
			chip->rotate_on_auto_eoi = rotate;
		return;
	}
	if (!specific) {
		busy = chip->special_mask ? chip->isr & ~chip->imr : chip->isr;
		if (!busy)
			return;
		line = (urgency(chip, busy) + chip->first) & 7;
	}
	chip->isr &= ~BIT(line);
	if (rotate)
		chip->first = (line + 1) & 7;
}

static void pic_write_command(struct pic_chip *chip, u8 val)
{
	if (val & 0x10) {
		pic_init_word1(chip, val);
	} else if (val & 0x08) {	/* operation control word 3 */
		if (val & 0x40)
			chip->special_mask = val & 0x20;
		if (val & 0x02)
			chip->read_isr = val & 0x01;
		chip->poll = val & 0x04;
	} else {
		pic_end(chip, val);
	}
}

static struct pic_chip *pic_of_port(struct pic *pic, u16 port)
{
	return &pic->chip[port & 0x80 ? SLAVE : MASTER];
}

static void pic_write_elcr(struct gondola_irqchip *chip, int which, u8 val)
{
	struct pic_chip *c = &chip->pic.chip[which];

	c->elcr = val & elcr_writable[which];
	/* A level-triggered line requests while it is high. */
	c->irr = (c->irr & ~c->elcr) | (c->level & c->elcr);
}

void pic_write(struct gondola_irqchip *chip, u16 port, u8 val)
{
	struct pic_chip *c = pic_of_port(&chip->pic, port);
	unsigned long flags;

	spin_lock_irqsave(&chip->lock, flags);
	if (port >= 0x4d0)
		pic_write_elcr(chip, port & 1, val);
	else if (!(port & 1))
		pic_write_command(c, val);
	else if (c->init_state)
		pic_init_word(c, val);
	else
		c->imr = val;
	pic_update(chip);
	spin_unlock_irqrestore(&chip->lock, flags);
}

static u8 pic_poll(struct gondola_irqchip *chip, int which)
{
	int line = pic_line(&chip->pic, which);

	chip->pic.chip[which].poll = false;
	if (line < 0)
		return 0;
	pic_ack_line(&chip->pic.chip[which], line);
	pic_update(chip);
	return 0x80 | line;
}

u8 pic_read(struct gondola_irqchip *chip, u16 port)
{
	struct pic_chip *c = pic_of_port(&chip->pic, port);
	unsigned long flags;
	u8 val;

	spin_lock_irqsave(&chip->lock, flags);
	if (port >= 0x4d0)
		val = chip->pic.chip[port & 1].elcr;
	else if (c->poll)
		val = pic_poll(chip, c - chip->pic.chip);
	else if (port & 1)
		val = c->imr;
	else
		val = c->read_isr ? c->isr : c->irr;
	spin_unlock_irqrestore(&chip->lock, flags);
	return val;
}

void pic_init(struct gondola_irqchip *chip)
{
	/* The state that firmware leaves: the IBM PC's vectors, all lines masked. */
	chip->pic.chip[MASTER].base = 0x08;
	chip->pic.chip[SLAVE].base = 0x70;
	chip->pic.chip[MASTER].imr = 0xff;
	chip->pic.chip[SLAVE].imr = 0xff;
}

int pic_get(struct gondola_vm *vm, struct gondola_rec_pic *rec)
{
	struct gondola_irqchip *chip = vm->irqchip;
	struct pic *pic = &chip->pic;
	unsigned long flags;
	int i;

	memset(rec, 0, sizeof(*rec));
	spin_lock_irqsave(&chip->lock, flags);
	for (i = 0; i < 2; i++) {
		const struct pic_chip *c = &pic->chip[i];

		rec->chip[i].irr = c->irr;
		rec->chip[i].isr = c->isr;
		rec->chip[i].imr = c->imr;
		rec->chip[i].vector_base = c->base;
		rec->chip[i].init_state = c->init_state;
		rec->chip[i].auto_eoi = c->auto_eoi;
		rec->chip[i].rotate_on_auto_eoi = c->rotate_on_auto_eoi;
		rec->chip[i].special_mask = c->special_mask;
		rec->chip[i].read_isr = c->read_isr;
		rec->chip[i].poll = c->poll;
		rec->chip[i].priority_add = c->first;
		rec->chip[i].last_level = c->level;
		rec->chip[i].elcr = c->elcr;
		rec->chip[i].icw4 = c->icw4;
		rec->chip[i].special_fully_nested = c->special_fully_nested;
		rec->chip[i].output = pic_line(pic, i) >= 0;
	}
	spin_unlock_irqrestore(&chip->lock, flags);
	return 0;
}

#define PIC_OFFSET(field)	offsetof(struct gondola_rec_pic, chip[0].field)

/* The offset of the first bad field, relative to the first chip's record, or -1. */
static int pic_bad_field(const struct gondola_rec_pic *rec, int i)
{
	if (rec->chip[i].vector_base & 7)
		return PIC_OFFSET(vector_base);
	if (rec->chip[i].init_state == 1 || rec->chip[i].init_state > 4)
		return PIC_OFFSET(init_state);
	if (rec->chip[i].auto_eoi > 1)
		return PIC_OFFSET(auto_eoi);
	if (rec->chip[i].rotate_on_auto_eoi > 1)
		return PIC_OFFSET(rotate_on_auto_eoi);
	if (rec->chip[i].special_mask > 1)
		return PIC_OFFSET(special_mask);
	if (rec->chip[i].read_isr > 1)
		return PIC_OFFSET(read_isr);
	if (rec->chip[i].poll > 1)
		return PIC_OFFSET(poll);
	if (rec->chip[i].priority_add > 7)
		return PIC_OFFSET(priority_add);
	if (rec->chip[i].elcr & ~elcr_writable[i])
		return PIC_OFFSET(elcr);
	if (rec->chip[i].icw4 > 3)
		return PIC_OFFSET(icw4);
	if (rec->chip[i].special_fully_nested > 1)
		return PIC_OFFSET(special_fully_nested);
	if (rec->chip[i].output > 1)
		return PIC_OFFSET(output);
	return -1;
}

int pic_set(struct gondola_vm *vm, const struct gondola_rec_pic *rec, u32 *bad)
{
	struct gondola_irqchip *chip = vm->irqchip;
	struct pic *pic = &chip->pic;
	unsigned long flags;
	u32 gsi;
	int i;

	for (i = 0; i < 2; i++) {
		int offset = pic_bad_field(rec, i);

		if (offset >= 0) {
			*bad = offset + i * sizeof(rec->chip[0]);
			return -EINVAL;
		}
	}
	spin_lock_irqsave(&chip->lock, flags);
	for (i = 0; i < 2; i++) {
		pic->chip[i] = (struct pic_chip) {
			.irr = rec->chip[i].irr,
			.isr = rec->chip[i].isr,
			.imr = rec->chip[i].imr,
			.level = rec->chip[i].last_level,
			.base = rec->chip[i].vector_base,
			.init_state = rec->chip[i].init_state,
			.icw4 = rec->chip[i].icw4,
			.first = rec->chip[i].priority_add,
			.elcr = rec->chip[i].elcr,
			.auto_eoi = rec->chip[i].auto_eoi,
			.rotate_on_auto_eoi = rec->chip[i].rotate_on_auto_eoi,
			.special_mask = rec->chip[i].special_mask,
			.special_fully_nested = rec->chip[i].special_fully_nested,
			.read_isr = rec->chip[i].read_isr,
			.poll = rec->chip[i].poll,
		};
	}
	for (gsi = 0; gsi < 16; gsi++)
		if (gsi != CASCADE)
			irqchip_restore_level(chip, gsi,
					      pic->chip[gsi >> 3].level & BIT(gsi & 7));
	/* Derive the output; the saved one is not used. */
	WRITE_ONCE(pic->output, false);
	pic_update(chip);
	spin_unlock_irqrestore(&chip->lock, flags);
	return 0;
}

GONDOLA_VM_RECORD(pic, PIC);
