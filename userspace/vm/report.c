// SPDX-License-Identifier: GPL-2.0-only
/* Reports on a vCPU or a VM at its end: registers and last exits for people, JSON for programs. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <json-c/json.h>

#include "count_notes.h"
#include "base/fail.h"
#include "vm.h"

#define DUMPED_EXITS	16	/* the last exits of each vCPU that is dumped */

static const char *const end_names[] = {
	[VM_RUNNING] = "running",
	[VM_POWEROFF] = "poweroff",
	[VM_RESET] = "reset",
	[VM_TRIPLE_FAULT] = "triple-fault",
	[VM_STOPPED] = "stopped",
	[VM_DEBUG_EXIT] = "debug-exit",
	[VM_ERROR] = "error",
	[VM_MIGRATED] = "migrated",
	[VM_SUSPENDED] = "suspended",
};

static void dump_segments(const struct gondola_rec_sregs *sregs)
{
	static const char *const names[GONDOLA_NR_SEGS] = {
		"es", "cs", "ss", "ds", "fs", "gs", "ldt", "tr"
	};

	for (int i = 0; i < GONDOLA_NR_SEGS; i++) {
		const struct gondola_segment *segment = &sregs->seg[i];

		fprintf(stderr, "  %-3s %04x base %016llx limit %08x access %05x%s\n", names[i],
			segment->selector, (unsigned long long)segment->base, segment->limit,
			segment->ar, segment->ar & GONDOLA_AR_UNUSABLE ? " (unusable)" : "");
	}
	fprintf(stderr, "  gdt      base %016llx limit %04x\n",
		(unsigned long long)sregs->gdt.base, sregs->gdt.limit);
	fprintf(stderr, "  idt      base %016llx limit %04x\n",
		(unsigned long long)sregs->idt.base, sregs->idt.limit);
}

/* The end of the vCPU's history. */
static void dump_history(const struct vcpu *vcpu)
{
	/* Get one more than is shown, for the ticks of the first line. */
	struct gondola_history_entry entries[DUMPED_EXITS + 1];
	uint32_t count = DUMPED_EXITS + 1;
	uint64_t total;
	int ret = __gondola_get_history(vcpu->fd, entries, &count, &total);

	if (ret < 0) {
		say("cannot read the history of vCPU %u: %s", vcpu->id, strerror(-ret));
		return;
	}
	fprintf(stderr, "  the last of %llu exits:\n  %12s  %12s  %-16s  %-20s  done by\n",
		(unsigned long long)total, "exit", "ticks", "rip", "reason");
	for (uint32_t i = count > DUMPED_EXITS ? 1 : 0; i < count; i++) {
		const struct gondola_history_entry *entry = &entries[i];

		fprintf(stderr, "  %12llu  %12llu  %016llx  %-20s  %s%s%s%s\n",
			(unsigned long long)(total - count + 1 + i),
			(unsigned long long)(i ? entry->tsc - entries[i - 1].tsc : 0),
			(unsigned long long)entry->rip, gondola_reason_name(entry->reason) ?: "?",
			entry->user_exit ? "launcher: " : "module",
			entry->user_exit ? gondola_user_exit_name(entry->user_exit) ?: "?" : "",
			entry->error ? ", failed: " : "",
			entry->error ? strerror((int)entry->error) : "");
	}
}

/* What a paravirtualized guest was refused is the likely reason for its end. */
static void dump_unknown(const struct vm *vm)
{
	struct gondola_xen_unknown unknown;
	const char *before = "  hypercalls that there are not, by number: ";

	if (!vm->on_xen || __gondola_xen_unknown(vm->fd, &unknown))
		return;
	for (unsigned int i = 0; i < GONDOLA_XEN_CALLS; i++) {
		if (!unknown.count[i])
			continue;
		fprintf(stderr, "%s%u (%u times)", before, i, unknown.count[i]);
		before = ", ";
	}
	if (*before == ',')
		fputc('\n', stderr);
}

void vcpu_dump(const struct vcpu *vcpu)
{
	static const char *const names[16] = {
		"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
		"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"
	};
	struct gondola_rec_sregs sregs;
	struct gondola_rec_regs regs;
	int ret = __gondola_get_registers(vcpu->fd, &regs, &sregs);

	if (ret < 0) {
		say("cannot read the state of vCPU %u: %s", vcpu->id, strerror(-ret));
		return;
	}
	fprintf(stderr, "vCPU %u:\n  rip %016llx  rflags %08llx\n", vcpu->id,
		(unsigned long long)regs.rip, (unsigned long long)regs.rflags);
	for (int i = 0; i < 16; i++)
		fprintf(stderr, "%s%-3s %016llx%s", i % 4 ? "  " : "  ", names[i],
			(unsigned long long)regs.gpr[i], i % 4 == 3 ? "\n" : "");
	fprintf(stderr, "  cr0 %08llx  cr2 %016llx  cr3 %016llx  cr4 %08llx  efer %04llx\n",
		(unsigned long long)sregs.cr0, (unsigned long long)sregs.cr2,
		(unsigned long long)sregs.cr3, (unsigned long long)sregs.cr4,
		(unsigned long long)sregs.efer);
	dump_segments(&sregs);
	dump_unknown(vcpu->vm);
	dump_history(vcpu);
}

void vm_collect_stats(const struct vm *vm, struct gondola_stats *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		const struct vcpu *vcpu = &vm->vcpus[i];
		struct gondola_stats stats;
		int ret = __gondola_get_stats(vcpu->fd, &stats);

		if (ret < 0) {
			say("the counters of vCPU %u are lost: %s", vcpu->id, strerror(-ret));
			continue;
		}
		for (int j = 0; j < GONDOLA_MAX_REASONS; j++)
			sum->exits[j] += stats.exits[j];
		for (int j = 0; j < GONDOLA_MAX_COUNTERS; j++)
			sum->counters[j] += stats.counters[j];
	}
}

static uint64_t ticks_of(const struct vm *vm)
{
	uint64_t ticks = 0;

	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpus[i].ended - vm->vcpus[0].started > ticks)
			ticks = vm->vcpus[i].ended - vm->vcpus[0].started;
	return ticks;
}

static struct json_object *named(const __u64 *values, unsigned int count,
				 const char *(*name)(unsigned int), uint64_t *total)
{
	struct json_object *object = json_object_new_object();

	for (unsigned int i = 0; i < count; i++) {
		char number[16];

		if (!values[i])
			continue;
		*total += values[i];
		/* A newer module may have counters without a name here. */
		snprintf(number, sizeof(number), "%u", i);
		json_object_object_add(object, name(i) ? name(i) : number,
				       json_object_new_uint64(values[i]));
	}
	return object;
}

static struct json_object *noted(const struct count_notes *notes)
{
	struct json_object *list = json_object_new_array();
	uint64_t unused = 0;

	for (unsigned int i = 0; i < notes->count; i++) {
		const struct count_note *note = &notes->notes[i];
		struct json_object *object = json_object_new_object();

		json_object_object_add(object, "value", json_object_new_int64(note->value));
		json_object_object_add(object, "exits",
				       named(note->stats.exits, GONDOLA_MAX_REASONS,
					     gondola_reason_name, &unused));
		json_object_object_add(object, "counters",
				       named(note->stats.counters, GONDOLA_MAX_COUNTERS,
					     gondola_counter_name, &unused));
		json_object_array_add(list, object);
	}
	return list;
}

void vm_stats_json(const struct gondola_stats *stats, struct json_object *to)
{
	uint64_t total = 0, unused = 0;

	json_object_object_add(to, "exits", named(stats->exits, GONDOLA_MAX_REASONS,
						  gondola_reason_name, &total));
	json_object_object_add(to, "exits_total", json_object_new_uint64(total));
	json_object_object_add(to, "counters", named(stats->counters, GONDOLA_MAX_COUNTERS,
						     gondola_counter_name, &unused));
}

void vm_unknown_hypercalls(struct vm *vm, struct json_object *to)
{
	struct json_object *by_number;
	struct gondola_xen_unknown unknown;
	char number[12];

	if (!vm->on_xen || __gondola_xen_unknown(vm->fd, &unknown))
		return;
	by_number = json_object_new_object();
	for (unsigned int i = 0; i < GONDOLA_XEN_CALLS; i++) {
		if (!unknown.count[i])
			continue;
		snprintf(number, sizeof(number), "%u", i);
		json_object_object_add(by_number, number, json_object_new_int64(unknown.count[i]));
	}
	json_object_object_add(to, "unknown_hypercalls", by_number);
}

void vm_report(struct vm *vm, int exit_code, int fd)
{
	struct json_object *report = json_object_new_object();
	struct gondola_stats sum;

	vm_collect_stats(vm, &sum);
	json_object_object_add(report, "name", json_object_new_string(vm->name));
	json_object_object_add(report, "engine",
			       json_object_new_string(gondola_engine_name(vm->engine) ?: "unknown"));
	json_object_object_add(report, "exit", json_object_new_string(end_names[vm->end]));
	json_object_object_add(report, "exit_code", json_object_new_int(exit_code));
	json_object_object_add(report, "message", json_object_new_string(vm->end_words));
	json_object_object_add(report, "total_ticks", json_object_new_uint64(ticks_of(vm)));
	vm_stats_json(&sum, report);
	vm_unknown_hypercalls(vm, report);
	json_object_object_add(report, "tlb_flushes",
			       json_object_new_uint64(sum.counters[GONDOLA_COUNTER_TLB_FLUSHES]));
	if (vm->counts) {
		json_object_object_add(report, "counts", noted(vm->counts));
		json_object_object_add(report, "counts_lost",
				       json_object_new_int64(vm->counts->lost));
	}
	if (json_object_to_fd(fd, report, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED) ||
	    write(fd, "\n", 1) != 1)
		say("the report could not be written: %s", strerror(errno));
	close(fd);
	json_object_put(report);
}
