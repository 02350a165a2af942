// SPDX-License-Identifier: GPL-2.0-only
/* How the tools report: names, durations, histograms, losses, JSON. */
#include <string.h>

#include "events.h"
#include "migrate/phase.h"
#include "tool.h"

#define STARS	40

static const char *name_of(const char *const *names, unsigned int count, uint32_t number)
{
	static char text[4][16];
	static unsigned int next;
	char *at;

	if (number < count && names[number])
		return names[number];
	at = text[next++ % 4];
	snprintf(at, sizeof(text[0]), "%u", number);
	return at;
}

#define X(number, name) [number] = name,
static const char *const reasons[] = { GONDOLA_NAMES_REASON(X) };
static const char *const accesses[] = { GONDOLA_NAMES_ACCESS(X) };
static const char *const sources[] = { GONDOLA_NAMES_DIRTY_SOURCE(X) };
#undef X
/* As Xen's public/xen.h calls them. */
static const char *const calls[] = {
	[0] = "set_trap_table", [1] = "mmu_update", [2] = "set_gdt", [3] = "stack_switch",
	[5] = "fpu_taskswitch", [7] = "platform_op", [8] = "set_debugreg", [9] = "get_debugreg",
	[10] = "update_descriptor", [12] = "memory_op", [13] = "multicall", [14] = "update_va_mapping",
	[15] = "set_timer_op", [17] = "xen_version", [18] = "console_io", [20] = "grant_table_op",
	[21] = "vm_assist", [23] = "iret", [24] = "vcpu_op", [25] = "set_segment_base",
	[26] = "mmuext_op", [28] = "nmi_op", [29] = "sched_op", [30] = "callback_op",
	[32] = "event_channel_op", [33] = "physdev_op", [34] = "hvm_op", [40] = "xenpmu_op",
};
#define COUNT(names)	(sizeof(names) / sizeof((names)[0]))

const char *reason_name(uint32_t reason)
{
	return name_of(reasons, COUNT(reasons), reason);
}

const char *access_name(uint32_t result)
{
	return name_of(accesses, COUNT(accesses), result);
}

const char *xen_call_name(uint32_t number)
{
	return name_of(calls, COUNT(calls), number);
}

const char *source_name(uint32_t source)
{
	return name_of(sources, COUNT(sources), source);
}

const char *phase_name(uint32_t phase)
{
	return migrate_phase_name(phase) ?: name_of(NULL, 0, phase);
}


/* ---- JSON --------------------------------------------------------------------------- */

void json_u64(struct json_object *object, const char *key, uint64_t value)
{
	json_object_object_add(object, key, json_object_new_uint64(value));
}

void tool_print_json(struct json_object *object)
{
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN));
	fflush(stdout);
	json_object_put(object);
}

/* ---- losses -------------------------------------------------------------------------- */

void tool_report_losses(const struct losses *losses, struct json_object *json)
{
	const struct {
		const char *key, *words;
		uint64_t count;
	} all[] = {
		{ "events", "events did not reach the BPF program", losses->events },
		{ "room", "events were not counted: the tables are full", losses->room },
		{ "addresses", "events have no address counted: that table is full",
		  losses->addresses },
		{ "ring", "events were not shown one by one: the ring buffer was full",
		  losses->ring },
	};

	if (json) {
		struct json_object *lost = json_object_new_object();

		for (unsigned int i = 0; i < COUNT(all); i++)
			json_u64(lost, all[i].key, all[i].count);
		json_object_object_add(json, "lost", lost);
		return;
	}
	for (unsigned int i = 0; i < COUNT(all); i++)
		if (all[i].count)
			printf("LOST: %llu %s\n", (unsigned long long)all[i].count, all[i].words);
}

/* ---- durations ------------------------------------------------------------------------ */

const char *format_ns(uint64_t ns)
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	static char texts[4][16];
	static unsigned int next;
	char *text = texts[next++ % 4];
	double value = (double)ns;
	unsigned int unit = 0;

	while (value >= 1000 && unit < COUNT(units) - 1) {
		value /= 1000;
		unit++;
	}
	snprintf(text, sizeof(texts[0]), unit && value < 100 ? "%.1f%s" : "%.0f%s", value,
		 units[unit]);
	return text;
}

static void bounds(const __u64 *slots, unsigned int *first, unsigned int *last, __u64 *most)
{
	*first = SLOTS;
	*last = 0;
	*most = 0;
	for (unsigned int i = 0; i < SLOTS; i++) {
		if (!slots[i])
			continue;
		if (*first == SLOTS)
			*first = i;
		*last = i;
		if (slots[i] > *most)
			*most = slots[i];
	}
}

void print_histogram(const char *title, const __u64 *slots)
{
	static const char stars[] = "****************************************";
	unsigned int first, last;
	__u64 most;

	bounds(slots, &first, &last, &most);
	if (!most)
		return;
	printf("\n%s\n%23s : count     distribution\n", title, "time");
	for (unsigned int i = first; i <= last; i++)
		printf("%10s -> %-9s : %-9llu |%-*.*s|\n", format_ns(i ? 1ull << i : 0),
		       i == SLOTS - 1 ? "longer" : format_ns(2ull << i),
		       (unsigned long long)slots[i], STARS,
		       (int)((slots[i] * STARS + most - 1) / most), stars);
}

struct json_object *json_histogram(const __u64 *slots)
{
	struct json_object *array = json_object_new_array();

	for (unsigned int i = 0; i < SLOTS; i++) {
		struct json_object *slot;

		if (!slots[i])
			continue;
		slot = json_object_new_object();
		json_u64(slot, "from_ns", i ? 1ull << i : 0);
		json_u64(slot, "count", slots[i]);
		json_object_array_add(array, slot);
	}
	return array;
}
