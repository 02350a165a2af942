// SPDX-License-Identifier: GPL-2.0-only
/* gondola-exits: which exits, how often, how long, from where. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>

#include "gondola-exits.h"
#include "gondola-exits.skel.h"
#include "tool.h"

static const char help[] =
"gondola-exits - count and time the exits of virtual machines, by reason\n"
"\n"
"USAGE\n"
"  gondola-exits [OPTION]... [INTERVAL [COUNT]]\n"
"  gondola-exits [OPTION]... -- COMMAND [ARGUMENT]...\n"
"\n"
"Without INTERVAL it counts until Ctrl-C and reports once; with it, it reports what\n"
"came in each INTERVAL seconds, COUNT times or until Ctrl-C. With COMMAND it counts\n"
"while that runs, and exits with its status; COMMAND's output goes to stderr.\n"
"\n"
"The time of an exit is that until the guest runs again. LAUNCHER says how many were\n"
"answered by the launcher, and USER what part of the time went by there. The time of\n"
"hlt is sleep. Page faults are shown once more by what came of them, and hypercalls of\n"
"a paravirtualized guest by name. LOST lines say what could not be counted; without\n"
"one, everything is.\n"
"\n"
"OPTIONS\n"
"  --vm ID|NAME       only this virtual machine; ends when it does\n"
"  --vcpu N           only this vCPU\n"
"  --reason NAME,...  only these reasons\n"
"  --per-vcpu         each vCPU by itself, not the sum over a VM's\n"
"  --by-phase         apart by phase of a migration, as the launcher marks it\n"
"  --histogram        how the times are distributed, in powers of two\n"
"  --rip[=N]          the N (default 20) guest addresses that cause most exits\n"
"  --symbols FILE     the guest's System.map or /proc/kallsyms, to name addresses by\n"
"                     (a guest with KASLR: its /proc/kallsyms, or boot it with nokaslr)\n"
"  --slower US        also show each exit that takes US microseconds or more\n"
"  --sort COLUMN      count, total (default), mean or max\n"
"  --room N           vCPUs (by phase) that can be told apart (default 256)\n"
"  --ring BYTES       buffer of --slower (default 256K; a power of two)\n"
"  --json             one line of JSON for each report, for programs\n"
"  --verbose          what libbpf says\n"
"  --help             this text\n"
"\n"
"EXAMPLES\n"
"  gondola-exits\n"
"        everything until Ctrl-C\n"
"  gondola-exits --vm web1 1\n"
"        one VM, every second\n"
"  gondola-exits --reason io,hypercall --rip --symbols System.map 10 1\n"
"        which code of the guest uses ports and hypercalls, over ten seconds\n"
"  gondola-exits --by-phase --json -- gondola migrate web1 tcp:host2:7000\n"
"        what a migration costs its guest, phase by phase\n"
"  gondola-exits --slower 10000 --reason page_fault\n"
"        page faults that take 10 ms or more: the host was short of memory\n"
"\n"
"EXIT STATUS\n"
"  0 done, 2 wrong usage, 4 no privilege, module or kernel for it, 14 other failures\n";

enum sort { SORT_COUNT, SORT_TOTAL, SORT_MEAN, SORT_MAX };
enum {
	OPTION_VCPU = 1,
	OPTION_REASON,
	OPTION_PER_VCPU,
	OPTION_BY_PHASE,
	OPTION_HISTOGRAM,
	OPTION_RIP,
	OPTION_SYMBOLS,
	OPTION_SLOWER,
	OPTION_SORT,
	OPTION_ROOM,
	OPTION_RING,
};

static const struct option longs[] = {
	{ "vcpu", required_argument, NULL, OPTION_VCPU },
	{ "reason", required_argument, NULL, OPTION_REASON },
	{ "per-vcpu", no_argument, NULL, OPTION_PER_VCPU },
	{ "by-phase", no_argument, NULL, OPTION_BY_PHASE },
	{ "histogram", no_argument, NULL, OPTION_HISTOGRAM },
	{ "rip", optional_argument, NULL, OPTION_RIP },
	{ "symbols", required_argument, NULL, OPTION_SYMBOLS },
	{ "slower", required_argument, NULL, OPTION_SLOWER },
	{ "sort", required_argument, NULL, OPTION_SORT },
	{ "room", required_argument, NULL, OPTION_ROOM },
	{ "ring", required_argument, NULL, OPTION_RING },
	{ NULL, 0, NULL, 0 }
};

static struct {
	int vcpu;
	uint64_t reasons;
	bool per_vcpu, by_phase, histogram, slower, calls;
	uint64_t rips, slow_us, room, ring;
	enum sort sort;
} own = { .vcpu = -1, .reasons = ~0ull, .calls = true, .sort = SORT_TOTAL, .room = 256, .ring = 256 << 10 };

static bool take_reasons(const char *value)
{
	char *list = strdup(value), *rest = list, *name;

	own.reasons = 0;
	own.calls = false;
	while ((name = strsep(&rest, ","))) {
		uint32_t reason = 0;

		while (reason < MAX_REASONS && strcmp(reason_name(reason), name))
			reason++;
		if (reason == MAX_REASONS)
			die(TOOL_USAGE, "--reason: \"%s\" is no reason for an exit", name);
		own.reasons |= 1ull << reason;
		own.calls |= !strcmp(name, "syscall");
	}
	free(list);
	return true;
}

static bool take_sort(const char *value)
{
	static const char *const names[] = { "count", "total", "mean", "max" };

	for (own.sort = SORT_COUNT; own.sort <= SORT_MAX; own.sort++)
		if (!strcmp(names[own.sort], value))
			return true;
	return false;
}

static bool take(int option, const char *value)
{
	uint64_t number;

	switch (option) {
	case OPTION_VCPU:
		if (!take_u64(value, 0, 1023, &number))
			return false;
		own.vcpu = (int)number;
		return true;
	case OPTION_REASON:
		return take_reasons(value);
	case OPTION_PER_VCPU:
		return own.per_vcpu = true;
	case OPTION_BY_PHASE:
		return own.by_phase = true;
	case OPTION_HISTOGRAM:
		return own.histogram = true;
	case OPTION_RIP:
		own.rips = 20;
		return !value || take_u64(value, 1, 100000, &own.rips);
	case OPTION_SYMBOLS:
		symbols_load(value);
		return true;
	case OPTION_SLOWER:
		own.slower = true;
		return take_u64(value, 0, 1000000000, &own.slow_us);
	case OPTION_SORT:
		return take_sort(value);
	case OPTION_ROOM:
		return take_u64(value, 1, 65536, &own.room);
	case OPTION_RING:
		return take_size(value, &own.ring) && own.ring >= 4096 &&
		       !(own.ring & (own.ring - 1)) && own.ring <= 1u << 30;
	}
	return false;
}

static const char *const events[] = { "gondola_entry", "gondola_exit", "gondola_leave",
				      "gondola_page_fault", "gondola_xen_call", "gondola_vm", NULL };
static const struct tool exits = { "gondola-exits", help, events, longs, take };

static struct gondola_exits_bpf *skel;

/* ---- what was counted ------------------------------------------------------------ */

/** struct group - counts of a vCPU or VM, in a phase: now, and at the last report */
struct group {
	struct index_key key;
	struct cells now, before;
	struct calls calls, calls_before;
	bool used;
};

static struct group *groups;
static unsigned int nr_groups;
static struct losses lost_before;

static struct group *group_of(const struct index_key *key)
{
	for (unsigned int i = 0; i < nr_groups; i++)
		if (!memcmp(&groups[i].key, key, sizeof(*key)))
			return &groups[i];
	groups = realloc(groups, (nr_groups + 1) * sizeof(*groups));
	if (!groups)
		die(TOOL_FAILED, "out of memory");
	memset(&groups[nr_groups], 0, sizeof(*groups));
	groups[nr_groups].key = *key;
	return &groups[nr_groups++];
}

static void add(struct cells *to, const struct cells *from, uint32_t epoch)
{
	for (unsigned int kind = 0; kind < KINDS; kind++) {
		struct cell *sum = &to->kind[kind];
		const struct cell *one = &from->kind[kind];

		sum->count += one->count;
		sum->timed += one->timed;
		sum->total_ns += one->total_ns;
		sum->user += one->user;
		sum->user_ns += one->user_ns;
		if (one->epoch == epoch && one->max_ns > sum->max_ns)
			sum->max_ns = one->max_ns;
		for (unsigned int i = 0; i < SLOTS; i++)
			sum->slots[i] += one->slots[i];
	}
}

static int by_phase(const void *left, const void *right)
{
	const struct index_key *a = &((const struct group *)left)->key;
	const struct index_key *b = &((const struct group *)right)->key;

	if (a->vm != b->vm)
		return a->vm < b->vm ? -1 : 1;
	if (a->phase != b->phase)
		return a->phase < b->phase ? -1 : 1;
	return a->vcpu < b->vcpu ? -1 : a->vcpu > b->vcpu;
}

static void collect(void)
{
	struct index_key key, *previous = NULL;
	static struct cells cells;
	struct calls calls;
	uint32_t index, epoch = skel->bss ? skel->data->epoch : 1;

	for (unsigned int i = 0; i < nr_groups; i++) {
		groups[i].before = groups[i].now;
		memset(&groups[i].now, 0, sizeof(groups[i].now));
		groups[i].calls_before = groups[i].calls;
		memset(&groups[i].calls, 0, sizeof(groups[i].calls));
	}
	while (!bpf_map_get_next_key(bpf_map__fd(skel->maps.indexes), previous, &key)) {
		struct index_key of = key;

		previous = &key;
		if (bpf_map_lookup_elem(bpf_map__fd(skel->maps.indexes), &key, &index) ||
		    bpf_map_lookup_elem(bpf_map__fd(skel->maps.cells), &index, &cells) ||
		    bpf_map_lookup_elem(bpf_map__fd(skel->maps.calls), &index, &calls))
			continue;
		if (!own.per_vcpu)
			of.vcpu = 0;
		add(&group_of(&of)->now, &cells, epoch);
		for (unsigned int i = 0; i < CALLS; i++)
			group_of(&of)->calls.count[i] += calls.count[i];
	}
	if (nr_groups)
		qsort(groups, nr_groups, sizeof(*groups), by_phase);
	/* From here on the longest is that of the next report. */
	skel->data->epoch = epoch + 1;
}

static void subtract(struct cell *cell, const struct cell *before)
{
	cell->count -= before->count;
	cell->timed -= before->timed;
	cell->total_ns -= before->total_ns;
	cell->user -= before->user;
	cell->user_ns -= before->user_ns;
	for (unsigned int i = 0; i < SLOTS; i++)
		cell->slots[i] -= before->slots[i];
}

/* The counts since the last report. */
static struct cells news(const struct group *group)
{
	struct cells cells = group->now;

	for (unsigned int kind = 0; kind < KINDS; kind++)
		subtract(&cells.kind[kind], &group->before.kind[kind]);
	return cells;
}

/* Of hypercall @number, since the last report. */
static uint64_t new_calls(const struct group *group, unsigned int number)
{
	return group->calls.count[number] - group->calls_before.count[number];
}

/* ---- the addresses ------------------------------------------------------------------ */

struct rip {
	struct rip_key key;
	struct rip_count now, before;
};

static struct rip *rips;
static size_t nr_rips;

static int compare_keys(const void *left, const void *right)
{
	return memcmp(left, right, sizeof(struct rip_key));
}

static int by_count(const void *left, const void *right)
{
	const struct rip *a = left, *b = right;
	uint64_t x = a->now.count - a->before.count, y = b->now.count - b->before.count;

	return x < y ? 1 : x > y ? -1 : compare_keys(left, right);
}

static void collect_rips(void)
{
	struct rip_key key, *previous = NULL;
	struct rip_count count;
	size_t known = nr_rips;

	for (size_t i = 0; i < nr_rips; i++)
		rips[i].before = rips[i].now;
	qsort(rips, nr_rips, sizeof(*rips), compare_keys);
	while (!bpf_map_get_next_key(bpf_map__fd(skel->maps.rips), previous, &key)) {
		struct rip *rip;

		previous = &key;
		if (bpf_map_lookup_elem(bpf_map__fd(skel->maps.rips), &key, &count))
			continue;
		rip = bsearch(&key, rips, known, sizeof(*rips), compare_keys);
		if (!rip) {
			rips = realloc(rips, (nr_rips + 1) * sizeof(*rips));
			if (!rips)
				die(TOOL_FAILED, "out of memory");
			rip = &rips[nr_rips++];
			memset(rip, 0, sizeof(*rip));
			rip->key = key;
		}
		rip->now = count;
	}
	qsort(rips, nr_rips, sizeof(*rips), by_count);
}

/* ---- reports in words ----------------------------------------------------------------- */

struct row {
	const char *name;
	const struct cell *cell;
	unsigned int kind;
};

static double rank(const struct row *row)
{
	const struct cell *cell = row->cell;

	switch (own.sort) {
	case SORT_COUNT:
		return (double)cell->count;
	case SORT_MEAN:
		return cell->timed ? (double)cell->total_ns / (double)cell->timed : 0;
	case SORT_MAX:
		return (double)cell->max_ns;
	default:
		return (double)cell->total_ns;
	}
}

static int by_rank(const void *left, const void *right)
{
	const struct row *a = left, *b = right;
	double x = rank(a), y = rank(b);

	return x < y ? 1 : x > y ? -1 : (int)a->kind - (int)b->kind;
}

static unsigned int sorted(const struct cells *cells, unsigned int first, unsigned int last,
			   struct row *rows)
{
	unsigned int count = 0;

	for (unsigned int kind = first; kind < last; kind++) {
		const struct cell *cell = &cells->kind[kind];

		if (cell->count)
			rows[count++] = (struct row){
				kind < MAX_REASONS ? reason_name(kind) :
						     access_name(kind - MAX_REASONS), cell, kind };
	}
	qsort(rows, count, sizeof(*rows), by_rank);
	return count;
}

static void print_row(const char *indent, const struct row *row, double seconds)
{
	const struct cell *cell = row->cell;
	char name[64], user[16] = "-";

	snprintf(name, sizeof(name), "%s%s", indent, row->name);
	if (cell->user_ns && cell->total_ns)
		snprintf(user, sizeof(user), "%.0f%%", 100.0 * (double)cell->user_ns /
			 (double)cell->total_ns);
	printf("%-22s %10llu %9.0f %9s %9s %9s %9llu %5s\n", name,
	       (unsigned long long)cell->count, (double)cell->count / seconds,
	       cell->timed ? format_ns(cell->total_ns / cell->timed) : "-",
	       cell->timed ? format_ns(cell->max_ns) : "-", format_ns(cell->total_ns),
	       (unsigned long long)cell->user, user);
}

static void print_calls(const struct group *group, double seconds)
{
	uint64_t below = UINT64_MAX, most;

	/* The most frequent first; equal ones by number. */
	do {
		most = 0;
		for (unsigned int i = 0; i < CALLS; i++)
			if (new_calls(group, i) < below && new_calls(group, i) > most)
				most = new_calls(group, i);
		if (most && below == UINT64_MAX)
			printf("%-22s %10s %9s\n", "HYPERCALL", "COUNT", "PER SEC");
		for (unsigned int i = 0; most && i < CALLS; i++)
			if (new_calls(group, i) == most)
				printf("%-22s %10llu %9.0f\n", xen_call_name(i), (unsigned long long)most,
				       (double)most / seconds);
		below = most;
	} while (most);
}

static void print_group(const struct group *group, double seconds)
{
	struct cells cells = news(group);
	struct row rows[KINDS], faults[FAULT_RESULTS];
	unsigned int count = sorted(&cells, 0, MAX_REASONS, rows);
	unsigned int nr_faults = sorted(&cells, MAX_REASONS, KINDS, faults);
	uint64_t exits_total = 0, calls = 0;

	for (unsigned int i = 0; i < CALLS; i++)
		calls += new_calls(group, i);
	if (!count && !calls)
		return;
	for (unsigned int i = 0; i < count; i++)
		exits_total += rows[i].cell->count;
	printf("\nVM %u %s", group->key.vm, tool_vm_name(group->key.vm));
	if (own.per_vcpu)
		printf(", vCPU %u", group->key.vcpu);
	if (own.by_phase)
		printf(", phase %s", phase_name(group->key.phase));
	printf(": %llu exits in %.1f s\n", (unsigned long long)exits_total, seconds);
	printf("%-22s %10s %9s %9s %9s %9s %9s %5s\n", "REASON", "COUNT", "PER SEC", "MEAN", "MAX",
	       "TOTAL", "LAUNCHER", "USER");
	for (unsigned int i = 0; i < count; i++) {
		print_row("", &rows[i], seconds);
		if (!strcmp(rows[i].name, "page_fault"))
			for (unsigned int j = 0; j < nr_faults; j++)
				print_row("  ", &faults[j], seconds);
	}
	print_calls(group, seconds);
	for (unsigned int i = 0; own.histogram && i < count; i++)
		print_histogram(rows[i].name, rows[i].cell->slots);
}

static void print_rips(void)
{
	if (!own.rips)
		return;
	printf("\n%-4s %-18s %-18s %10s %9s  %s\n", "VM", "RIP", "REASON", "COUNT", "MEAN", "SYMBOL");
	for (size_t i = 0; i < nr_rips && i < own.rips; i++) {
		const struct rip *rip = &rips[i];
		uint64_t count = rip->now.count - rip->before.count;

		if (!count)
			break;
		printf("%-4u %#-18llx %-18s %10llu %9s  %s\n", rip->key.vm,
		       (unsigned long long)rip->key.rip, reason_name(rip->key.reason),
		       (unsigned long long)count,
		       format_ns((rip->now.total_ns - rip->before.total_ns) / count),
		       symbol_of(rip->key.rip));
	}
}

/* ---- reports for programs ---------------------------------------------------------------- */

static struct json_object *json_cell(const struct cell *cell)
{
	struct json_object *object = json_object_new_object();

	json_u64(object, "count", cell->count);
	json_u64(object, "timed", cell->timed);
	json_u64(object, "total_ns", cell->total_ns);
	json_u64(object, "mean_ns", cell->timed ? cell->total_ns / cell->timed : 0);
	json_u64(object, "max_ns", cell->max_ns);
	json_u64(object, "launcher", cell->user);
	json_u64(object, "launcher_ns", cell->user_ns);
	json_object_object_add(object, "histogram", json_histogram(cell->slots));
	return object;
}

static struct json_object *json_kinds(const struct cells *cells, unsigned int first,
				      unsigned int last)
{
	struct json_object *object = json_object_new_object();

	for (unsigned int kind = first; kind < last; kind++)
		if (cells->kind[kind].count)
			json_object_object_add(object, kind < MAX_REASONS ? reason_name(kind) :
					       access_name(kind - MAX_REASONS),
					       json_cell(&cells->kind[kind]));
	return object;
}

static struct json_object *json_calls(const struct group *group)
{
	struct json_object *object = json_object_new_object();

	for (unsigned int i = 0; i < CALLS; i++)
		if (new_calls(group, i))
			json_u64(object, xen_call_name(i), new_calls(group, i));
	return object;
}

static struct json_object *json_group(const struct group *group)
{
	struct json_object *object = json_object_new_object();
	struct cells cells = news(group);
	uint64_t total = 0;

	for (unsigned int kind = 0; kind < MAX_REASONS; kind++)
		total += cells.kind[kind].count;
	json_u64(object, "vm", group->key.vm);
	json_object_object_add(object, "name",
			       json_object_new_string(tool_vm_name(group->key.vm)));
	if (own.per_vcpu)
		json_u64(object, "vcpu", group->key.vcpu);
	if (own.by_phase) {
		json_u64(object, "phase", group->key.phase);
		json_object_object_add(object, "phase_name",
				       json_object_new_string(phase_name(group->key.phase)));
	}
	json_u64(object, "exits", total);
	json_object_object_add(object, "reasons", json_kinds(&cells, 0, MAX_REASONS));
	json_object_object_add(object, "page_faults", json_kinds(&cells, MAX_REASONS, KINDS));
	json_object_object_add(object, "hypercalls", json_calls(group));
	return object;
}

static struct json_object *json_rips(void)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < nr_rips && i < own.rips; i++) {
		struct json_object *object = json_object_new_object();
		const struct rip *rip = &rips[i];
		char address[32];

		if (rip->now.count == rip->before.count)
			break;
		snprintf(address, sizeof(address), "%#llx", (unsigned long long)rip->key.rip);
		json_u64(object, "vm", rip->key.vm);
		json_object_object_add(object, "rip", json_object_new_string(address));
		json_object_object_add(object, "symbol",
				       json_object_new_string(symbol_of(rip->key.rip)));
		json_object_object_add(object, "reason",
				       json_object_new_string(reason_name(rip->key.reason)));
		json_u64(object, "count", rip->now.count - rip->before.count);
		json_u64(object, "total_ns", rip->now.total_ns - rip->before.total_ns);
		json_object_array_add(array, object);
	}
	return array;
}

static void report_json(const struct losses *lost, double seconds)
{
	struct json_object *object = json_object_new_object();
	struct json_object *array = json_object_new_array();

	json_object_object_add(object, "seconds", json_object_new_double(seconds));
	tool_report_losses(lost, object);
	for (unsigned int i = 0; i < nr_groups; i++)
		json_object_array_add(array, json_group(&groups[i]));
	json_object_object_add(object, "counts", array);
	if (own.rips)
		json_object_object_add(object, "addresses", json_rips());
	tool_print_json(object);
}

static void report(void)
{
	static double before;
	double now = tool_seconds(), seconds = fmax(now - before, 0.001);
	struct losses lost = skel->bss->lost, since = lost;

	before = now;
	since.events -= lost_before.events;
	since.room -= lost_before.room;
	since.addresses -= lost_before.addresses;
	since.ring -= lost_before.ring;
	lost_before = lost;
	collect();
	if (own.rips)
		collect_rips();
	if (options.json) {
		report_json(&since, seconds);
		return;
	}
	for (unsigned int i = 0; i < nr_groups; i++)
		print_group(&groups[i], seconds);
	print_rips();
	tool_report_losses(&since, NULL);
	if (!nr_groups)
		printf("no exits in %.1f s\n", seconds);
	fflush(stdout);
}

/* ---- one by one ----------------------------------------------------------------------------- */

static int show_slow(void *context, void *data, size_t bytes)
{
	const struct slow_exit *slow = data;

	(void)context;
	if (bytes < sizeof(*slow))
		return 0;
	if (options.json) {
		struct json_object *object = json_object_new_object();
		char address[32];

		snprintf(address, sizeof(address), "%#llx", (unsigned long long)slow->rip);
		json_u64(object, "slow_ns", slow->ns);
		json_u64(object, "launcher_ns", slow->user_ns);
		json_u64(object, "vm", slow->vm);
		json_u64(object, "vcpu", slow->vcpu);
		json_object_object_add(object, "reason",
				       json_object_new_string(reason_name(slow->reason)));
		json_object_object_add(object, "rip", json_object_new_string(address));
		tool_print_json(object);
		return 0;
	}
	printf("%.6f VM %u vCPU %u %s%s%s took %s (%s in the launcher) at %#llx %s\n",
	       slow->end_ns / 1e9, slow->vm, slow->vcpu, reason_name(slow->reason),
	       slow->fault ? "/" : "", slow->fault ? access_name(slow->fault - 1) : "",
	       format_ns(slow->ns), format_ns(slow->user_ns), (unsigned long long)slow->rip,
	       symbol_of(slow->rip));
	return 0;
}

static void load(void)
{
	skel = gondola_exits_bpf__open();
	if (!skel)
		tool_done(-errno, "open the BPF program");
	skel->rodata->filter_vm = options.vm;
	skel->rodata->filter_vcpu = own.vcpu;
	skel->rodata->filter_reasons = own.reasons;
	skel->rodata->by_phase = own.by_phase;
	skel->rodata->by_rip = own.rips;
	skel->rodata->count_calls = own.calls;
	skel->rodata->show_slow = own.slower;
	skel->rodata->slow_ns = own.slow_us * 1000;
	skel->rodata->room = own.room;
	bpf_map__set_max_entries(skel->maps.indexes, own.room);
	bpf_map__set_max_entries(skel->maps.cells, own.room);
	bpf_map__set_max_entries(skel->maps.calls, own.room);
	bpf_map__set_max_entries(skel->maps.rips, own.rips ? 16384 : 1);
	bpf_map__set_max_entries(skel->maps.ring, own.slower ? own.ring : 4096);
	tool_done(gondola_exits_bpf__load(skel), "load the BPF program");
	tool_done(gondola_exits_bpf__attach(skel), "attach to the tracepoints");
}

int main(int argc, char **argv)
{
	struct ring_buffer *ring = NULL;
	bool more;
	int status;

	tool_start(&exits, argc, argv);
	load();
	if (own.slower)
		ring = ring_buffer__new(bpf_map__fd(skel->maps.ring), show_slow, NULL, NULL);
	tool_run_command();
	if (!options.command && !options.interval)
		fprintf(stderr, "gondola-exits: counting; Ctrl-C ends it\n");
	do {
		more = tool_wait(ring, &skel->bss->vm_gone);
		report();
	} while (more);
	status = tool_ending();
	ring_buffer__free(ring);
	gondola_exits_bpf__destroy(skel);
	return status;
}
