// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "shadow.h"
#include "show.h"
#include "walk.h"
#include "lib/libgondola.h"

#define SIZE(array)	(sizeof(array) / sizeof((array)[0]))

struct bit_name {
	uint64_t bit;
	const char *name;
};

static void put_hex(struct json_object *to, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)value);
	json_object_object_add(to, name, json_object_new_string(text));
}

static void put_number(struct json_object *to, const char *name, uint64_t value)
{
	json_object_object_add(to, name, json_object_new_uint64(value));
}

static void put_flag(struct json_object *to, const char *name, bool value)
{
	json_object_object_add(to, name, json_object_new_boolean(value));
}

static void put_bits(struct json_object *to, const char *name, uint64_t value,
		     const struct bit_name *bits, size_t count)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < count; i++)
		if (value & bits[i].bit)
			json_object_array_add(array, json_object_new_string(bits[i].name));
	json_object_object_add(to, name, array);
}

/* ---- registers ---------------------------------------------------------------------- */

static const char *const gpr_names[] = {
	"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
	"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
};

static const char *const segment_names[GONDOLA_NR_SEGS] = {
	"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr",
};

static const struct bit_name flag_names[] = {
	{ 1 << 0, "CF" }, { 1 << 2, "PF" }, { 1 << 4, "AF" }, { 1 << 6, "ZF" }, { 1 << 7, "SF" },
	{ 1 << 8, "TF" }, { 1 << 9, "IF" }, { 1 << 10, "DF" }, { 1 << 11, "OF" },
	{ 1 << 14, "NT" }, { 1 << 16, "RF" }, { 1 << 17, "VM" }, { 1 << 18, "AC" },
	{ 1 << 19, "VIF" }, { 1 << 20, "VIP" }, { 1 << 21, "ID" },
};

static const char *cpu_mode(const struct gondola_rec_regs *regs,
			    const struct gondola_rec_sregs *sregs)
{
	if (!(sregs->cr0 & 1))
		return "real mode";
	if (regs->rflags & 1 << 17)
		return "virtual-8086 mode";
	if (!(sregs->efer & 1 << 10))
		return sregs->seg[GONDOLA_CS].ar & 1 << 14 ? "protected mode, 32 bits" :
							      "protected mode, 16 bits";
	return sregs->seg[GONDOLA_CS].ar & 1 << 13 ? "long mode" : "compatibility mode";
}

static void put_segments(struct json_object *to, const struct gondola_rec_sregs *sregs)
{
	struct json_object *all = json_object_new_object();

	for (int i = 0; i < GONDOLA_NR_SEGS; i++) {
		struct json_object *one = json_object_new_object();

		put_hex(one, "selector", sregs->seg[i].selector);
		put_hex(one, "base", sregs->seg[i].base);
		put_hex(one, "limit", sregs->seg[i].limit);
		put_hex(one, "rights", sregs->seg[i].ar);
		json_object_object_add(all, segment_names[i], one);
	}
	json_object_object_add(to, "segments", all);
}

void show_registers(struct json_object *to, const struct gondola_rec_regs *regs,
		    const struct gondola_rec_sregs *sregs, const struct gondola_rec_debug *debug,
		    const struct gondola_rec_events *events)
{
	json_object_object_add(to, "mode", json_object_new_string(cpu_mode(regs, sregs)));
	put_number(to, "privilege", sregs->seg[GONDOLA_SS].ar >> 5 & 3);
	put_flag(to, "halted", events->halted);
	put_hex(to, "rip", regs->rip);
	put_hex(to, "rflags", regs->rflags);
	put_bits(to, "flags", regs->rflags, flag_names, SIZE(flag_names));
	for (size_t i = 0; i < SIZE(gpr_names); i++)
		put_hex(to, gpr_names[i], regs->gpr[i]);
	put_hex(to, "cr0", sregs->cr0);
	put_hex(to, "cr2", sregs->cr2);
	put_hex(to, "cr3", sregs->cr3);
	put_hex(to, "cr4", sregs->cr4);
	put_hex(to, "cr8", sregs->cr8);
	put_hex(to, "efer", sregs->efer);
	put_hex(to, "xcr0", sregs->xcr0);
	put_hex(to, "gdt", sregs->gdt.base);
	put_hex(to, "gdt_limit", sregs->gdt.limit);
	put_hex(to, "idt", sregs->idt.base);
	put_hex(to, "idt_limit", sregs->idt.limit);
	put_hex(to, "dr6", debug->dr6);
	put_hex(to, "dr7", debug->dr7);
	for (int i = 0; i < 4; i++) {
		char name[] = { 'd', 'r', '0' + i, 0 };

		put_hex(to, name, debug->dr[i]);
	}
	put_segments(to, sregs);
}

/* ---- page tables ---------------------------------------------------------------------- */

static const struct bit_name entry_names[] = {
	{ 1 << 0, "present" }, { 1 << 1, "writable" }, { 1 << 2, "user" },
	{ 1 << 3, "write-through" }, { 1 << 4, "uncached" }, { 1 << 5, "accessed" },
	{ 1 << 6, "dirty" }, { 1 << 8, "global" }, { 1ull << 63, "no-execute" },
};

void show_walk(struct json_object *to, const struct walk *walk)
{
	struct json_object *levels = json_object_new_array();

	json_object_object_add(to, "paging", json_object_new_string(walk->mode));
	for (unsigned int i = 0; i < walk->nr_levels; i++) {
		struct json_object *level = json_object_new_object();

		put_number(level, "level", walk->level[i].level);
		put_hex(level, "at", walk->level[i].at);
		put_hex(level, "entry", walk->level[i].entry);
		put_bits(level, "bits", walk->level[i].entry, entry_names, SIZE(entry_names));
		json_object_array_add(levels, level);
	}
	json_object_object_add(to, "levels", levels);
	json_object_object_add(to, "result",
			       json_object_new_string(walk_result_name(walk->result)));
	if (walk->result != WALK_MAPPED)
		return;
	put_hex(to, "gpa", walk->gpa);
	put_number(to, "page_bytes", walk->page_bytes);
	put_flag(to, "writable", walk->writable);
	put_flag(to, "user", walk->user);
	put_flag(to, "executable", walk->executable);
}

/* Accessed and dirty are of the module's own making there. */
static const struct bit_name shadow_names[] = {
	{ 1 << 0, "present" }, { 1 << 1, "writable" }, { 1 << 2, "user" },
	{ 1ull << 63, "no-execute" },
};

static struct json_object *show_shadow_level(const struct walk *walk,
					     const struct gondola_shadow *shadow, unsigned int i)
{
	const struct gondola_shadow_level *level = &shadow->level[i];
	struct json_object *to = json_object_new_object();
	const char *why = shadow_why(walk, shadow, i);

	put_number(to, "level", level->level);
	put_hex(to, "table", level->gfn << 12);
	put_flag(to, "direct", level->flags & GONDOLA_SHADOW_DIRECT);
	put_flag(to, "unsync", level->flags & GONDOLA_SHADOW_UNSYNC);
	put_bits(to, "bits", level->entry, shadow_names, SIZE(shadow_names));
	if (why)
		json_object_object_add(to, "why", json_object_new_string(why));
	return to;
}

static struct json_object *show_page(const struct gondola_shadow *shadow)
{
	struct json_object *to = json_object_new_object();

	put_flag(to, "present", shadow->page & GONDOLA_PAGE_PRESENT);
	put_flag(to, "writable", shadow->page & GONDOLA_PAGE_WRITABLE);
	put_flag(to, "clean", shadow->page & GONDOLA_PAGE_CLEAN);
	put_number(to, "mappings", shadow->nr_mappings);
	put_number(to, "tables", shadow->nr_tables);
	put_number(to, "unsync_tables", shadow->nr_unsync);
	return to;
}

void show_shadow(struct json_object *to, const struct walk *walk,
		 const struct gondola_shadow *shadow)
{
	struct json_object *levels = json_object_new_array(), *side = json_object_new_object();

	put_flag(side, "stale", shadow->root & GONDOLA_ROOT_STALE);
	for (unsigned int i = 0; i < shadow->nr_levels && i < SIZE(shadow->level); i++)
		json_object_array_add(levels, show_shadow_level(walk, shadow, i));
	json_object_object_add(side, "levels", levels);
	if (walk->result == WALK_MAPPED && shadow->page & GONDOLA_PAGE_MEMORY)
		json_object_object_add(side, "page", show_page(shadow));
	json_object_object_add(to, "shadow", side);
}

/* ---- interrupt controllers --------------------------------------------------------------- */

/* Registers of the LAPIC are at multiples of 16 bytes (Intel SDM, "The Local APIC Block Diagram"). */
static uint32_t lapic_register(const struct gondola_rec_lapic *lapic, unsigned int offset)
{
	return lapic->regs[offset / 16];
}

static void put_vectors(struct json_object *to, const char *name,
			const struct gondola_rec_lapic *lapic, unsigned int offset)
{
	struct json_object *array = json_object_new_array();

	for (unsigned int vector = 0; vector < 256; vector++)
		if (lapic_register(lapic, offset + vector / 32 * 16) & 1u << vector % 32)
			json_object_array_add(array, json_object_new_int(vector));
	json_object_object_add(to, name, array);
}

struct json_object *show_lapic(const struct gondola_rec_lapic *lapic)
{
	static const struct { unsigned int offset; const char *name; } registers[] = {
		{ 0x20, "id" }, { 0x80, "tpr" }, { 0xa0, "ppr" }, { 0xd0, "ldr" }, { 0xe0, "dfr" },
		{ 0xf0, "svr" }, { 0x280, "esr" }, { 0x320, "lvt_timer" }, { 0x340, "lvt_pmc" },
		{ 0x350, "lvt_lint0" }, { 0x360, "lvt_lint1" }, { 0x370, "lvt_error" },
		{ 0x380, "timer_initial" }, { 0x3e0, "timer_divide" },
	};
	struct json_object *to = json_object_new_object();

	for (size_t i = 0; i < SIZE(registers); i++)
		put_hex(to, registers[i].name, lapic_register(lapic, registers[i].offset));
	put_vectors(to, "requested", lapic, 0x200);
	put_vectors(to, "in_service", lapic, 0x100);
	put_hex(to, "tsc_deadline", lapic->tsc_deadline);
	put_number(to, "timer_remaining_ns", lapic->timer_remaining_ns);
	return to;
}

static struct json_object *show_pin(unsigned int pin, const struct gondola_rec_ioapic *ioapic)
{
	uint64_t entry = ioapic->redirect[pin];
	struct json_object *to = json_object_new_object();

	put_number(to, "pin", pin);
	put_number(to, "vector", entry & 0xff);
	put_number(to, "delivery", entry >> 8 & 7);
	put_number(to, "destination", entry >> 56);
	put_flag(to, "logical", entry >> 11 & 1);
	put_flag(to, "level_triggered", entry >> 15 & 1);
	put_flag(to, "waits_for_eoi", entry >> 14 & 1);
	json_object_object_add(to, "line", json_object_new_int(ioapic->level >> pin & 1));
	return to;
}

/* Leave out pins that are masked with a low line. */
static struct json_object *show_ioapic(const struct gondola_rec_ioapic *ioapic)
{
	struct json_object *pins = json_object_new_array();

	for (unsigned int pin = 0; pin < SIZE(ioapic->redirect); pin++)
		if (!(ioapic->redirect[pin] & 1 << 16) || ioapic->level & 1u << pin)
			json_object_array_add(pins, show_pin(pin, ioapic));
	return pins;
}

void show_chips(struct json_object *to, const struct gondola_rec_ioapic *ioapic,
		const struct gondola_rec_pic *pic, const struct gondola_rec_pit *pit)
{
	struct json_object *pics = json_object_new_array(), *channels = json_object_new_array();

	json_object_object_add(to, "ioapic", show_ioapic(ioapic));
	for (int i = 0; i < 2; i++) {
		struct json_object *one = json_object_new_object();

		put_hex(one, "requested", pic->chip[i].irr);
		put_hex(one, "in_service", pic->chip[i].isr);
		put_hex(one, "masked", pic->chip[i].imr);
		put_number(one, "vector_base", pic->chip[i].vector_base);
		json_object_array_add(pics, one);
	}
	json_object_object_add(to, "pic", pics);
	for (int i = 0; i < 3; i++) {
		struct json_object *one = json_object_new_object();

		put_number(one, "mode", pit->channel[i].mode);
		put_number(one, "count", pit->channel[i].count);
		put_flag(one, "counting", pit->channel[i].elapsed_ns != UINT64_MAX);
		/* As the guest wrote it: 0 is the most. */
		if (pit->channel[i].pending)
			put_number(one, "next_count", pit->channel[i].next);
		json_object_array_add(channels, one);
	}
	json_object_object_add(to, "pit", channels);
}

/* ---- the last exits --------------------------------------------------------------------- */

/* A newer module may have values without a name here. */
static void put_name(struct json_object *to, const char *member, const char *name)
{
	json_object_object_add(to, member, json_object_new_string(name ?: "?"));
}

static struct json_object *show_exit(const struct gondola_history_entry *entry, uint64_t number)
{
	struct json_object *to = json_object_new_object();

	put_number(to, "exit", number);
	put_hex(to, "tsc", entry->tsc);
	put_hex(to, "rip", entry->rip);
	put_name(to, "reason", gondola_reason_name(entry->reason));
	put_hex(to, "hw_reason", entry->hw_reason);
	put_name(to, "done_by", entry->user_exit ? "launcher" : "module");
	if (entry->user_exit)
		put_name(to, "user_exit", gondola_user_exit_name(entry->user_exit));
	if (entry->error)
		put_number(to, "error", entry->error);
	return to;
}

void show_history(struct json_object *to, const struct gondola_history_entry *entries,
		  uint32_t count, uint64_t total)
{
	struct json_object *exits = json_object_new_array();

	for (uint32_t i = 0; i < count; i++) {
		struct json_object *one = show_exit(&entries[i], total - count + 1 + i);

		/* The time since the last exit: to handle it, and to run the guest. */
		if (i)
			put_number(one, "ticks", entries[i].tsc - entries[i - 1].tsc);
		json_object_array_add(exits, one);
	}
	put_number(to, "total", total);
	json_object_object_add(to, "exits", exits);
}
