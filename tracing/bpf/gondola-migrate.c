// SPDX-License-Identifier: GPL-2.0-only
/* gondola-migrate: what a live migration does, and where its time went. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "gondola-migrate.h"
#include "gondola-migrate.skel.h"
#include "migrate/phase.h"
#include "tool.h"

#define MIB		(1 << 20)
#define MAX_ROUNDS	256
#define MAX_MIGRATIONS	16

static const char help[] =
"gondola-migrate - follow a live migration: phases, rounds, downtime, and why it stalls\n"
"\n"
"USAGE\n"
"  gondola-migrate [OPTION]...\n"
"  gondola-migrate [OPTION]... -- COMMAND [ARGUMENT]...\n"
"\n"
"Prints what happens as it happens, and a report when a migration is over; then it\n"
"ends, or with COMMAND when that does. It reads the launcher's static probes, at\n"
"either end of the migration: start it before the migration. All VMs of this host are\n"
"watched that run the same launcher.\n"
"\n"
"The downtime is split into the phases in which no end runs the guest: stop-and-copy,\n"
"commit and resume. STALL says that pages are dirtied as fast as they are sent.\n"
"\n"
"OPTIONS\n"
"  --vm ID|NAME       only this virtual machine; ends when it does\n"
"  --launcher FILE    the launcher's program (default: that of --vm, else \"gondola\" in PATH)\n"
"  --keep             do not end after the first migration\n"
"  --json             one line of JSON for each migration, for programs\n"
"  --verbose          what libbpf says\n"
"  --help             this text\n"
"\n"
"EXAMPLES\n"
"  gondola-migrate --vm web1\n"
"        wait for the next migration of web1 and follow it\n"
"  gondola-migrate --json -- gondola migrate web1 tcp:host2:7000 > report.json\n"
"        migrate it and keep the report\n"
"  gondola-migrate --keep\n"
"        all that go out from here or arrive here, until Ctrl-C\n"
"\n"
"EXIT STATUS\n"
"  0 done, 2 wrong usage, 4 no privilege, module, launcher or kernel for it, 14 other failures\n";

enum { OPTION_LAUNCHER = 1, OPTION_KEEP };

static const struct option longs[] = {
	{ "launcher", required_argument, NULL, OPTION_LAUNCHER },
	{ "keep", no_argument, NULL, OPTION_KEEP },
	{ NULL, 0, NULL, 0 }
};

static char launcher[PATH_MAX];
static bool keep;

static bool take(int option, const char *value)
{
	switch (option) {
	case OPTION_LAUNCHER:
		snprintf(launcher, sizeof(launcher), "%s", value);
		return !access(value, X_OK);
	case OPTION_KEEP:
		return keep = true;
	}
	return false;
}

static const char *const events[] = { "gondola_mark", "gondola_vm", NULL };
static const struct tool migrate = { "gondola-migrate", help, events, longs, take };

static struct gondola_migrate_bpf *skel;

/* ---- what is known ------------------------------------------------------------------- */

struct round {
	uint64_t pages;
	uint64_t sent;
	uint64_t bytes;
	uint64_t ns;
	uint64_t dirtied;
	uint64_t predicted_ns;
};

/**
 * struct migration - one, at one end
 * @entered_ns: when @phase began
 * @spent_ns: by phase
 */
struct migration {
	uint32_t pid;
	char name[64];
	uint32_t phase;
	uint64_t first_ns, entered_ns;
	uint64_t spent_ns[MIGRATE_PHASES];
	struct round rounds[MAX_ROUNDS];
	unsigned int nr_rounds;
	uint64_t predicted_ns, actual_ns;
	bool stopped;
	unsigned int stalls;
	uint64_t stall_round, dirty_rate, link_rate;
	uint64_t throttle, most_throttle;
	struct migrate_faults faults;
};

static struct migration *migrations[MAX_MIGRATIONS];

static struct migration *migration_of(uint32_t pid)
{
	struct migration **free_one = NULL;
	const struct tool_vm *vm;

	for (unsigned int i = 0; i < MAX_MIGRATIONS; i++) {
		if (migrations[i] && migrations[i]->pid == pid)
			return migrations[i];
		if (!migrations[i] && !free_one)
			free_one = &migrations[i];
	}
	if (!free_one)
		return NULL;
	*free_one = calloc(1, sizeof(**free_one));
	if (!*free_one)
		die(TOOL_FAILED, "out of memory");
	(*free_one)->pid = pid;
	vm = tool_vm_of(pid);
	if (vm)
		snprintf((*free_one)->name, sizeof((*free_one)->name), "%s", vm->name);
	else
		snprintf((*free_one)->name, sizeof((*free_one)->name), "%u", pid);
	return *free_one;
}

static void forget(struct migration *migration)
{
	bpf_map_delete_elem(bpf_map__fd(skel->maps.faults), &migration->pid);
	for (unsigned int i = 0; i < MAX_MIGRATIONS; i++)
		if (migrations[i] == migration)
			migrations[i] = NULL;
	free(migration);
}

static struct round *round_of(struct migration *migration, uint64_t round)
{
	static struct round spare;

	if (round >= MAX_ROUNDS)
		return &spare;
	if (round >= migration->nr_rounds)
		migration->nr_rounds = (unsigned int)round + 1;
	return &migration->rounds[round];
}

static double rate(uint64_t bytes, uint64_t ns)
{
	return ns ? bytes / (ns / 1e9) / MIB : 0;
}

/* ---- the report -------------------------------------------------------------------------- */

static bool stands(uint32_t phase)
{
	return phase == MIGRATE_STOP || phase == MIGRATE_COMMIT || phase == MIGRATE_RESUME;
}

static void print_report(const struct migration *m)
{
	uint64_t bytes = 0, total = 0;

	for (unsigned int i = 0; i < m->nr_rounds; i++)
		bytes += m->rounds[i].bytes;
	for (unsigned int i = 1; i < MIGRATE_PHASES; i++)
		total += m->spent_ns[i];
	printf("\n%s: migration %s after %s, %.1f MiB sent\n", m->name, phase_name(m->phase),
	       format_ns(total), bytes / (double)MIB);
	printf("%-14s %9s\n", "PHASE", "TIME");
	for (unsigned int i = 1; i < MIGRATE_PHASES; i++)
		if (m->spent_ns[i])
			printf("%-14s %9s%s\n", phase_name(i), format_ns(m->spent_ns[i]),
			       stands(i) ? "  the guest stands" : "");
	if (m->nr_rounds)
		printf("\n%5s %9s %9s %9s %9s %9s %9s\n", "ROUND", "PAGES", "MIB", "TIME", "MIB/S",
		       "DIRTIED", "DOWNTIME");
	for (unsigned int i = 0; i < m->nr_rounds; i++) {
		const struct round *round = &m->rounds[i];

		if (round->ns)
			printf("%5u %9llu %9.1f %9s %9.1f %9llu %9s\n", i,
			       (unsigned long long)round->sent, round->bytes / (double)MIB,
			       format_ns(round->ns), rate(round->bytes, round->ns),
			       (unsigned long long)round->dirtied,
			       round->predicted_ns ? format_ns(round->predicted_ns) : "-");
	}
	if (m->stopped)
		printf("downtime: %s, predicted %s\n", format_ns(m->actual_ns),
		       format_ns(m->predicted_ns));
	if (m->stalls)
		printf("it stalled in round %llu: %.1f MiB/s are dirtied, %.1f MiB/s sent\n",
		       (unsigned long long)m->stall_round, m->dirty_rate / (double)MIB,
		       m->link_rate / (double)MIB);
	if (m->most_throttle)
		printf("the guest was slowed down, by %llu%% at most\n",
		       (unsigned long long)m->most_throttle);
	if (m->faults.count) {
		printf("post-copy: the guest waited for %llu pages, %s each, %s at most\n",
		       (unsigned long long)m->faults.count,
		       format_ns(m->faults.total_ns / m->faults.count), format_ns(m->faults.max_ns));
		print_histogram("waiting for a page", m->faults.slots);
	}
	tool_report_losses(&skel->bss->lost, NULL);
}

static struct json_object *json_rounds(const struct migration *m)
{
	struct json_object *array = json_object_new_array();

	for (unsigned int i = 0; i < m->nr_rounds; i++) {
		struct json_object *round = json_object_new_object();

		if (!m->rounds[i].ns) {
			json_object_put(round);
			continue;
		}
		json_u64(round, "round", i);
		json_u64(round, "pages", m->rounds[i].sent);
		json_u64(round, "bytes", m->rounds[i].bytes);
		json_u64(round, "ns", m->rounds[i].ns);
		json_u64(round, "dirtied", m->rounds[i].dirtied);
		json_u64(round, "predicted_downtime_ns", m->rounds[i].predicted_ns);
		json_object_array_add(array, round);
	}
	return array;
}

static void json_report(const struct migration *m)
{
	struct json_object *object = json_object_new_object(), *phases = json_object_new_object();
	struct json_object *one;

	json_object_object_add(object, "name", json_object_new_string(m->name));
	json_u64(object, "pid", m->pid);
	json_object_object_add(object, "result", json_object_new_string(phase_name(m->phase)));
	for (unsigned int i = 1; i < MIGRATE_PHASES; i++)
		if (m->spent_ns[i])
			json_u64(phases, phase_name(i), m->spent_ns[i]);
	json_object_object_add(object, "phases_ns", phases);
	json_object_object_add(object, "rounds", json_rounds(m));
	if (m->stopped) {
		json_u64(object, "predicted_downtime_ns", m->predicted_ns);
		json_u64(object, "actual_downtime_ns", m->actual_ns);
	}
	if (m->stalls) {
		one = json_object_new_object();
		json_u64(one, "round", m->stall_round);
		json_u64(one, "dirty_rate", m->dirty_rate);
		json_u64(one, "link_rate", m->link_rate);
		json_object_object_add(object, "stall", one);
	}
	json_u64(object, "throttle", m->most_throttle);
	one = json_object_new_object();
	json_u64(one, "count", m->faults.count);
	json_u64(one, "total_ns", m->faults.total_ns);
	json_u64(one, "max_ns", m->faults.max_ns);
	json_object_object_add(one, "histogram", json_histogram(m->faults.slots));
	json_object_object_add(object, "faults", one);
	tool_report_losses(&skel->bss->lost, object);
	tool_print_json(object);
}

static void report(struct migration *m, uint64_t now)
{
	/* Report a migration under way as far as it has got. */
	if (m->phase < MIGRATE_PHASES && m->phase < MIGRATE_DONE)
		m->spent_ns[m->phase] += now - m->entered_ns;
	bpf_map_lookup_elem(bpf_map__fd(skel->maps.faults), &m->pid, &m->faults);
	if (options.json)
		json_report(m);
	else
		print_report(m);
	fflush(stdout);
	forget(m);
}

/* ---- as it happens ------------------------------------------------------------------------- */

static void enter_phase(struct migration *m, uint32_t phase, uint64_t ns)
{
	if (!m->first_ns)
		m->first_ns = ns;
	else if (m->phase < MIGRATE_PHASES)
		m->spent_ns[m->phase] += ns - m->entered_ns;
	m->entered_ns = ns;
	if (!options.json && phase != m->phase)
		printf("%10.3f  %s: %s\n", (ns - m->first_ns) / 1e9, m->name, phase_name(phase));
	m->phase = phase;
	if (phase != MIGRATE_DONE && phase != MIGRATE_FAILED)
		return;
	report(m, ns);
	if (!keep && !options.command)
		tool_end();
}

static void end_round(struct migration *m, const struct migrate_event *event)
{
	struct round *round = round_of(m, event->arguments[0]);

	round->sent += event->arguments[1];
	round->bytes += event->arguments[2];
	round->ns += event->arguments[3];
	round->dirtied = event->arguments[4];
	if (!options.json)
		printf("%10.3f  %s: round %lld: %lld pages sent, %.1f MiB/s, %lld dirtied meanwhile\n",
		       (event->ns - m->first_ns) / 1e9, m->name, (long long)event->arguments[0],
		       (long long)event->arguments[1], rate(event->arguments[2], event->arguments[3]),
		       (long long)event->arguments[4]);
}

static void stall(struct migration *m, const struct migrate_event *event)
{
	m->stalls++;
	m->stall_round = event->arguments[0];
	m->dirty_rate = event->arguments[1];
	m->link_rate = event->arguments[2];
	if (!options.json)
		printf("%10.3f  %s: STALL in round %lld: %.1f MiB/s are dirtied, %.1f MiB/s sent\n",
		       (event->ns - m->first_ns) / 1e9, m->name, (long long)m->stall_round,
		       m->dirty_rate / (double)MIB, m->link_rate / (double)MIB);
}

static int on_event(void *context, void *data, size_t bytes)
{
	const struct migrate_event *event = data;
	const __s64 *arguments = event->arguments;
	struct migration *m;

	(void)context;
	if (bytes < sizeof(*event))
		return 0;
	m = migration_of(event->pid);
	if (!m)
		return 0;
	switch (event->kind) {
	case MIGRATE_EVENT_PHASE:
		enter_phase(m, (uint32_t)arguments[0], event->ns);
		break;
	case MIGRATE_EVENT_ROUND_BEGIN:
		round_of(m, arguments[0])->pages = arguments[1];
		break;
	case MIGRATE_EVENT_ROUND_END:
		end_round(m, event);
		break;
	case MIGRATE_EVENT_PREDICTION:
		round_of(m, arguments[0])->predicted_ns = arguments[1];
		break;
	case MIGRATE_EVENT_DOWNTIME:
		m->stopped = true;
		m->predicted_ns = arguments[0];
		m->actual_ns = arguments[1];
		break;
	case MIGRATE_EVENT_STALL:
		stall(m, event);
		break;
	case MIGRATE_EVENT_THROTTLE:
		m->throttle = arguments[0];
		if (m->throttle > m->most_throttle)
			m->most_throttle = m->throttle;
		break;
	}
	return 0;
}

/* ---- attaching ------------------------------------------------------------------------------- */

static void find_launcher(void)
{
	const struct tool_vm *vm = options.vm ? tool_vm(options.vm) : NULL;
	char *path, *rest, *directory;
	char link[64];
	ssize_t length;

	if (launcher[0])
		return;
	if (vm) {
		snprintf(link, sizeof(link), "/proc/%u/exe", vm->pid);
		length = readlink(link, launcher, sizeof(launcher) - 1);
		launcher[length > 0 ? length : 0] = 0;
		if (length > 0)
			return;
	}
	path = strdup(getenv("PATH") ?: "");
	rest = path;
	while (rest && (directory = strsep(&rest, ":"))) {
		snprintf(launcher, sizeof(launcher), "%s/gondola", directory);
		if (!access(launcher, X_OK))
			break;
		launcher[0] = 0;
	}
	free(path);
	if (!launcher[0])
		die(TOOL_REFUSED, "the launcher \"gondola\" is not in PATH: say where with --launcher");
}

static void attach(struct bpf_program *program, const char *probe)
{
	struct bpf_link *link = bpf_program__attach_usdt(program, -1, launcher, "gondola", probe,
							 NULL);

	if (!link && errno == ENOENT)
		die(TOOL_REFUSED, "%s has no probe %s: it is older, or was built without probes",
		    launcher, probe);
	if (!link)
		tool_done(-errno, "attach to the launcher's probes");
}

static void load(void)
{
	const struct tool_vm *vm = options.vm ? tool_vm(options.vm) : NULL;

	if (options.vm && !vm)
		die(TOOL_USAGE, "--vm %u: there is no such VM", options.vm);
	find_launcher();
	skel = gondola_migrate_bpf__open();
	if (!skel)
		tool_done(-errno, "open the BPF program");
	skel->rodata->filter_pid = vm ? vm->pid : 0;
	skel->rodata->filter_vm = options.vm;
	tool_done(gondola_migrate_bpf__load(skel), "load the BPF program");
#define X(kind, probe, arguments) attach(skel->progs.on_##probe, #probe);
	MIGRATE_PROBES(X)
#undef X
	attach(skel->progs.on_migrate_fault_end, "migrate_fault_end");
	skel->links.on_vm = bpf_program__attach(skel->progs.on_vm);
	if (!skel->links.on_vm)
		tool_done(-errno, "attach to the tracepoints");
}

int main(int argc, char **argv)
{
	struct ring_buffer *ring;
	int status;

	tool_start(&migrate, argc, argv);
	load();
	ring = ring_buffer__new(bpf_map__fd(skel->maps.ring), on_event, NULL, NULL);
	if (!ring)
		tool_done(-errno, "read the ring buffer");
	tool_run_command();
	if (!options.command)
		fprintf(stderr, "gondola-migrate: waiting for a migration; Ctrl-C ends it\n");
	while (tool_wait(ring, &skel->bss->vm_gone))
		;
	/* Report an interrupted migration as far as it got. */
	for (unsigned int i = 0; i < MAX_MIGRATIONS; i++)
		if (migrations[i])
			report(migrations[i], tool_now_ns());
	status = tool_ending();
	ring_buffer__free(ring);
	gondola_migrate_bpf__destroy(skel);
	return status;
}
