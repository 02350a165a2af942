/* SPDX-License-Identifier: GPL-2.0-only */
/* The chips of a VM, private to the interrupt room. */
#ifndef GONDOLA_IRQ_IRQCHIP_H
#define GONDOLA_IRQ_IRQCHIP_H

#include <linux/spinlock.h>
#include <linux/types.h>
#include "vm.h"
#include "apic_regs.h"
#include "irq.h"
#include "timer.h"

/**
 * struct pic_chip - one 8259A
 * @level: the present levels of the lines
 * @base: vector of line 0
 * @init_state: 0, or the number of the initialisation word (ICW2 … ICW4) expected next
 * @icw4: the low bits of ICW1: bit 0: ICW4 follows, bit 1: there is no ICW3
 * @first: the line of highest priority
 * @elcr: level-triggered lines
 */
struct pic_chip {
	u8 irr;
	u8 isr;
	u8 imr;
	u8 level;
	u8 base;
	u8 init_state;
	u8 icw4;
	u8 first;
	u8 elcr;
	bool auto_eoi;
	bool rotate_on_auto_eoi;
	bool special_mask;
	bool special_fully_nested;
	bool read_isr;
	bool poll;
};

/** struct pic - the master and the slave on its line 2 */
struct pic {
	struct pic_chip chip[2];
	bool output;		/* written under the lock, read by vCPU 0 at any time */
};

/**
 * struct ioapic - the I/O APIC
 * @level: the present levels of the pins
 */
struct ioapic {
	u64 redirect[IOAPIC_PINS];
	u32 select;
	u32 id;
	u32 level;
};

/**
 * struct pit_channel - a counter of the 8254
 * @count: as loaded, 1 … 65536 (BCD: 10000); valid unless @null_count
 * @start: time at which it was loaded or triggered
 * @held: modes 0 and 4, gate low: the time for which it had run
 * @triggered: modes 1 and 5: the gate has risen since
 * @pending: modes 1, 2, 3 and 5: @next waits for the current count to end, or for the gate
 * @next: as the guest wrote it
 * @next_tick: counts after @start at which @next is taken up
 */
struct pit_channel {
	u32 count;
	u16 latched_count;
	u8 mode;
	u8 access;		/* 1 low byte, 2 high byte, 3 both */
	u8 status;
	u8 write_latch;
	bool bcd;
	bool latched;
	bool status_latched;
	bool read_high;		/* access 3: the high byte is next */
	bool write_high;
	bool gate;
	bool null_count;
	bool triggered;
	bool pending;
	u16 next;
	u64 start;
	u64 held;
	u64 next_tick;
};

/**
 * struct pit - the 8254
 * @timer: the next rise of channel 0's output
 * @due: time of this rise; 0: never
 * @speaker: port 0x61's writable bits
 */
struct pit {
	spinlock_t lock;
	struct pit_channel channel[3];
	struct irq_timer timer;
	u64 due;
	u8 speaker;
};

/**
 * struct gondola_irqchip - the interrupt chips of a VM, without the local APICs
 * @lock: for lines, PIC and I/O APIC, so that a line changes in all of them at once
 * @sources: for each GSI, a bit for each source that holds it high
 * @routed: lines of the PIC that the router of GSIs 16 to 23 holds high
 * @last_lowest: vCPU that took the last message of lowest priority
 */
struct gondola_irqchip {
	struct gondola_vm *vm;
	spinlock_t lock;
	u8 sources[GONDOLA_NR_GSI];
	u16 routed;
	u32 last_lowest;
	struct pic pic;
	struct ioapic ioapic;
	struct pit pit;
};

/** irqchip_level() - is a GSI's line high?  Lock held */
static inline bool irqchip_level(const struct gondola_irqchip *chip, u32 gsi)
{
	return chip->sources[gsi];
}

/** irqchip_pic_level() - is line @line of the PIC high, by its own GSI or by the router? */
static inline bool irqchip_pic_level(const struct gondola_irqchip *chip, u32 line)
{
	return chip->sources[line] || chip->routed & BIT(line);
}

/* irqchip.c */
/**
 * irqchip_restore_level() - set the saved level of a GSI's line
 *
 * Its usual driver becomes the holder, and can then release it.  Lock held.
 */
void irqchip_restore_level(struct gondola_irqchip *chip, u32 gsi, bool level);
/** irq_pulse() - raise and lower a line with nothing in between; see gondola_irq_set_line() */
void irq_pulse(struct gondola_vm *vm, u32 gsi, enum gondola_irq_source source);

/* pic.c */
void pic_init(struct gondola_irqchip *chip);
/** pic_update_line() - handle a change of line @line; lock held */
void pic_update_line(struct gondola_irqchip *chip, u32 line);
u8 pic_read(struct gondola_irqchip *chip, u16 port);
void pic_write(struct gondola_irqchip *chip, u16 port, u8 val);
/**
 * pic_ack() - the interrupt-acknowledge cycle: the vector, or -1 if the output is low
 * @line: out: its line; the second chip's line if that chip has no request any more
 */
int pic_ack(struct gondola_irqchip *chip, u8 *line);
/** pic_take_back() - undo the acknowledge cycle of @line */
void pic_take_back(struct gondola_irqchip *chip, u8 line);
/* For saved state: 0, or -EINVAL with the offset of the bad field in *@bad. */
int pic_get(struct gondola_vm *vm, struct gondola_rec_pic *rec);
int pic_set(struct gondola_vm *vm, const struct gondola_rec_pic *rec, u32 *bad);

/* ioapic.c */
void ioapic_init(struct gondola_irqchip *chip);
/** ioapic_update_pin() - handle a change of @pin's line; lock held */
void ioapic_update_pin(struct gondola_irqchip *chip, u32 pin);
void ioapic_mmio(struct gondola_vcpu *vcpu, u32 offset, unsigned int bytes, bool write,
		 void *data);
/** ioapic_eoi() - @vcpu ended the level-triggered interrupt @vector */
void ioapic_eoi(struct gondola_vcpu *vcpu, u8 vector);
int ioapic_get(struct gondola_vm *vm, struct gondola_rec_ioapic *rec);
int ioapic_set(struct gondola_vm *vm, const struct gondola_rec_ioapic *rec, u32 *bad);

/* pit.c */
void pit_init(struct gondola_irqchip *chip);
void pit_destroy(struct gondola_irqchip *chip);
u8 pit_read(struct gondola_irqchip *chip, u16 port);
void pit_write(struct gondola_irqchip *chip, u16 port, u8 val);
int pit_get(struct gondola_vm *vm, struct gondola_rec_pit *rec);
int pit_set(struct gondola_vm *vm, const struct gondola_rec_pit *rec, u32 *bad);

#endif
