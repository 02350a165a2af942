// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "inspect_map.h"
#include "remote.h"
#include "base/fail.h"
#include "base/tell.h"
#include "lib/libgondola.h"

struct inspect_options {
	struct remote_options remote;
	const char *what;
	const char *address;
	const char *svg;
	unsigned int vcpu;
};

/* Take NAME, then a subject, then the subject's address. */
static void take_argument(void *to, const char *option, const char *value)
{
	struct inspect_options *options = to;

	if (!options->remote.name)
		remote_take_name(&options->remote, option, value);
	else if (!options->what)
		options->what = value;
	else if (!options->address && !strcmp(options->what, "walk"))
		options->address = value;
	else
		fail(EXIT_CODE_USAGE, "inspect: \"%s\" is one argument too many (see gondola help inspect)",
		     value);
}

/* A member of any type as words, since the other process is not trusted. */
static const char *text(struct json_object *object, const char *name)
{
	struct json_object *member;

	if (!json_object_object_get_ex(object, name, &member))
		return "-";
	return json_object_get_string(member) ?: "-";
}

static struct json_object *element(struct json_object *array, size_t i)
{
	struct json_object *found = json_object_array_get_idx(array, i);

	return json_object_is_type(found, json_type_object) ? found : NULL;
}

static void tell_words(struct json_object *array)
{
	for (size_t i = 0; i < json_object_array_length(array); i++)
		tell(" %s", json_object_get_string(json_object_array_get_idx(array, i)) ?: "-");
}

/* An object's members on one line; arrays in brackets. */
static void tell_line(struct json_object *object)
{
	json_object_object_foreach(object, key, value) {
		if (json_object_is_type(value, json_type_array)) {
			tell("  %s [", key);
			tell_words(value);
			tell(" ]");
		} else {
			tell("  %s %s", key, json_object_get_string(value) ?: "-");
		}
	}
	tell("\n");
}

static void tell_registers(struct json_object *answer)
{
	static const char *const rows[][4] = {
		{ "rip", "rflags" }, { "rax", "rbx", "rcx", "rdx" }, { "rsi", "rdi", "rbp", "rsp" },
		{ "r8", "r9", "r10", "r11" }, { "r12", "r13", "r14", "r15" },
		{ "cr0", "cr2", "cr3", "cr4" }, { "cr8", "efer", "xcr0" }, { "gdt", "gdt_limit", "idt", "idt_limit" },
		{ "dr0", "dr1", "dr2", "dr3" }, { "dr6", "dr7" },
	};
	struct json_object *segments = member_object(answer, "segments");
	struct json_object *flags = member_array(answer, "flags");

	tell("vCPU %s: %s, privilege level %s%s\n", text(answer, "vcpu"), text(answer, "mode"),
	     text(answer, "privilege"), strcmp(text(answer, "halted"), "true") ? "" : ", halted");
	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		for (size_t i = 0; i < 4 && rows[row][i]; i++)
			tell("%s%-6s %18s", i ? "  " : "", rows[row][i], text(answer, rows[row][i]));
		if (!row && flags)
			tell_words(flags);
		tell("\n");
	}
	if (!segments)
		return;
	json_object_object_foreach(segments, name, segment) {
		tell("%-4s", name);
		if (json_object_is_type(segment, json_type_object))
			tell_line(segment);
	}
}

/* The element of @array that is about this level, or NULL. */
static struct json_object *of_level(struct json_object *array, unsigned int level)
{
	for (size_t i = 0; array && i < json_object_array_length(array); i++) {
		struct json_object *one = element(array, i);

		if (one && member_count(one, "level") == level)
			return one;
	}
	return NULL;
}

static void tell_shadow_entry(struct json_object *entry)
{
	struct json_object *bits = member_array(entry, "bits");

	tell("%25s  %-18s ", "", member_flag(entry, "direct", false) ? "shadow, no table" : "shadow");
	if (bits && json_object_array_length(bits))
		tell_words(bits);
	else
		tell(" empty");
	if (member_flag(entry, "unsync", false))
		tell(", out of sync");
	tell("\n");
	if (strcmp(text(entry, "why"), "-"))
		tell("%46s  (%s)\n", "", text(entry, "why"));
}

/* Each entry of the guest with the shadow's below it. */
static void tell_levels(struct json_object *guest, struct json_object *shadow)
{
	for (unsigned int level = 4; level; level--) {
		struct json_object *entry = of_level(guest, level), *beside = of_level(shadow, level);
		struct json_object *bits = entry ? member_array(entry, "bits") : NULL;

		if (entry)
			tell("%-6u %-18s  %-18s ", level, text(entry, "at"), text(entry, "entry"));
		else if (beside)
			tell("%-6u %-18s", level, "-");
		if (bits)
			tell_words(bits);
		if (entry || beside)
			tell("\n");
		if (beside)
			tell_shadow_entry(beside);
	}
}

static void tell_page(struct json_object *page)
{
	tell("the page: %s%s; shadow entries that map it: %s; shadowed tables in it: %s, out of sync: %s\n",
	     member_flag(page, "present", false) ? "present" : "not present",
	     member_flag(page, "clean", false) ? ", clean for the dirty log" : "",
	     text(page, "mappings"), text(page, "tables"), text(page, "unsync_tables"));
}

static void tell_walk(struct json_object *answer)
{
	struct json_object *levels = member_array(answer, "levels");
	struct json_object *shadow = member_object(answer, "shadow");
	struct json_object *beside = shadow ? member_array(shadow, "levels") : NULL;
	struct json_object *page = shadow ? member_object(shadow, "page") : NULL;

	tell("paging: %s\n", text(answer, "paging"));
	tell("level  entry at            entry\n");
	tell_levels(levels, beside);
	if (strcmp(text(answer, "result"), "mapped"))
		tell("%s\n", text(answer, "result"));
	else if (!levels || !json_object_array_length(levels))
		tell("the address is physical\n");
	else
		tell("mapped to %s in a page of %llu KiB:%s%s%s\n", text(answer, "gpa"),
		     (unsigned long long)member_count(answer, "page_bytes") >> 10,
		     member_flag(answer, "user", false) ? " user" : " supervisor",
		     member_flag(answer, "writable", false) ? ", writable" : ", read-only",
		     member_flag(answer, "executable", false) ? ", executable" : ", no-execute");
	if (page)
		tell_page(page);
	if (shadow && member_flag(shadow, "stale", false))
		tell("The shadow tables are brought up to date before the vCPU next runs.\n");
}

static void tell_lapic(struct json_object *lapic)
{
	json_object_object_foreach(lapic, key, value) {
		tell("  %-19s", key);
		if (json_object_is_type(value, json_type_array))
			tell_words(value);
		else
			tell(" %s", json_object_get_string(value) ?: "-");
		tell("\n");
	}
}

static void tell_interrupts(struct json_object *answer)
{
	static const char *const lists[] = { "ioapic", "pic", "pit" };
	struct json_object *lapic = member_object(answer, "lapic");

	tell("lapic of vCPU %s:\n", text(answer, "vcpu"));
	if (lapic)
		tell_lapic(lapic);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct json_object *array = member_array(answer, lists[i]);

		tell("%s:\n", lists[i]);
		for (size_t j = 0; array && j < json_object_array_length(array); j++)
			if (element(array, j))
				tell_line(element(array, j));
	}
}

static void tell_history(struct json_object *answer)
{
	struct json_object *exits = member_array(answer, "exits");

	tell("vCPU %s: %s exits so far\n", text(answer, "vcpu"), text(answer, "total"));
	tell("%12s  %12s  %-18s  %-20s  done by\n", "exit", "ticks", "rip", "reason");
	for (size_t i = 0; exits && i < json_object_array_length(exits); i++) {
		struct json_object *one = element(exits, i);

		if (!one)
			continue;
		tell("%12s  %12s  %-18s  %-20s  %s", text(one, "exit"), text(one, "ticks"),
		     text(one, "rip"), text(one, "reason"), text(one, "done_by"));
		if (strcmp(text(one, "user_exit"), "-"))
			tell(": %s", text(one, "user_exit"));
		if (strcmp(text(one, "error"), "-"))
			tell(", error %s", text(one, "error"));
		tell("\n");
	}
}

static const char *memory_size(struct json_object *answer, const char *name, char *text)
{
	return remote_size(member_count(answer, name), text, 32);
}

static void tell_shadows(struct json_object *answer)
{
	struct json_object *kinds = member_array(answer, "kinds"), *mapped = member_array(answer, "mapped");
	char tables[32], rmaps[32], frames[32];

	tell("level  format          tables  out of sync       roots     entries\n");
	for (size_t i = 0; kinds && i < json_object_array_length(kinds); i++) {
		struct json_object *one = element(kinds, i);

		if (one)
			tell("%-5llu  %-12s  %8llu  %11llu  %10llu  %10llu\n", (unsigned long long)member_count(one, "level"),
			     text(one, "format"), (unsigned long long)member_count(one, "tables"),
			     (unsigned long long)member_count(one, "unsync"),
			     (unsigned long long)member_count(one, "roots"),
			     (unsigned long long)member_count(one, "entries"));
	}
	tell("%llu tables; there may be %llu\n", (unsigned long long)member_count(answer, "tables"),
	     (unsigned long long)member_count(answer, "max_tables"));
	tell("\n");
	tell("entries that map a page    pages\n");
	for (size_t i = 0; mapped && i < json_object_array_length(mapped); i++) {
		struct json_object *one = element(mapped, i);

		if (one && member_count(one, "pages"))
			tell("%-6s  %-14s  %8llu\n", i > 2 ? "up to" : "", text(one, "entries"),
			     (unsigned long long)member_count(one, "pages"));
	}
	tell("\n");
	tell("memory of the host: %s for the tables, %s to find the entries of a page, %s for the pages\n",
	     memory_size(answer, "table_bytes", tables), memory_size(answer, "rmap_bytes", rmaps),
	     memory_size(answer, "frame_bytes", frames));
}

/* @brief: a shorter name, or NULL */
static const struct {
	const char *what;
	const char *brief;
	void (*tell)(struct json_object *answer);
} subjects[] = {
	{ "registers", "regs", tell_registers },
	{ "walk", NULL, tell_walk },
	{ "interrupts", "irq", tell_interrupts },
	{ "history", NULL, tell_history },
	{ "map", NULL, inspect_map_tell },
	{ "shadows", NULL, tell_shadows },
};

static bool is_subject(size_t i, const char *words)
{
	return !strcmp(subjects[i].what, words) || (subjects[i].brief && !strcmp(subjects[i].brief, words));
}

static size_t find_subject(const struct inspect_options *options)
{
	for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
		if (!is_subject(i, options->what))
			continue;
		if (!strcmp(options->what, "walk") && !options->address)
			fail(EXIT_CODE_USAGE, "inspect: walk needs an address, such as 0xffffffff81000000");
		if (options->svg && strcmp(options->what, "map"))
			fail(EXIT_CODE_USAGE, "inspect: --svg draws a map, not %s", options->what);
		return i;
	}
	fail(EXIT_CODE_USAGE, "inspect: \"%s\" is not registers, walk, interrupts, history, map or shadows", options->what);
}

static const struct option_spec specs[] = {
	{ .name = "NAME", .take = take_argument },
	OPTION("--json", NULL, "Print the result as JSON; numbers of 64 bits are strings.", FLAG,
	       struct inspect_options, remote.json),
	OPTION("--svg", "FILE", "Draw the map as an SVG picture, too.", TEXT, struct inspect_options, svg),
	OPTION("--vcpu", "N", "The vCPU (default 0).", NUMBER, struct inspect_options, vcpu,
	       .max = GONDOLA_MAX_VCPUS - 1),
	{ .name = NULL }
};

static int run_inspect(int argc, char **argv)
{
	struct inspect_options options = { .what = NULL };
	struct json_object *arguments, *answer;
	struct registry_vm vm;
	size_t subject;

	remote_find(&command_inspect, argc, argv, &options.remote, &vm);
	if (!options.what)
		options.what = "registers";
	subject = find_subject(&options);
	arguments = json_object_new_object();
	json_object_object_add(arguments, "what", json_object_new_string(subjects[subject].what));
	json_object_object_add(arguments, "vcpu", json_object_new_int(options.vcpu));
	if (options.address)
		json_object_object_add(arguments, "address", json_object_new_string(options.address));
	answer = remote_ask(&vm, "inspect", arguments, -1);
	if (options.remote.json)
		remote_print(answer);
	else
		subjects[subject].tell(answer);
	if (options.svg && !inspect_map_draw(answer, vm.name, options.svg))
		fail(EXIT_CODE_ERROR, "cannot write %s: %s", options.svg, strerror(errno));
	json_object_put(answer);
	registry_put(&vm);
	return EXIT_CODE_OK;
}

const struct command command_inspect = {
	.name = "inspect",
	.summary = "look into a guest: registers, tables, interrupts, exits, memory",
	.usage =
"NAME [registers|regs] [--vcpu N] [--json]\n"
"NAME walk ADDRESS [--vcpu N] [--json]\n"
"NAME interrupts|irq [--vcpu N] [--json]\n"
"NAME history [--vcpu N] [--json]\n"
"NAME map [--svg FILE] [--json]\n"
"NAME shadows [--json]",
	.about =
"\"registers\" shows general, control, segment and debug registers. \"walk\" shows how the guest's page "
"tables translate a virtual address, entry by entry, and the rights that result. Below each entry it shows "
"that of the shadow table, which the processor uses, and says why the two differ. \"interrupts\" shows "
"the vCPU's local APIC, and the VM's I/O APIC, PICs and PIT. \"history\" shows the last 256 exits of "
"the vCPU: where and why, the ticks of the host's time-stamp counter since the one before, and whether "
"the module handled the exit or the launcher had to. \"map\" shows the slots of the guest's memory, and how "
"many of its pages the host has in memory, shares with others, keeps in huge pages or in swap. If the dirty "
"log is on (a migration or \"dirty-sample\" began it), it says how many are dirty. \"shadows\" counts the shadow tables by level and by the format of the guest's "
"tables that they are made from: those that may be out of sync with the guest's, the roots that a vCPU may return to, and "
"the entries. It also counts the guest's pages by how many entries map each, and says what memory of the host "
"all this takes.\n"
"The guest may be running. The command stops it for a moment, together with its clocks, so the guest "
"does not notice.",
	.options = specs,
	.examples =
"gondola inspect vm1\n"
"gondola inspect vm1 walk 0xffffffff81000000\n"
"gondola inspect vm1 history | tail\n"
"gondola inspect vm1 map --svg vm1.svg\n"
"gondola inspect vm1 shadows\n"
"gondola inspect vm1 --vcpu 1 --json | jq -r .rip",
	.status =
"0 done, 2 wrong usage, 14 error, 20 the VM does not run",
	.run = run_inspect,
};
