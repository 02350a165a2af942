// SPDX-License-Identifier: GPL-2.0-only
/* Options, the checks before a tool starts, and waiting. */
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/signals.h"
#include "events.h"
#include "tool.h"

#define TRACEFS		"/sys/kernel/tracing"
#define EVENTS		TRACEFS "/events/gondola"
#define DEBUGFS		"/sys/kernel/debug"
#define LIST		DEBUGFS "/gondola/list"
#define OLDEST		"5.12"		/* the first whose BPF adds atomically and gives the sum */
#define LOOK_MS		100		/* how often to look for what sends no signal */

struct tool_options options;
bool (*tool_look)(void);

static const struct tool *tool;
static volatile sig_atomic_t interrupted;
static bool enough, vm_ended;
static pid_t child;
static int child_status = -1;
static uint64_t started, due;
static unsigned long reports;

void die(int status, const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "%s: ", tool ? tool->name : "gondola");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(status);
}

/* ---- numbers ------------------------------------------------------------------- */

bool take_u64(const char *value, uint64_t min, uint64_t max, uint64_t *out)
{
	char *end;

	if (!isdigit((unsigned char)*value))
		return false;
	errno = 0;
	*out = strtoull(value, &end, !strncasecmp(value, "0x", 2) ? 16 : 10);
	return !errno && !*end && *out >= min && *out <= max;
}

bool take_size(const char *value, uint64_t *out)
{
	static const char units[] = "KMGT";
	char *end;
	double number;
	const char *unit;

	if (!isdigit((unsigned char)*value))
		return false;
	number = strtod(value, &end);
	if (*end) {
		unit = strchr(units, toupper((unsigned char)*end));
		if (!unit || end[1])
			return false;
		number *= (double)(1ull << 10 * (unit - units + 1));
	}
	*out = (uint64_t)number;
	return number >= 1 && number < 1e18;
}

static bool take_interval(const char *value, double *out)
{
	char *end;

	if (!isdigit((unsigned char)*value))
		return false;
	*out = strtod(value, &end);
	return !*end && *out >= 0.01 && *out <= 86400;
}

/* ---- can it work here? ----------------------------------------------------------- */

static void check_kernel(void)
{
	unsigned int major, minor, need_major, need_minor;
	struct utsname name;

	sscanf(OLDEST, "%u.%u", &need_major, &need_minor);
	if (uname(&name) || sscanf(name.release, "%u.%u", &major, &minor) != 2)
		return;
	if (major < need_major || (major == need_major && minor < need_minor))
		die(TOOL_REFUSED, "needs Linux " OLDEST " or newer for its BPF programs, this is %s",
		    name.release);
}

static void check_module(void)
{
	if (!access(EVENTS, X_OK))
		return;
	if (errno == EACCES)
		die(TOOL_REFUSED, "not permitted: run it as root");
	if (access(TRACEFS "/events", F_OK))
		die(TOOL_REFUSED, "tracefs is not there: mount -t tracefs none " TRACEFS);
	die(TOOL_REFUSED, "the module gondola is not loaded: insmod gondola.ko");
}

struct event_field {
	const char *event;
	const char *name;
	unsigned int offset;
	unsigned int size;
};

static const struct event_field event_fields[] = {
#define X(event, field) { #event, #field, offsetof(struct event_##event, field), \
			  sizeof(((struct event_##event *)0)->field) },
	GONDOLA_EVENT_FIELDS(X)
#undef X
	{ NULL, NULL, 0, 0 }
};

/* One line of a "format" file: "field:u32 vm;	offset:8;	size:4;	signed:0;", or "vm[2];" */
static bool format_has(const char *format, const struct event_field *field)
{
	size_t length = strlen(field->name);
	unsigned int offset, size;

	for (const char *at = format; (at = strstr(at, field->name)); at++) {
		const char *end = at + length;

		if (at == format || at[-1] != ' ' || (*end != ';' && *end != '['))
			continue;
		end = strchr(end, ';');
		return end && sscanf(end, ";\toffset:%u;\tsize:%u", &offset, &size) == 2 &&
		       offset == field->offset && size == field->size;
	}
	return false;
}

/* The BPF programs read the events by offsets that were fixed when they were built. */
static void check_format(const char *event)
{
	char path[128], format[4096];
	FILE *file;
	size_t used;

	snprintf(path, sizeof(path), EVENTS "/%s/format", event);
	file = fopen(path, "re");
	if (!file)
		die(TOOL_REFUSED, "the loaded module has no tracepoint %s: it is older than this tool",
		    event);
	used = fread(format, 1, sizeof(format) - 1, file);
	format[used] = 0;
	fclose(file);
	for (const struct event_field *field = event_fields; field->event; field++)
		if (!strcmp(field->event, event) && !format_has(format, field))
			die(TOOL_REFUSED,
			    "the loaded module's %s has another layout (field %s): build both from one source",
			    event, field->name);
}

static int print_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	return options.verbose || (level == LIBBPF_WARN && getenv("LIBBPF_DEBUG")) ?
		vfprintf(stderr, format, args) : 0;
}

void tool_done(int err, const char *what)
{
	if (!err)
		return;
	if (err == -EPERM || (err == -EACCES && geteuid()))
		die(TOOL_REFUSED, "not permitted to %s: run it as root, outside of containers", what);
	if (err == -ENOENT)
		die(TOOL_REFUSED, "cannot %s: the module gondola went away", what);
	die(TOOL_FAILED, "cannot %s: %s (--verbose says more)", what, strerror(-err));
}

/* ---- options ---------------------------------------------------------------------- */

static const char *vm_asked;

/* Once it is known that there is a module to ask. */
static void find_vm(void)
{
	struct tool_vm vms[TOOL_MAX_VMS];
	unsigned int count = tool_list(vms, TOOL_MAX_VMS);
	uint64_t id = 0;

	if (!vm_asked)
		return;
	if (access(LIST, R_OK))
		die(TOOL_REFUSED, "--vm %s: cannot read " LIST ": %s (mount -t debugfs none "
		    DEBUGFS ")", vm_asked, strerror(errno));
	take_u64(vm_asked, 1, UINT32_MAX, &id);
	for (unsigned int i = 0; i < count && !options.vm; i++)
		if (vms[i].id == id || !strcmp(vms[i].name, vm_asked))
			options.vm = vms[i].id;
	if (!options.vm)
		die(TOOL_USAGE, "--vm %s: no VM has this %s (" LIST ")", vm_asked,
		    id ? "id" : "name");
}

enum { OPTION_VM = 0x100, OPTION_JSON, OPTION_VERBOSE, OPTION_HELP };

static const struct option shared[] = {
	{ "vm", required_argument, NULL, OPTION_VM },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "verbose", no_argument, NULL, OPTION_VERBOSE },
	{ "help", no_argument, NULL, OPTION_HELP },
};

static void parse(int argc, char **argv)
{
	struct option all[32] = { 0 };
	unsigned int used = 0;
	int option;

	for (unsigned int i = 0; i < sizeof(shared) / sizeof(shared[0]); i++)
		all[used++] = shared[i];
	for (const struct option *own = tool->longs; own->name && used < 31; own++)
		all[used++] = *own;
	opterr = 0;
	/* "+": what follows "--" is a command with options of its own. */
	while ((option = getopt_long(argc, argv, "+:h", all, NULL)) != -1) {
		switch (option) {
		case OPTION_VM:
			vm_asked = optarg;
			break;
		case OPTION_JSON:
			options.json = true;
			break;
		case OPTION_VERBOSE:
			options.verbose = true;
			break;
		case 'h':
		case OPTION_HELP:
			fputs(tool->help, stdout);
			exit(TOOL_OK);
		case ':':
			die(TOOL_USAGE, "%s needs a value (see --help)", argv[optind - 1]);
		case '?':
			die(TOOL_USAGE, "\"%s\" is not an option (see --help)", argv[optind - 1]);
		default:
			if (!tool->take(option, optarg))
				die(TOOL_USAGE, "\"%s\" is not a value for %s (see --help)", optarg,
				    argv[optind - 1] == optarg ? argv[optind - 2] : argv[optind - 1]);
		}
	}
	for (; optind < argc && strcmp(argv[optind - 1], "--"); optind++) {
		uint64_t count;

		if (!options.interval && take_interval(argv[optind], &options.interval))
			continue;
		if (options.interval && !options.count &&
		    take_u64(argv[optind], 1, 1000000000, &count)) {
			options.count = count;
			continue;
		}
		if (!strcmp(argv[optind], "--"))
			continue;
		die(TOOL_USAGE, "\"%s\" is neither an interval in seconds nor a count (see --help)",
		    argv[optind]);
	}
	if (optind < argc)
		options.command = argv + optind;
	else if (!strcmp(argv[argc - 1], "--"))
		die(TOOL_USAGE, "a command must follow \"--\"");
}

static void on_signal(int number)
{
	if (number != SIGCHLD)
		interrupted = 1;
}

void tool_start(const struct tool *which, int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };

	tool = which;
	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(argc, argv);
	check_kernel();
	check_module();
	find_vm();
	for (const char *const *event = tool->events; *event; event++)
		check_format(*event);
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	libbpf_set_print(print_libbpf);
	signals_handle(SIGINT, on_signal);
	signals_handle(SIGTERM, on_signal);
	sigaction(SIGCHLD, &action, NULL);
	started = tool_now_ns();
	due = started;
}

/* ---- time ------------------------------------------------------------------------- */

uint64_t tool_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

double tool_seconds(void)
{
	return (tool_now_ns() - started) / 1e9;
}

void tool_run_command(void)
{
	if (!options.command)
		return;
	child = fork();
	if (child < 0)
		die(TOOL_FAILED, "cannot start %s: %s", options.command[0], strerror(errno));
	if (!child) {
		if (!signals_ignored(SIGINT))
			signal(SIGINT, SIG_DFL);
		/* The report is the tool's only output on stdout. */
		dup2(STDERR_FILENO, STDOUT_FILENO);
		execvp(options.command[0], options.command);
		fprintf(stderr, "%s: cannot run %s: %s\n", tool->name, options.command[0],
			strerror(errno));
		_exit(127);
	}
}

static void look_at_list(void);

static bool over(const volatile __u32 *gone)
{
	int status;

	look_at_list();
	if (child && child_status < 0 && waitpid(child, &status, WNOHANG) == child)
		child_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	/* A command may have more to do than its VM. */
	if (gone && *gone && !child)
		vm_ended = true;
	return interrupted || enough || child_status >= 0 || vm_ended;
}

void tool_end(void)
{
	enough = true;
}

bool tool_wait(struct ring_buffer *ring, const volatile __u32 *gone)
{
	/* By the clock, not by the last report: intervals do not drift. */
	due += options.interval ? (uint64_t)(options.interval * 1e9) : UINT64_MAX / 2;
	while (!over(gone)) {
		uint64_t now = tool_now_ns(), left;

		/* First: a host so slow that a report is always due must not stop this. */
		if (tool_look && tool_look()) {
			due = now;
			return true;
		}
		if (now >= due) {
			if (due + 1000000000 < now)
				due = now;	/* it was stopped: do not catch up */
			return !options.count || ++reports < options.count;
		}
		left = (due - now) / 1000000;
		left = left < LOOK_MS ? left + 1 : LOOK_MS;
		if (ring)
			ring_buffer__poll(ring, (int)left);
		else
			nanosleep(&(struct timespec){ .tv_nsec = (long)left * 1000000 }, NULL);
	}
	if (ring)
		ring_buffer__consume(ring);
	return false;
}

int tool_ending(void)
{
	if (vm_ended && !enough)
		fprintf(stderr, "%s: VM %u has ended\n", tool->name, options.vm);
	if (child && child_status < 0) {
		int status;

		kill(child, SIGTERM);
		while (waitpid(child, &status, 0) < 0 && errno == EINTR)
			;
		child_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
	return child_status > 0 ? child_status : TOOL_OK;
}

/* ---- the module's list -------------------------------------------------------------- */

/* The launcher chose the name, and it is printed on a terminal of root's. */
static void make_harmless(char *name)
{
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr("._-", *name))
			*name = '?';
}

unsigned int tool_list(struct tool_vm *vms, unsigned int room)
{
	FILE *file = fopen(LIST, "re");
	unsigned int count = 0;
	char line[256];

	if (!file)
		return 0;
	while (count < room && fgets(line, sizeof(line), file)) {
		struct tool_vm *vm = &vms[count];
		unsigned long long pages;

		vm->name[0] = 0;
		if (sscanf(line, "%u %u %u %llu %u %u %63s", &vm->id, &vm->pid, &vm->vcpus, &pages,
			   &vm->phase, &vm->round, vm->name) < 6)
			continue;
		vm->pages = pages;
		make_harmless(vm->name);
		count++;
	}
	fclose(file);
	return count;
}

/* Those that ended since are remembered: a report may come after its VM. */
static struct tool_vm known[TOOL_MAX_VMS];
static unsigned int nr_known;

static struct tool_vm *find_known(uint32_t id)
{
	for (unsigned int i = 0; i < TOOL_MAX_VMS; i++)
		if (known[i].id == id)
			return &known[i];
	return NULL;
}

static void look_at_list(void)
{
	struct tool_vm now[TOOL_MAX_VMS];
	unsigned int count = tool_list(now, TOOL_MAX_VMS);

	for (unsigned int i = 0; i < count; i++) {
		struct tool_vm *vm = find_known(now[i].id);

		*(vm ?: &known[nr_known++ % TOOL_MAX_VMS]) = now[i];
	}
}

const struct tool_vm *tool_vm(uint32_t id)
{
	struct tool_vm *vm = find_known(id);

	if (!vm) {
		look_at_list();
		vm = find_known(id);
	}
	return vm;
}

const struct tool_vm *tool_vm_of(uint32_t pid)
{
	const struct tool_vm *found = NULL;

	look_at_list();
	/* Numbers of processes come again, those of VMs grow. */
	for (unsigned int i = 0; i < TOOL_MAX_VMS; i++)
		if (known[i].id && known[i].pid == pid && (!found || found->id < known[i].id))
			found = &known[i];
	return found;
}

const char *tool_vm_name(uint32_t id)
{
	const struct tool_vm *vm = tool_vm(id);

	return vm ? vm->name : "";
}
