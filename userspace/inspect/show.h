/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * State and walks as JSON.  Numbers of 64 bits are hexadecimal strings, since JSON's numbers lose
 * digits.
 */
#ifndef INSPECT_SHOW_H
#define INSPECT_SHOW_H

#include <json-c/json.h>
#include <linux/gondola.h>
#include <linux/gondola_state.h>

struct walk;

/** show_registers() - adds general, control, segment and debug registers to @to */
void show_registers(struct json_object *to, const struct gondola_rec_regs *regs,
		    const struct gondola_rec_sregs *sregs, const struct gondola_rec_debug *debug,
		    const struct gondola_rec_events *events);
/** show_walk() - adds the steps and the result of a walk */
void show_walk(struct json_object *to, const struct walk *walk);
/** show_shadow() - adds the shadow tables' side of the same walk */
void show_shadow(struct json_object *to, const struct walk *walk,
		 const struct gondola_shadow *shadow);
/** show_lapic() - a vCPU's LAPIC, as an object */
struct json_object *show_lapic(const struct gondola_rec_lapic *lapic);
/** show_chips() - adds the VM's I/O APIC, PICs and PIT */
void show_chips(struct json_object *to, const struct gondola_rec_ioapic *ioapic,
		const struct gondola_rec_pic *pic, const struct gondola_rec_pit *pit);
/** show_history() - adds the last @count of a vCPU's @total exits, the oldest first */
void show_history(struct json_object *to, const struct gondola_history_entry *entries,
		  uint32_t count, uint64_t total);

#endif
