// SPDX-License-Identifier: GPL-2.0-only
/*
 * All that is known of all VMs, for a monitoring system.  What a VM's process says is untrusted:
 * names are looked up, never taken over, so that it cannot make families or labels of its own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "lib/libgondola.h"
#include "openmetrics.h"
#include "remote.h"

#define PAGE		4096ull
#define DEVICES_MAX	64	/* of a VM */
#define SHADOW_PAGES	"/sys/kernel/debug/gondola/shadow_pages"

/**
 * struct source - a family and where its samples come from
 * @put: its samples of one VM
 * @part: @put's: which object or kind of device they are of; NULL: the status
 * @member: @put's: what they are called there
 */
struct source {
	struct metric_family family;
	void (*put)(struct metrics_writer *writer, const struct source *source,
		    const struct registry_vm *vm);
	const char *part;
	const char *member;
};

#define LABELS(vm, ...)	\
	((const struct metric_label[METRIC_LABELS + 1]) { { "vm", (vm)->name }, __VA_ARGS__ })

static bool has(struct json_object *object, const char *member)
{
	return member_number(object, member, -1) >= 0;
}

/* ---- a process, and what it says of itself ----------------------------------------------- */

static void put_up(struct metrics_writer *writer, const struct source *source,
		   const struct registry_vm *vm)
{
	metrics_count(writer, &source->family, LABELS(vm), vm->answers);
}

static void put_state(struct metrics_writer *writer, const struct source *source,
		      const struct registry_vm *vm)
{
	for (unsigned int i = 0; i < VM_STATE_COUNT; i++)
		metrics_count(writer, &source->family, LABELS(vm, { "state", vm_state_name(i) }),
			      vm->state == i);
}

static void put_info(struct metrics_writer *writer, const struct source *source,
		     const struct registry_vm *vm)
{
	const char *engine = member_string(vm->status, "engine", "");

	if (vm->answers)
		metrics_count(writer, &source->family,
			      LABELS(vm, { "engine", gondola_engine_by_name(engine) < 0 ? "unknown" : engine }),
			      1);
}

/* Of a VM at rest its configuration knows it. */
static void put_size(struct metrics_writer *writer, const struct source *source,
		     const struct registry_vm *vm)
{
	struct json_object *of = vm->answers ? vm->status : vm->config;

	if (has(of, source->member))
		metrics_count(writer, &source->family, LABELS(vm), member_count(of, source->member));
}

static struct json_object *part_of(const struct source *source, const struct registry_vm *vm)
{
	return source->part ? member_object(vm->status, source->part) : vm->status;
}

static void put_number(struct metrics_writer *writer, const struct source *source,
		       const struct registry_vm *vm)
{
	struct json_object *of = part_of(source, vm);

	if (vm->answers && has(of, source->member))
		metrics_count(writer, &source->family, LABELS(vm), member_count(of, source->member));
}

static void put_ns(struct metrics_writer *writer, const struct source *source,
		   const struct registry_vm *vm)
{
	if (vm->answers && has(vm->status, source->member))
		metrics_seconds(writer, &source->family, LABELS(vm),
				member_count(vm->status, source->member));
}

static void put_migration(struct metrics_writer *writer, const struct source *source,
			  const struct registry_vm *vm)
{
	const char *phase = vm->answers ? member_string(vm->status, "migration", NULL) : NULL;

	if (phase)
		metrics_count(writer, &source->family, LABELS(vm, { "phase", phase }), 1);
}

/* ---- what it counts ------------------------------------------------------------------------ */

/* A newer module counts what has a number for a name here. */
static void put_named(struct metrics_writer *writer, const struct source *source,
		      const struct registry_vm *vm, unsigned int count,
		      const char *(*name_of)(unsigned int))
{
	struct json_object *of = member_object(vm->told, source->part);
	char number[16];

	for (unsigned int i = 0; of && i < count; i++) {
		const char *name = name_of(i);

		snprintf(number, sizeof(number), "%u", i);
		/* Those that are 0 are not told; those that have a name are there all the same. */
		if (name || has(of, number))
			metrics_count(writer, &source->family,
				      LABELS(vm, { source->member, name ?: number }),
				      member_count(of, name ?: number));
	}
}

static void put_exits(struct metrics_writer *writer, const struct source *source,
		      const struct registry_vm *vm)
{
	put_named(writer, source, vm, GONDOLA_MAX_REASONS, gondola_reason_name);
}

static void put_counters(struct metrics_writer *writer, const struct source *source,
			 const struct registry_vm *vm)
{
	put_named(writer, source, vm, GONDOLA_MAX_COUNTERS, gondola_counter_name);
}

/* Behind the first word of its label: "disk a.img". */
static const char *source_of(struct json_object *device)
{
	const char *label = member_string(device, "label", ""), *space = strchr(label, ' ');

	return space ? space + 1 : label;
}

static void put_device(struct metrics_writer *writer, const struct source *source,
		       const struct registry_vm *vm)
{
	struct json_object *devices = member_array(vm->told, "devices");
	size_t count = devices ? json_object_array_length(devices) : 0;
	unsigned int index = 0;

	for (size_t i = 0; i < count && i < DEVICES_MAX; i++) {
		struct json_object *device = json_object_array_get_idx(devices, i);
		char name[24];

		if (strcmp(member_string(device, "kind", ""), source->part))
			continue;
		snprintf(name, sizeof(name), "%s%u", source->part, index++);
		if (has(device, source->member))
			metrics_count(writer, &source->family,
				      LABELS(vm, { "device", name },
					     { "source", source_of(device) }),
				      member_count(device, source->member));
	}
}

/* ---- what the host knows -------------------------------------------------------------------- */

static bool read_numbers(const char *path, unsigned long long *first, unsigned long long *second)
{
	FILE *file = fopen(path, "re");
	int count = file ? fscanf(file, "%llu %llu", first, second) : 0;

	if (file)
		fclose(file);
	return count == 2;
}

/* Both numbers of schedstat, in nanoseconds: it ran, and could have run. */
static void put_vcpu_time(struct metrics_writer *writer, const struct source *source,
			  const struct registry_vm *vm)
{
	struct json_object *threads = member_array(vm->told, "threads");
	size_t count = threads ? json_object_array_length(threads) : 0;
	unsigned long long ran, waited;
	char path[96], number[16];

	for (size_t i = 0; i < count && i < GONDOLA_MAX_VCPUS; i++) {
		int tid = json_object_get_int(json_object_array_get_idx(threads, i));

		snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", (int)vm->pid, tid);
		snprintf(number, sizeof(number), "%zu", i);
		if (tid > 0 && read_numbers(path, &ran, &waited))
			metrics_seconds(writer, &source->family, LABELS(vm, { "vcpu", number }),
					strcmp(source->member, "ran") ? waited : ran);
	}
}

static void put_resident(struct metrics_writer *writer, const struct source *source,
			 const struct registry_vm *vm)
{
	unsigned long long all, resident;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)vm->pid);
	if (vm->pid && read_numbers(path, &all, &resident))
		metrics_count(writer, &source->family, LABELS(vm), resident * sysconf(_SC_PAGESIZE));
}

/* Of all VMs together, and root's alone to see. */
static void put_shadow(struct metrics_writer *writer)
{
	static const struct metric_family family = {
		"gondola_shadow_memory_bytes", METRIC_GAUGE, "bytes",
		"Memory of the shadow page tables of all VMs of this host.",
	};
	FILE *file = fopen(SHADOW_PAGES, "re");
	unsigned long long pages;

	if (!file)
		return;
	if (fscanf(file, "%llu", &pages) == 1)
		metrics_count(writer, &family, NULL, pages * PAGE);
	fclose(file);
}

/* ---- all of it ------------------------------------------------------------------------------- */

#define GAUGE(name, unit, help)		{ "gondola_vm_" name, METRIC_GAUGE, unit, help }
#define COUNTER(name, unit, help)	{ "gondola_vm_" name, METRIC_COUNTER, unit, help }

static const struct source sources[] = {
	{ GAUGE("up", NULL, "Whether the VM has a process that answers."), put_up, NULL, NULL },
	{ GAUGE("state", NULL, "The VM's state: 1 for the one that it is in."), put_state, NULL, NULL },
	{ { "gondola_vm", METRIC_INFO, NULL, "What runs the VM." }, put_info, NULL, NULL },
	{ GAUGE("memory_bytes", "bytes", "The guest's memory, with what its balloon holds."),
	  put_size, NULL, "memory" },
	{ GAUGE("vcpus", NULL, "The guest's processors."), put_size, NULL, "vcpus" },
	{ GAUGE("uptime_seconds", "seconds", "Since the VM's process was begun."),
	  put_ns, NULL, "uptime_ns" },
	{ GAUGE("resident_memory_bytes", "bytes", "Memory of the host that the VM's process has."),
	  put_resident, NULL, NULL },
	{ COUNTER("vcpu_seconds", "seconds", "Time for which a vCPU's thread ran."),
	  put_vcpu_time, NULL, "ran" },
	{ COUNTER("vcpu_steal_seconds", "seconds",
		  "Time for which a vCPU's thread could have run and waited for a processor."),
	  put_vcpu_time, NULL, "waited" },
	{ COUNTER("exits", NULL, "Exits of the guest to the monitor, by reason."),
	  put_exits, "exits", "reason" },
	{ COUNTER("events", NULL, "What else the module counts, such as fills of shadow tables."),
	  put_counters, "counters", "event" },
	{ GAUGE("balloon_held_bytes", "bytes", "Memory that the balloon holds."),
	  put_number, "balloon", "held" },
	{ GAUGE("balloon_target_bytes", "bytes", "Memory that the balloon is to hold."),
	  put_number, "balloon", "target" },
	{ COUNTER("balloon_discarded_bytes", "bytes", "Memory that the balloon gave to the host."),
	  put_number, "balloon", "discarded" },
	{ COUNTER("balloon_reported_bytes", "bytes", "Free memory that the guest reported."),
	  put_number, "balloon", "reported" },
	{ COUNTER("disk_reads", NULL, "Reads from a disk that succeeded."), put_device, "disk", "in" },
	{ COUNTER("disk_read_bytes", "bytes", "Bytes read from a disk."),
	  put_device, "disk", "in_bytes" },
	{ COUNTER("disk_writes", NULL, "Writes to a disk that succeeded."),
	  put_device, "disk", "out" },
	{ COUNTER("disk_written_bytes", "bytes", "Bytes written to a disk."),
	  put_device, "disk", "out_bytes" },
	{ COUNTER("disk_flushes", NULL, "Flushes of a disk that succeeded."),
	  put_device, "disk", "flushes" },
	{ COUNTER("disk_discards", NULL, "Discards and writes of zeroes that succeeded."),
	  put_device, "disk", "discards" },
	{ COUNTER("disk_errors", NULL, "Requests to a disk that were answered with an error."),
	  put_device, "disk", "errors" },
	{ COUNTER("net_received_packets", NULL, "Frames that the guest received."),
	  put_device, "net", "in" },
	{ COUNTER("net_received_bytes", "bytes", "Bytes of the frames that the guest received."),
	  put_device, "net", "in_bytes" },
	{ COUNTER("net_sent_packets", NULL, "Frames that the guest sent."),
	  put_device, "net", "out" },
	{ COUNTER("net_sent_bytes", "bytes", "Bytes of the frames that the guest sent."),
	  put_device, "net", "out_bytes" },
	{ COUNTER("net_dropped_packets", NULL, "Frames that were lost at the guest's card."),
	  put_device, "net", "dropped" },
	{ GAUGE("migration_phase", NULL, "The phase of the VM's last or current migration."),
	  put_migration, NULL, NULL },
	{ GAUGE("migration_missing_pages", NULL, "Pages that have not come from the last host."),
	  put_number, NULL, "missing_pages" },
};

static void write_all(struct metrics_writer *writer, const struct registry_vm *vms, size_t count)
{
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
		for (size_t j = 0; j < count; j++)
			/* It may have gone since the directory was read. */
			if (vms[j].name[0])
				sources[i].put(writer, &sources[i], &vms[j]);
	put_shadow(writer);
	metrics_end(writer);
}

struct metrics_options {
	const char *output;
};

static const struct option_spec specs[] = {
	OPTION("--output", "FILE",
	       "Replace this file at once, in the format that node_exporter's textfile collector "
	       "reads (Prometheus's text format 0.0.4).  It takes names that end with .prom.", TEXT,
	       struct metrics_options, output),
	{ .name = NULL }
};

static void write_out(const struct metrics_options *options, const char *text, size_t bytes)
{
	struct error error;

	if (options->output) {
		if (!metrics_save(options->output, text, bytes, &error))
			fail(error.status, "--output: %s", error.words);
	} else {
		/* The check at exit tells of an error (base/standard.h). */
		fputs(text, stdout);
	}
}

static int run_metrics(int argc, char **argv)
{
	struct metrics_options options = { NULL };
	struct metrics_writer writer;
	struct registry_vm *vms;
	size_t bytes, count = 0;
	char **names, *text;

	parse_options(&command_metrics, argc, argv, &options);
	remote_registry();
	names = registry_list();
	vms = registry_find_all(names, "metrics");
	writer = (struct metrics_writer){
		.out = open_memstream(&text, &bytes), .prometheus = options.output,
	};
	if (!names || !vms || !writer.out)
		fail(EXIT_CODE_ERROR, "out of memory");
	while (names[count])
		count++;
	write_all(&writer, vms, count);
	if (fclose(writer.out))
		fail(EXIT_CODE_ERROR, "out of memory");
	write_out(&options, text, bytes);
	free(text);
	for (size_t i = 0; i < count; i++)
		registry_put(&vms[i]);
	free(vms);
	registry_free_list(names);
	return EXIT_CODE_OK;
}

const struct command command_metrics = {
	.name = "metrics",
	.summary = "show what all VMs count, for a monitoring system",
	.usage = "[--output FILE]",
	.about =
"The metrics of all VMs are printed as OpenMetrics: states, exits by reason, page faults and shadow "
"tables, processor and steal time, memory and balloons, disks, network cards and migrations. All "
"processes are asked at once. One that does not answer within three seconds has gondola_vm_up 0 and "
"keeps the others from nothing; what is not known is left out.\n"
"Counters begin at 0 with a VM's process, so also after a resume or a move.",
	.options = specs,
	.notes =
"The shadow tables' memory, gondola_shadow_memory_bytes, is read from debugfs, which root alone may do.",
	.examples =
"gondola metrics --output /var/lib/prometheus/node-exporter/gondola.prom",
	.status =
"0 done, 2 wrong usage, 14 error",
	.run = run_metrics,
};
