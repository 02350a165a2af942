// SPDX-License-Identifier: GPL-2.0-only
/* The final report of gondola-dirty, for people and for programs. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>

#include "dirty-read.h"
#include "tool.h"

#define MIB	(1 << 20)

/** struct hot - pages that are dirtied again and again */
struct hot {
	uint64_t pages;
	uint64_t ranges;
};

static uint64_t total_of(const struct dirty_vm *vm)
{
	uint64_t total = 0;

	for (size_t i = 0; i < vm->nr_sources; i++)
		total += vm->sources[i].count;
	return total;
}

static uint64_t memory_of(const struct dirty_vm *vm)
{
	const struct tool_vm *listed = tool_vm(vm->id);

	return dirty_options.memory ?: listed ? listed->pages * PAGE_BYTES : 0;
}

/* A round lasts until the next mark, the last one until its last event. */
static double round_seconds(const struct dirty_vm *vm, size_t i)
{
	const struct round_count *count = &vm->rounds[i].count;
	uint64_t from = count->marked_ns ?: count->first_ns;
	uint64_t to = i + 1 < vm->nr_rounds && vm->rounds[i + 1].count.marked_ns ?
		vm->rounds[i + 1].count.marked_ns : count->last_ns;

	return to > from ? (to - from) / 1e9 : 0;
}

static uint64_t round_total(const struct dirty_round *round)
{
	uint64_t total = 0;

	for (unsigned int i = 0; i < SOURCES; i++)
		total += round->count.pages[i];
	return total;
}

static int by_gfn(const void *left, const void *right)
{
	const struct dirty_page *a = left, *b = right;

	return a->key.gfn < b->key.gfn ? -1 : a->key.gfn > b->key.gfn;
}

/* The hot pages by address, so that neighbours make ranges. */
static struct dirty_page *find_hot(const struct dirty_vm *vm, struct hot *hot)
{
	struct dirty_page *pages = malloc((vm->nr_pages + 1) * sizeof(*pages));

	if (!pages)
		die(TOOL_FAILED, "out of memory");
	*hot = (struct hot){ 0 };
	for (size_t i = 0; i < vm->nr_pages; i++)
		if (dirty_hot(vm, &vm->pages[i], dirty_options.hot_least, dirty_options.hot_of))
			pages[hot->pages++] = vm->pages[i];
	qsort(pages, hot->pages, sizeof(*pages), by_gfn);
	for (size_t i = 0; i < hot->pages; i++)
		hot->ranges += !i || pages[i].key.gfn != pages[i - 1].key.gfn + 1;
	return pages;
}

/* ---- words ------------------------------------------------------------------------------ */

static void print_sources(const struct dirty_vm *vm, uint64_t total)
{
	printf("%-15s %10s %6s\n", "BY", "PAGES", "SHARE");
	for (size_t i = 0; i < vm->nr_sources; i++) {
		const struct dirty_source *source = &vm->sources[i];
		char name[32];

		if (source->key.source == GONDOLA_DIRTY_VCPU)
			snprintf(name, sizeof(name), "vCPU %u", source->key.vcpu);
		else
			snprintf(name, sizeof(name), "%s",
				 *source->key.device ? source->key.device :
				 source_name(source->key.source));
		printf("%-15s %10llu %5.1f%%\n", name, (unsigned long long)source->count,
		       100.0 * source->count / total);
	}
}

static void print_rounds(const struct dirty_vm *vm)
{
	printf("\n%-14s %5s %9s %10s %10s %10s %10s %10s\n", "PHASE", "ROUND", "TIME", "PAGES",
	       "PAGES/S", "VCPU", "DEVICE", "HOST");
	for (size_t i = 0; i < vm->nr_rounds; i++) {
		const struct dirty_round *round = &vm->rounds[i];
		double seconds = round_seconds(vm, i);
		uint64_t total = round_total(round);

		printf("%-14s %5u %9s %10" PRIu64 " %10.0f %10llu %10llu %10llu\n",
		       phase_name(round->key.phase), round->key.round,
		       format_ns((uint64_t)(seconds * 1e9)), total,
		       seconds > 0 ? total / seconds : 0,
		       (unsigned long long)round->count.pages[GONDOLA_DIRTY_VCPU],
		       (unsigned long long)round->count.pages[GONDOLA_DIRTY_DEVICE],
		       (unsigned long long)round->count.pages[GONDOLA_DIRTY_HOST]);
	}
}

static void print_writers(const struct dirty_vm *vm)
{
	printf("\n%-18s %10s  %s\n", "RIP", "PAGES", "SYMBOL");
	for (size_t i = 0; i < vm->nr_writers && i < dirty_options.rips; i++)
		printf("%#-18llx %10llu  %s\n", (unsigned long long)vm->writers[i].key.rip,
		       (unsigned long long)vm->writers[i].count, symbol_of(vm->writers[i].key.rip));
}

static void print_pages(const struct dirty_vm *vm)
{
	printf("\n%-18s %10s\n", "GUEST-PHYSICAL", "ROUNDS");
	for (size_t i = 0; i < vm->nr_pages && i < dirty_options.pages; i++)
		printf("%#-18llx %10u\n", (unsigned long long)vm->pages[i].key.gfn * PAGE_BYTES,
		       vm->pages[i].count.count);
}

static void print_hot(const struct dirty_vm *vm)
{
	struct hot hot;
	struct dirty_page *pages = find_hot(vm, &hot);
	unsigned int shown = 0;

	printf("\nhot (dirtied in %u of the last %u rounds): %" PRIu64 " pages, %.1f MiB, in %" PRIu64 " ranges\n",
	       dirty_options.hot_least, dirty_options.hot_of, hot.pages,
	       hot.pages * (double)PAGE_BYTES / MIB, hot.ranges);
	for (size_t i = 0, from = 0; i < hot.pages && shown < 10; i++) {
		if (i + 1 < hot.pages && pages[i + 1].key.gfn == pages[i].key.gfn + 1)
			continue;
		printf("  %#llx to %#llx\n", (unsigned long long)pages[from].key.gfn * PAGE_BYTES,
		       (unsigned long long)(pages[i].key.gfn + 1) * PAGE_BYTES - 1);
		from = i + 1;
		shown++;
	}
	if (hot.ranges > shown)
		printf("  and %" PRIu64 " more\n", hot.ranges - shown);
	free(pages);
}

static void print_estimate(const struct dirty_vm *vm)
{
	double memory = (double)memory_of(vm), rate = (double)dirty_options.bandwidth;
	struct dirty_estimate estimate;
	struct dirty_curve curve;

	printf("\npre-copy at %.1f MiB/s, stopping for %llu ms at most: ", rate / MIB,
	       (unsigned long long)dirty_options.downtime_ms);
	if (!memory) {
		printf("unknown: say how much memory it has with --memory\n");
		return;
	}
	if (!dirty_curve(vm, &curve)) {
		printf("unknown: fewer than two whole rounds were seen (--sample)\n");
		return;
	}
	estimate = dirty_estimate(&curve, memory, rate, dirty_options.downtime_ms / 1e3);
	if (estimate.converges)
		printf("would converge: %u rounds, %.1f s, %.0f MiB sent, then %.0f ms of downtime\n",
		       estimate.rounds, estimate.seconds, estimate.bytes / MIB,
		       estimate.downtime * 1e3);
	else
		printf("would NOT converge: it would stop for %.0f ms at best\n",
		       estimate.downtime * 1e3);
	if (estimate.enough > 0)
		printf("  from about %.1f MiB/s on it would\n", estimate.enough / MIB);
	printf("  different pages dirtied in %.2f s: %.0f, in %.2f s: %.0f\n", curve.seconds,
	       curve.pages[1], curve.seconds * curve.rounds, curve.pages[curve.rounds]);
}

static void print_vm(const struct dirty_vm *vm)
{
	uint64_t total = total_of(vm);

	printf("\nVM %u %s: %" PRIu64 " pages dirtied (%.1f MiB), %llu different ones, in %.1f s\n",
	       vm->id, tool_vm_name(vm->id), total, total * (double)PAGE_BYTES / MIB,
	       (unsigned long long)vm->count.different, tool_seconds());
	if (total)
		print_sources(vm, total);
	if (dirty_options.by_phase)
		print_rounds(vm);
	if (dirty_options.rips)
		print_writers(vm);
	if (dirty_options.pages)
		print_pages(vm);
	if (vm->count.epoch > 1)
		print_hot(vm);
	if (dirty_options.bandwidth)
		print_estimate(vm);
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static struct json_object *hex(uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%#" PRIx64, value);
	return json_object_new_string(text);
}

static struct json_object *json_sources(const struct dirty_vm *vm)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < vm->nr_sources; i++) {
		struct json_object *one = json_object_new_object();

		json_object_object_add(one, "source", json_object_new_string(
					       source_name(vm->sources[i].key.source)));
		if (vm->sources[i].key.source == GONDOLA_DIRTY_VCPU)
			json_u64(one, "vcpu", vm->sources[i].key.vcpu);
		if (*vm->sources[i].key.device)
			json_object_object_add(one, "device", json_object_new_string(
						       vm->sources[i].key.device));
		json_u64(one, "pages", vm->sources[i].count);
		json_object_array_add(array, one);
	}
	return array;
}

static struct json_object *json_rounds(const struct dirty_vm *vm)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < vm->nr_rounds; i++) {
		const struct dirty_round *round = &vm->rounds[i];
		struct json_object *one = json_object_new_object();

		json_u64(one, "phase", round->key.phase);
		json_object_object_add(one, "phase_name",
				       json_object_new_string(phase_name(round->key.phase)));
		json_u64(one, "round", round->key.round);
		json_object_object_add(one, "seconds",
				       json_object_new_double(round_seconds(vm, i)));
		json_u64(one, "pages", round_total(round));
		for (unsigned int source = 0; source < SOURCES; source++)
			json_u64(one, source_name(source), round->count.pages[source]);
		json_object_array_add(array, one);
	}
	return array;
}

static struct json_object *json_writers(const struct dirty_vm *vm)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < vm->nr_writers && i < dirty_options.rips; i++) {
		struct json_object *one = json_object_new_object();

		json_object_object_add(one, "rip", hex(vm->writers[i].key.rip));
		json_object_object_add(one, "symbol",
				       json_object_new_string(symbol_of(vm->writers[i].key.rip)));
		json_u64(one, "pages", vm->writers[i].count);
		json_object_array_add(array, one);
	}
	return array;
}

static struct json_object *json_pages(const struct dirty_vm *vm)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < vm->nr_pages && i < dirty_options.pages; i++) {
		struct json_object *one = json_object_new_object();

		json_u64(one, "gfn", vm->pages[i].key.gfn);
		json_u64(one, "rounds", vm->pages[i].count.count);
		json_object_array_add(array, one);
	}
	return array;
}

static struct json_object *json_hot(const struct dirty_vm *vm)
{
	struct json_object *object = json_object_new_object();
	struct json_object *array = json_object_new_array();
	struct hot hot;
	struct dirty_page *pages = find_hot(vm, &hot);

	json_u64(object, "least", dirty_options.hot_least);
	json_u64(object, "of", dirty_options.hot_of);
	json_u64(object, "pages", hot.pages);
	for (size_t i = 0; dirty_options.pages && i < hot.pages; i++)
		json_object_array_add(array, json_object_new_uint64(pages[i].key.gfn));
	if (dirty_options.pages)
		json_object_object_add(object, "gfns", array);
	else
		json_object_put(array);
	free(pages);
	return object;
}

static struct json_object *json_estimate(const struct dirty_vm *vm)
{
	struct json_object *object = json_object_new_object();
	struct dirty_estimate estimate;
	struct dirty_curve curve;

	json_u64(object, "bandwidth", dirty_options.bandwidth);
	json_u64(object, "downtime_ms", dirty_options.downtime_ms);
	json_u64(object, "memory", memory_of(vm));
	if (!memory_of(vm) || !dirty_curve(vm, &curve)) {
		json_object_object_add(object, "known", json_object_new_boolean(false));
		return object;
	}
	estimate = dirty_estimate(&curve, (double)memory_of(vm), (double)dirty_options.bandwidth,
				  dirty_options.downtime_ms / 1e3);
	json_object_object_add(object, "known", json_object_new_boolean(true));
	json_object_object_add(object, "converges", json_object_new_boolean(estimate.converges));
	json_u64(object, "rounds", estimate.rounds);
	json_object_object_add(object, "seconds", json_object_new_double(estimate.seconds));
	json_u64(object, "bytes", (uint64_t)estimate.bytes);
	json_u64(object, "predicted_downtime_us", (uint64_t)(estimate.downtime * 1e6));
	json_u64(object, "enough_bandwidth", (uint64_t)estimate.enough);
	return object;
}

static struct json_object *json_vm(const struct dirty_vm *vm)
{
	struct json_object *object = json_object_new_object();

	json_u64(object, "vm", vm->id);
	json_object_object_add(object, "name", json_object_new_string(tool_vm_name(vm->id)));
	json_u64(object, "pages", total_of(vm));
	json_u64(object, "different", vm->count.different);
	json_object_object_add(object, "sources", json_sources(vm));
	if (dirty_options.by_phase)
		json_object_object_add(object, "rounds", json_rounds(vm));
	if (dirty_options.rips)
		json_object_object_add(object, "writers", json_writers(vm));
	if (dirty_options.pages)
		json_object_object_add(object, "dirtied", json_pages(vm));
	json_object_object_add(object, "hot", json_hot(vm));
	if (dirty_options.bandwidth)
		json_object_object_add(object, "estimate", json_estimate(vm));
	return object;
}

/* ---- ---------------------------------------------------------------------------------------- */

static void draw(const struct dirty_vm *vm, unsigned int number, uint64_t start_ns)
{
	char path[4096];

	/* One file for each VM: the second is FILE.2. */
	snprintf(path, sizeof(path), number ? "%s.%u" : "%s", dirty_options.svg, number + 1);
	if (!dirty_svg(path, vm, tool_vm_name(vm->id), memory_of(vm) / PAGE_BYTES,
		       dirty_options.column_ms / 1e3, dirty_options.row_shift, start_ns))
		die(TOOL_FAILED, "--svg %s: %s", path, strerror(errno));
}

void dirty_report(const struct dirty_maps *maps, const struct losses *lost, uint64_t start_ns)
{
	struct json_object *object = json_object_new_object(), *array = json_object_new_array();
	uint32_t id, *previous = NULL;
	struct dirty_vm vm;
	unsigned int count = 0;

	json_object_object_add(object, "seconds", json_object_new_double(tool_seconds()));
	tool_report_losses(lost, object);
	while (!bpf_map_get_next_key(maps->vms, previous, &id)) {
		previous = &id;
		dirty_read(maps, id, &vm);
		if (options.json)
			json_object_array_add(array, json_vm(&vm));
		else
			print_vm(&vm);
		if (dirty_options.svg)
			draw(&vm, count, start_ns);
		count++;
	}
	json_object_object_add(object, "vms", array);
	if (options.json) {
		tool_print_json(object);
		return;
	}
	json_object_put(object);
	if (!count)
		printf("no page was dirtied: is the dirty log on (a migration, or --sample)?\n");
	tool_report_losses(lost, NULL);
	fflush(stdout);
}
