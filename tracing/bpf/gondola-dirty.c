// SPDX-License-Identifier: GPL-2.0-only
/* gondola-dirty: which pages are dirtied, by whom, how fast; would a migration converge? */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>

#include "dirty-read.h"
#include "gondola-dirty.skel.h"
#include "sample.h"
#include "tool.h"

static const char help[] =
"gondola-dirty - show which guest memory is dirtied, by whom and how fast\n"
"\n"
"USAGE\n"
"  gondola-dirty [OPTION]... [INTERVAL [COUNT]]\n"
"  gondola-dirty [OPTION]... -- COMMAND [ARGUMENT]...\n"
"\n"
"A page is dirty from its first write in a round to the next reading of the dirty log,\n"
"and is counted for that first writer alone. Only memory whose log is on shows: that\n"
"is so during a migration, or with --sample, which asks the launcher for rounds.\n"
"It counts until Ctrl-C, the end of COMMAND or of the VM, then reports; with INTERVAL\n"
"it also prints a line for each INTERVAL seconds. LOST lines say what is missing.\n"
"\n"
"OPTIONS\n"
"  --vm ID|NAME       only this virtual machine; ends when it does\n"
"  --sample MS        have the VM's launcher read and clear the log each MS milliseconds\n"
"                     while this runs (needs --vm, and no migration under way)\n"
"  --control PATH     the launcher's control socket, for --sample (default: by its name)\n"
"  --by-phase         each phase and round of a migration by itself\n"
"  --rip[=N]          the N (default 20) guest addresses that dirty most\n"
"  --symbols FILE     the guest's System.map or /proc/kallsyms, to name addresses by\n"
"  --pages[=N]        the N (default 20) pages that were dirtied in most rounds\n"
"  --hot K/N          what is hot: dirtied in K of the last N whole rounds (default 4/8)\n"
"  --svg FILE         a heat map: guest-physical memory over time\n"
"  --column MS        width of its cells (default 250)\n"
"  --row SIZE         height of its cells (default 1M)\n"
"  --bandwidth RATE   would a pre-copy at RATE bytes a second (100M, 1.2G) converge?\n"
"  --downtime MS      what it may stop the guest for (default 300)\n"
"  --memory SIZE      the guest's memory, where the module's list does not tell\n"
"  --room N           pages that can be told apart (default 1048576)\n"
"  --json             JSON, a line for each report, for programs\n"
"  --verbose          what libbpf says\n"
"  --help             this text\n"
"\n"
"EXAMPLES\n"
"  gondola-dirty --vm web1 --sample 100 1\n"
"        how fast web1 dirties memory, every second\n"
"  gondola-dirty --vm web1 --sample 100 --bandwidth 110M --downtime 200 10 1\n"
"        would it migrate over gigabit Ethernet, standing still for 0.2 s at most?\n"
"  gondola-dirty --vm web1 --sample 200 --rip --symbols System.map-6.1.0 30 1\n"
"        which code of the guest dirties most\n"
"  gondola-dirty --by-phase --svg heat.svg -- gondola migrate web1 tcp:host2:7000\n"
"        a migration round by round, and as a picture\n"
"\n"
"EXIT STATUS\n"
"  0 done, 2 wrong usage, 4 no privilege, module or kernel for it, 14 other failures\n";

enum {
	OPTION_SAMPLE = 1,
	OPTION_CONTROL,
	OPTION_BY_PHASE,
	OPTION_RIP,
	OPTION_SYMBOLS,
	OPTION_PAGES,
	OPTION_HOT,
	OPTION_SVG,
	OPTION_COLUMN,
	OPTION_ROW,
	OPTION_BANDWIDTH,
	OPTION_DOWNTIME,
	OPTION_MEMORY,
	OPTION_ROOM,
};

static const struct option longs[] = {
	{ "sample", required_argument, NULL, OPTION_SAMPLE },
	{ "control", required_argument, NULL, OPTION_CONTROL },
	{ "by-phase", no_argument, NULL, OPTION_BY_PHASE },
	{ "rip", optional_argument, NULL, OPTION_RIP },
	{ "symbols", required_argument, NULL, OPTION_SYMBOLS },
	{ "pages", optional_argument, NULL, OPTION_PAGES },
	{ "hot", required_argument, NULL, OPTION_HOT },
	{ "svg", required_argument, NULL, OPTION_SVG },
	{ "column", required_argument, NULL, OPTION_COLUMN },
	{ "row", required_argument, NULL, OPTION_ROW },
	{ "bandwidth", required_argument, NULL, OPTION_BANDWIDTH },
	{ "downtime", required_argument, NULL, OPTION_DOWNTIME },
	{ "memory", required_argument, NULL, OPTION_MEMORY },
	{ "room", required_argument, NULL, OPTION_ROOM },
	{ NULL, 0, NULL, 0 }
};

struct dirty_options dirty_options = {
	.hot_least = 4, .hot_of = 8, .column_ms = 250, .row_shift = 8, .downtime_ms = 300,
	.room = 1 << 20,
};

static bool take_hot(const char *value)
{
	unsigned int least, of;
	char end;

	if (sscanf(value, "%u/%u%c", &least, &of, &end) != 2 || !least || least > of ||
	    of > EPOCHS - 1)
		return false;
	dirty_options.hot_least = least;
	dirty_options.hot_of = of;
	return true;
}

static bool take_row(const char *value)
{
	uint64_t bytes;

	if (!take_size(value, &bytes) || bytes < PAGE_BYTES || bytes & (bytes - 1))
		return false;
	dirty_options.row_shift = (unsigned int)__builtin_ctzll(bytes / PAGE_BYTES);
	return true;
}

static bool take(int option, const char *value)
{
	struct dirty_options *own = &dirty_options;

	switch (option) {
	case OPTION_SAMPLE:
		return take_u64(value, 1, 60000, &own->sample_ms);
	case OPTION_CONTROL:
		own->control = value;
		return true;
	case OPTION_BY_PHASE:
		return own->by_phase = true;
	case OPTION_RIP:
		own->rips = 20;
		return !value || take_u64(value, 1, 100000, &own->rips);
	case OPTION_SYMBOLS:
		symbols_load(value);
		return true;
	case OPTION_PAGES:
		own->pages = 20;
		return !value || take_u64(value, 1, 1 << 26, &own->pages);
	case OPTION_HOT:
		return take_hot(value);
	case OPTION_SVG:
		own->svg = value;
		return *value;
	case OPTION_COLUMN:
		return take_u64(value, 1, 3600000, &own->column_ms);
	case OPTION_ROW:
		return take_row(value);
	case OPTION_BANDWIDTH:
		return take_size(value, &own->bandwidth);
	case OPTION_DOWNTIME:
		return take_u64(value, 1, 3600000, &own->downtime_ms);
	case OPTION_MEMORY:
		return take_size(value, &own->memory);
	case OPTION_ROOM:
		return take_u64(value, 1, 1 << 26, &own->room);
	}
	return false;
}

static const char *const events[] = { "gondola_dirty", "gondola_mark", "gondola_vm", NULL };
static const struct tool dirty = { "gondola-dirty", help, events, longs, take };

static struct gondola_dirty_bpf *skel;

/* ---- a line for each interval ------------------------------------------------------- */

struct line {
	uint32_t vm;
	uint64_t pages[SOURCES], before[SOURCES];
};

static struct line *line_of(struct line *lines, unsigned int *count, uint32_t vm)
{
	for (unsigned int i = 0; i < *count; i++)
		if (lines[i].vm == vm)
			return &lines[i];
	if (*count == TOOL_MAX_VMS)
		return NULL;
	lines[*count] = (struct line){ .vm = vm };
	return &lines[(*count)++];
}

static void print_line(const struct line *line, double seconds)
{
	uint64_t count[SOURCES], all = 0;

	for (unsigned int i = 0; i < SOURCES; i++) {
		count[i] = line->pages[i] - line->before[i];
		all += count[i];
	}
	if (options.json) {
		struct json_object *object = json_object_new_object();

		json_object_object_add(object, "seconds", json_object_new_double(seconds));
		json_u64(object, "vm", line->vm);
		for (unsigned int i = 0; i < SOURCES; i++)
			json_u64(object, source_name(i), count[i]);
		tool_print_json(object);
		return;
	}
	printf("%-4u %-16.16s %9.0f %9.2f %9llu %9llu %9llu\n", line->vm, tool_vm_name(line->vm),
	       all / seconds, all * (double)PAGE_BYTES / seconds / (1 << 20),
	       (unsigned long long)count[GONDOLA_DIRTY_VCPU],
	       (unsigned long long)count[GONDOLA_DIRTY_DEVICE],
	       (unsigned long long)count[GONDOLA_DIRTY_HOST]);
}

static void interval_report(void)
{
	static struct line lines[TOOL_MAX_VMS];
	static unsigned int count, printed;
	static double before;
	struct source_key key, *previous = NULL;
	double now = tool_seconds();
	uint64_t pages;

	for (unsigned int i = 0; i < count; i++) {
		memcpy(lines[i].before, lines[i].pages, sizeof(lines[i].pages));
		memset(lines[i].pages, 0, sizeof(lines[i].pages));
	}
	while (!bpf_map_get_next_key(bpf_map__fd(skel->maps.sources), previous, &key)) {
		struct line *line = line_of(lines, &count, key.vm);

		previous = &key;
		if (line && key.source < SOURCES &&
		    !bpf_map_lookup_elem(bpf_map__fd(skel->maps.sources), &key, &pages))
			line->pages[key.source] += pages;
	}
	if (!options.json && !(printed++ % 20))
		printf("%-4s %-16s %9s %9s %9s %9s %9s\n", "VM", "NAME", "PAGES/S", "MIB/S", "VCPU",
		       "DEVICE", "HOST");
	for (unsigned int i = 0; i < count; i++)
		print_line(&lines[i], fmax(now - before, 0.001));
	before = now;
}

/* ---- ------------------------------------------------------------------------------------ */

static void load(void)
{
	const struct dirty_options *own = &dirty_options;

	skel = gondola_dirty_bpf__open();
	if (!skel)
		tool_done(-errno, "open the BPF program");
	skel->rodata->filter_vm = options.vm;
	skel->rodata->by_rip = own->rips;
	skel->rodata->heat_map = own->svg;
	skel->rodata->start_ns = tool_now_ns();
	skel->rodata->column_ns = own->column_ms * 1000000;
	skel->rodata->row_shift = own->row_shift;
	bpf_map__set_max_entries(skel->maps.pages, own->room);
	bpf_map__set_max_entries(skel->maps.writers, own->rips ? 16384 : 1);
	bpf_map__set_max_entries(skel->maps.heat, own->svg ? 1 << 18 : 1);
	tool_done(gondola_dirty_bpf__load(skel), "load the BPF program");
	tool_done(gondola_dirty_bpf__attach(skel), "attach to the tracepoints");
}

int main(int argc, char **argv)
{
	struct dirty_maps maps;
	bool more;
	int status;

	tool_start(&dirty, argc, argv);
	if (dirty_options.sample_ms && !options.vm)
		die(TOOL_USAGE, "--sample needs --vm");
	load();
	if (dirty_options.sample_ms) {
		sample_start(dirty_options.sample_ms, dirty_options.control);
		tool_look = sample_look;
	}
	tool_run_command();
	if (!options.command && !options.interval)
		fprintf(stderr, "gondola-dirty: counting; Ctrl-C ends it\n");
	do {
		more = tool_wait(NULL, &skel->bss->vm_gone);
		if (options.interval)
			interval_report();
	} while (more);
	sample_stop();

	maps = (struct dirty_maps){
		.vms = bpf_map__fd(skel->maps.vms), .pages = bpf_map__fd(skel->maps.pages),
		.rounds = bpf_map__fd(skel->maps.rounds), .writers = bpf_map__fd(skel->maps.writers),
		.sources = bpf_map__fd(skel->maps.sources), .heat = bpf_map__fd(skel->maps.heat),
	};
	status = tool_ending();
	dirty_report(&maps, &skel->bss->lost, skel->rodata->start_ns);
	gondola_dirty_bpf__destroy(skel);
	return status;
}
