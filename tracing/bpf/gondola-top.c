// SPDX-License-Identifier: GPL-2.0-only
/* gondola-top: all VMs on one screen. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>

#include "gondola-top.h"
#include "gondola-top.skel.h"
#include "tool.h"

static const char help[] =
"gondola-top - all virtual machines on one screen: exits, page faults, dirty pages\n"
"\n"
"USAGE\n"
"  gondola-top [OPTION]... [INTERVAL [COUNT]]\n"
"\n"
"The screen is drawn anew every INTERVAL seconds (default 2). All numbers are per\n"
"second, but: GUEST%, of the time of its vCPUs, in the guest's own code; STEAL%, in\n"
"which vCPUs could have run but the host's processors had others to run; BALLOON, MiB\n"
"that the guest has given back, known once it changes.\n"
"\n"
"COLUMNS\n"
"  EXITS all exits, of which IO ports, FAULT page faults (MMIO too), CPU CPUID, MSRs,\n"
"  control and debug registers, INTR the host's interrupts, HLT waiting, CALL hypercalls\n"
"  USER  exits that the launcher answered   INJ  interrupts and exceptions injected\n"
"  DIRTY pages dirtied, while the dirty log is on    PHASE what a migration is doing\n"
"  A terminal of less than 123 columns shows fewer: CALL, HLT, INTR and so on go first.\n"
"\n"
"KEYS\n"
"  e exits, f faults, i ports, u launcher, j injections, d dirty pages, g guest, s steal,\n"
"  n name, v id: sort by it, twice: the other way round; space: now; q: quit\n"
"\n"
"OPTIONS\n"
"  --vm ID|NAME       only this virtual machine; ends when it does\n"
"  --sort KEY         one of the keys above (default e)\n"
"  --batch            no terminal: screens as plain text, one after the other\n"
"  --json             one line of JSON for each INTERVAL, for programs\n"
"  --verbose          what libbpf says\n"
"  --help             this text\n"
"\n"
"EXAMPLES\n"
"  gondola-top\n"
"        the screen; q leaves\n"
"  gondola-top --batch 5 12 > load.txt\n"
"        a minute, for later\n"
"  gondola-top --sort d 1\n"
"        who dirties most memory while it is migrated\n"
"\n"
"EXIT STATUS\n"
"  0 done, 2 wrong usage, 4 no privilege, module or kernel for it, 14 other failures\n";

enum { OPTION_BATCH = 1, OPTION_SORT };

static const struct option longs[] = {
	{ "batch", no_argument, NULL, OPTION_BATCH },
	{ "sort", required_argument, NULL, OPTION_SORT },
	{ NULL, 0, NULL, 0 }
};

static const char keys[] = "efiujdgsnv";
static const char *const columns[] = {
	"EXITS", "FAULT", "IO", "USER", "INJ", "DIRTY", "GUEST%", "STEAL%", "NAME", "VM",
};
static char sort_key = 'e';
static bool batch, reversed, quit;

static bool take(int option, const char *value)
{
	if (option == OPTION_BATCH)
		return batch = true;
	if (option != OPTION_SORT || strlen(value) != 1 || !strchr(keys, *value))
		return false;
	sort_key = *value;
	return true;
}

static const char *const events[] = { "gondola_entry", "gondola_exit", "gondola_page_fault",
				      "gondola_leave", "gondola_inject", "gondola_dirty", "gondola_vm",
				      NULL };
static const struct tool top = { "gondola-top", help, events, longs, take };

static struct gondola_top_bpf *skel;

/* ---- what there is ------------------------------------------------------------------ */

/**
 * struct row - a VM
 * @now, @before: counts; what is shown is the difference
 * @balloon: pages, or -1: not known
 */
struct row {
	struct tool_vm vm;
	struct top_count now, before;
	int64_t balloon;
	bool alive;
};

static struct row rows[TOOL_MAX_VMS];
static unsigned int nr_rows;
static double seconds;

static uint64_t exits_of(const struct row *row)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < TOP_NR_CLASSES; i++)
		sum += row->now.exits[i] - row->before.exits[i];
	return sum;
}

static void read_counts(struct row *row)
{
	static struct top_count *cpus;
	static int nr_cpus;
	uint64_t pages;

	if (!cpus) {
		nr_cpus = libbpf_num_possible_cpus();
		cpus = calloc(nr_cpus > 0 ? nr_cpus : 1, sizeof(*cpus));
		if (!cpus || nr_cpus < 1)
			die(TOOL_FAILED, "cannot tell how many processors there are");
	}
	row->before = row->now;
	memset(&row->now, 0, sizeof(row->now));
	if (!bpf_map_lookup_elem(bpf_map__fd(skel->maps.counts), &row->vm.id, cpus))
		for (int cpu = 0; cpu < nr_cpus; cpu++)
			for (unsigned int i = 0; i < sizeof(row->now) / sizeof(__u64); i++)
				((__u64 *)&row->now)[i] += ((__u64 *)&cpus[cpu])[i];
	row->balloon = -1;
	if (!bpf_map_lookup_elem(bpf_map__fd(skel->maps.balloons), &row->vm.pid, &pages))
		row->balloon = (int64_t)pages;
}

static void collect(void)
{
	struct tool_vm vms[TOOL_MAX_VMS];
	unsigned int count = tool_list(vms, TOOL_MAX_VMS), kept = 0;
	static double before;

	for (unsigned int i = 0; i < nr_rows; i++)
		rows[i].alive = false;
	for (unsigned int i = 0; i < count; i++) {
		unsigned int at = 0;

		if (options.vm && vms[i].id != options.vm)
			continue;
		while (at < nr_rows && rows[at].vm.id != vms[i].id)
			at++;
		if (at == TOOL_MAX_VMS)
			continue;
		if (at == nr_rows)
			rows[nr_rows++] = (struct row){ 0 };
		rows[at].vm = vms[i];
		rows[at].alive = true;
		read_counts(&rows[at]);
	}
	for (unsigned int i = 0; i < nr_rows; i++) {
		if (rows[i].alive)
			rows[kept++] = rows[i];
		else
			bpf_map_delete_elem(bpf_map__fd(skel->maps.counts), &rows[i].vm.id);
	}
	nr_rows = kept;
	seconds = tool_seconds() - before;
	before += seconds;
	if (seconds < 0.001)
		seconds = 0.001;
}

#define NEWS(row, what)	((double)((row)->now.what - (row)->before.what) / seconds)

static double part(const struct row *row, uint64_t ns)
{
	return row->vm.vcpus ? 100.0 * (double)ns / 1e9 / seconds / row->vm.vcpus : 0;
}

static double value_of(const struct row *row)
{
	switch (sort_key) {
	case 'f':
		return NEWS(row, exits[TOP_FAULT]);
	case 'i':
		return NEWS(row, exits[TOP_IO]);
	case 'u':
		return NEWS(row, user);
	case 'j':
		return NEWS(row, injected);
	case 'd':
		return NEWS(row, dirtied);
	case 'g':
		return NEWS(row, guest_ns);
	case 's':
		return NEWS(row, steal_ns);
	case 'v':
		return -(double)row->vm.id;
	default:
		return (double)exits_of(row) / seconds;
	}
}

static int by_key(const void *left, const void *right)
{
	const struct row *a = left, *b = right;
	double x = value_of(a), y = value_of(b);
	int order;

	if (sort_key == 'n')
		order = strcmp(a->vm.name, b->vm.name);
	else
		order = x < y ? 1 : x > y ? -1 : (int)a->vm.id - (int)b->vm.id;
	return reversed ? -order : order;
}

/* ---- the screen ------------------------------------------------------------------------ */

static struct termios saved;
static bool raw;

static void leave_screen(void)
{
	if (!raw)
		return;
	/* Show the cursor, back to the shell's screen. */
	fputs("\033[?25h\033[?1049l", stdout);
	fflush(stdout);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved);
	raw = false;
}

static void enter_screen(void)
{
	struct termios set;

	if (batch || options.json)
		return;
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &saved))
		die(TOOL_USAGE, "this is no terminal: --batch or --json");
	set = saved;
	set.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	set.c_cc[VMIN] = 0;
	set.c_cc[VTIME] = 0;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &set);
	raw = true;
	atexit(leave_screen);
	fputs("\033[?1049h\033[?25l", stdout);
}

/* Every key that was typed; true: draw now. */
static bool look_at_keys(void)
{
	bool draw = false;
	char key;

	while (raw && read(STDIN_FILENO, &key, 1) == 1) {
		if (key == 'q')
			quit = true;
		if (key && strchr(keys, key)) {
			reversed = key == sort_key && !reversed;
			sort_key = key;
		}
		draw = true;
	}
	return draw;
}

/**
 * struct column - of the screen
 * @width: negative: to the left
 * @drop: which goes first where the terminal is too narrow for all; 0: none of them
 */
static const struct column {
	const char *head;
	int width;
	unsigned int drop;
} screen[] = {
	{ "VM", 4, 0 }, { "NAME", -14, 0 }, { "VCPU", 4, 7 }, { "GUEST%", 6, 0 }, { "STEAL%", 6, 0 },
	{ "EXITS", 7, 0 }, { "IO", 6, 5 }, { "FAULT", 6, 0 }, { "CPU", 6, 4 }, { "INTR", 6, 3 },
	{ "HLT", 6, 2 }, { "CALL", 6, 1 }, { "USER", 6, 6 }, { "INJ", 6, 0 }, { "DIRTY", 6, 0 },
	{ "BALLOON", 7, 0 }, { "PHASE", -5, 0 },
};

#define COLUMNS	(sizeof(screen) / sizeof(screen[0]))

/* Format all columns of a VM as text. */
static void fill_cells(const struct row *row, char cells[COLUMNS][24])
{
	const double counts[] = {
		(double)exits_of(row) / seconds, NEWS(row, exits[TOP_IO]),
		NEWS(row, exits[TOP_FAULT]), NEWS(row, exits[TOP_CPU]), NEWS(row, exits[TOP_INTR]),
		NEWS(row, exits[TOP_HLT]), NEWS(row, exits[TOP_CALL]), NEWS(row, user),
		NEWS(row, injected), NEWS(row, dirtied),
	};
	unsigned int at = 5;

	snprintf(cells[0], sizeof(cells[0]), "%u", row->vm.id);
	snprintf(cells[1], sizeof(cells[0]), "%.14s", row->vm.name);
	snprintf(cells[2], sizeof(cells[0]), "%u", row->vm.vcpus);
	snprintf(cells[3], sizeof(cells[0]), "%.1f",
		 part(row, row->now.guest_ns - row->before.guest_ns));
	snprintf(cells[4], sizeof(cells[0]), "%.1f",
		 part(row, row->now.steal_ns - row->before.steal_ns));
	for (unsigned int i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		snprintf(cells[at++], sizeof(cells[0]), counts[i] < 99999.5 ? "%.0f" : "%.0fk",
			 counts[i] < 99999.5 ? counts[i] : counts[i] / 1000);
	if (row->balloon >= 0)
		snprintf(cells[at], sizeof(cells[0]), "%.0f", (double)row->balloon / 256);
	else
		strcpy(cells[at], "-");
	snprintf(cells[at + 1], sizeof(cells[0]), "%s",
		 row->vm.phase ? phase_name(row->vm.phase) : "-");
}

/* From which @drop on there is room for a column. */
static unsigned int least_drop(unsigned int width)
{
	unsigned int least = 1, used;

	for (;; least++) {
		bool more = false;

		used = 0;
		for (unsigned int i = 0; i < COLUMNS; i++) {
			more |= screen[i].drop >= least;
			if (!screen[i].drop || screen[i].drop >= least)
				used += (unsigned int)abs(screen[i].width) + 1;
		}
		if (!more || used <= width + 1)
			return least;
	}
}

/* A line of the table; @row NULL: its head. */
static void draw_cells(char *line, size_t room, const struct row *row, unsigned int width)
{
	unsigned int least = least_drop(width);
	char cells[COLUMNS][24];
	size_t used = 0;

	if (row)
		fill_cells(row, cells);
	for (unsigned int i = 0; i < COLUMNS && used < room; i++)
		if (!screen[i].drop || screen[i].drop >= least)
			used += (size_t)snprintf(line + used, room - used, "%s%*s", used ? " " : "",
						 screen[i].width, row ? cells[i] : screen[i].head);
}

static void draw_head(unsigned int width)
{
	char line[256], now[16] = "";
	time_t clock = time(NULL);
	double exits = 0;
	unsigned int vcpus = 0;
	struct tm local;

	if (localtime_r(&clock, &local))
		strftime(now, sizeof(now), "%H:%M:%S", &local);
	for (unsigned int i = 0; i < nr_rows; i++) {
		exits += (double)exits_of(&rows[i]) / seconds;
		vcpus += rows[i].vm.vcpus;
	}
	snprintf(line, sizeof(line), "gondola-top %s  %u VM%s, %u vCPU%s, %.0f exits/s, sorted by %s%s%s",
		 now, nr_rows, nr_rows == 1 ? "" : "s", vcpus, vcpus == 1 ? "" : "s", exits,
		 columns[strchr(keys, sort_key) - keys], reversed ? " reversed" : "",
		 raw ? "  (q quits, --help explains)" : "");
	printf("%.*s\n", (int)width, line);
	draw_cells(line, sizeof(line), NULL, width);
	printf("%s%.*s%s\n", raw ? "\033[7m" : "", (int)width, line, raw ? "\033[0m" : "");
}

static void draw_row(const struct row *row, unsigned int width)
{
	char line[256];

	draw_cells(line, sizeof(line), row, width);
	printf("%.*s\n", (int)width, line);
}

static void draw(void)
{
	struct winsize size = { .ws_row = 0xffff, .ws_col = 400 };
	unsigned int room;

	if (raw && (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || size.ws_row < 4 || size.ws_col < 20))
		size = (struct winsize){ .ws_row = 24, .ws_col = 80 };
	if (raw)
		fputs("\033[H\033[J", stdout);
	draw_head(size.ws_col);
	/* The last line stays free: a newline there would scroll. */
	room = size.ws_row - 4u;
	for (unsigned int i = 0; i < nr_rows && i < room; i++)
		draw_row(&rows[i], size.ws_col);
	if (nr_rows > room)
		printf("... %u more\n", nr_rows - room);
	tool_report_losses(&skel->bss->lost, NULL);
	if (!raw)
		putchar('\n');
	fflush(stdout);
}

static void print_json(void)
{
	static const char *const names[] = {
#define X(class, column, words) column,
		TOP_CLASSES(X)
#undef X
	};
	struct json_object *object = json_object_new_object(), *array = json_object_new_array();

	json_object_object_add(object, "seconds", json_object_new_double(seconds));
	for (unsigned int i = 0; i < nr_rows; i++) {
		struct json_object *one = json_object_new_object();
		const struct row *row = &rows[i];
		struct json_object *classes = json_object_new_object();

		json_u64(one, "vm", row->vm.id);
		json_object_object_add(one, "name", json_object_new_string(row->vm.name));
		json_u64(one, "vcpus", row->vm.vcpus);
		json_u64(one, "exits", exits_of(row));
		for (unsigned int j = 0; j < TOP_NR_CLASSES; j++) {
			char name[16];

			for (unsigned int k = 0; k <= strlen(names[j]); k++)
				name[k] = (char)tolower(names[j][k]);
			json_u64(classes, name, row->now.exits[j] - row->before.exits[j]);
		}
		json_object_object_add(one, "classes", classes);
		json_u64(one, "mmio", row->now.mmio - row->before.mmio);
		json_u64(one, "launcher", row->now.user - row->before.user);
		json_u64(one, "injected", row->now.injected - row->before.injected);
		json_u64(one, "dirtied", row->now.dirtied - row->before.dirtied);
		json_u64(one, "guest_ns", row->now.guest_ns - row->before.guest_ns);
		json_u64(one, "steal_ns", row->now.steal_ns - row->before.steal_ns);
		if (row->balloon >= 0)
			json_u64(one, "balloon_pages", row->balloon);
		json_u64(one, "phase", row->vm.phase);
		json_object_array_add(array, one);
	}
	json_object_object_add(object, "vms", array);
	tool_report_losses(&skel->bss->lost, object);
	tool_print_json(object);
}

/* ---- ------------------------------------------------------------------------------------ */

static unsigned char class_of(const char *reason)
{
	static const struct {
		const char *reason;
		enum top_class class;
	} known[] = {
		{ "io", TOP_IO }, { "page_fault", TOP_FAULT }, { "cpuid", TOP_CPU },
		{ "msr_read", TOP_CPU }, { "msr_write", TOP_CPU }, { "cr0_write", TOP_CPU },
		{ "cr3_write", TOP_CPU }, { "cr4_write", TOP_CPU }, { "cr8_write", TOP_CPU },
		{ "cr_read", TOP_CPU }, { "dr_access", TOP_CPU }, { "invlpg", TOP_CPU },
		{ "xsetbv", TOP_CPU }, { "host_interrupt", TOP_INTR }, { "host_nmi", TOP_INTR },
		{ "interrupt_window", TOP_INTR }, { "nmi_window", TOP_INTR }, { "hlt", TOP_HLT },
		{ "pause", TOP_HLT }, { "hypercall", TOP_CALL }, { "syscall", TOP_CALL },
	};

	for (unsigned int i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(known[i].reason, reason))
			return known[i].class;
	return TOP_OTHER;
}

/* The launcher of a VM that runs, else the one in PATH: without it BALLOON stays unknown. */
static void attach_balloon(void)
{
	struct tool_vm vm;
	char path[PATH_MAX] = "gondola";
	char link[64];
	ssize_t length;

	if (tool_list(&vm, 1)) {
		snprintf(link, sizeof(link), "/proc/%u/exe", vm.pid);
		length = readlink(link, path, sizeof(path) - 1);
		if (length <= 0)
			return;
		path[length] = 0;
	}
	bpf_program__attach_usdt(skel->progs.on_balloon_pages, -1, path, "gondola", "balloon_pages",
				 NULL);
	bpf_program__attach_usdt(skel->progs.on_balloon_goal, -1, path, "gondola", "balloon_goal",
				 NULL);
}

/* A kernel without schedstats has no such member: STEAL% is 0 then. */
static bool kernel_has_run_delay(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	int id;
	const struct btf_type *type;
	bool found = false;

	if (!btf)
		die(TOOL_REFUSED, "this kernel does not describe its types: it has no /sys/kernel/btf/vmlinux (CONFIG_DEBUG_INFO_BTF)");
	id = btf__find_by_name_kind(btf, "sched_info", BTF_KIND_STRUCT);
	type = id > 0 ? btf__type_by_id(btf, id) : NULL;
	for (unsigned int i = 0; type && i < btf_vlen(type); i++)
		found |= !strcmp(btf__name_by_offset(btf, btf_members(type)[i].name_off),
				 "run_delay");
	btf__free(btf);
	return found;
}

static void load(void)
{
	skel = gondola_top_bpf__open();
	if (!skel)
		tool_done(-errno, "open the BPF program");
	skel->rodata->filter_vm = options.vm;
	skel->rodata->has_run_delay = kernel_has_run_delay();
	for (unsigned int reason = 0; reason < TOP_REASONS; reason++)
		skel->rodata->class_of[reason] = class_of(reason_name(reason));
	tool_done(gondola_top_bpf__load(skel), "load the BPF program");
	tool_done(gondola_top_bpf__attach(skel), "attach to the tracepoints");
	attach_balloon();
}

int main(int argc, char **argv)
{
	bool more;

	tool_start(&top, argc, argv);
	if (options.command)
		die(TOOL_USAGE, "it watches all VMs: there is no COMMAND");
	if (!options.interval)
		options.interval = 2;
	tool_look = look_at_keys;
	load();
	enter_screen();
	collect();
	do {
		more = tool_wait(NULL, &skel->bss->vm_gone) && !quit;
		collect();
		qsort(rows, nr_rows, sizeof(rows[0]), by_key);
		if (options.json)
			print_json();
		else
			draw();
	} while (more);
	leave_screen();
	gondola_top_bpf__destroy(skel);
	return tool_ending();
}
