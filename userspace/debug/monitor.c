// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor.h"
#include "inspect/dump.h"
#include "inspect/walk.h"
#include "vm/vm.h"

#define SHOWN_EXITS	16
#define SHOWN_RANGES	32
#define WALKS_MAX	(1u << 20)
#define STATE_MAX	65536
#define LINE_MAX_SHOWN	96

static void say_to(struct monitor *m, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void say_to(struct monitor *m, const char *format, ...)
{
	va_list args;
	int bytes;

	if (m->used >= m->room)
		return;
	va_start(args, format);
	bytes = vsnprintf(m->words + m->used, m->room - m->used, format, args);
	va_end(args);
	m->used = bytes < 0 ? m->room : m->used + (size_t)bytes;
}

static bool get_sregs(struct monitor *m, struct gondola_rec_sregs *sregs)
{
	struct gondola_rec_regs regs;

	if (!__gondola_get_registers(m->vm->vcpus[m->vcpu].fd, &regs, sregs))
		return true;
	say_to(m, "the module does not tell the vCPU's state\n");
	return false;
}

static const char *rights(const struct walk *walk, char words[8])
{
	snprintf(words, 8, "%c%c%c", walk->user ? 'u' : '-', walk->writable ? 'w' : '-',
		 walk->executable ? 'x' : '-');
	return words;
}

static void on_walk(struct monitor *m, const char *rest)
{
	struct gondola_rec_sregs sregs;
	struct walk_cpu cpu;
	struct walk walk;
	uint64_t address;
	char *end, words[8];

	address = strtoull(rest, &end, 0);
	if (end == rest || *end) {
		say_to(m, "\"%s\" is not an address\n", rest);
		return;
	}
	if (!get_sregs(m, &sregs))
		return;
	walk_find_cpu(m->vm->cpuid, m->vm->nr_cpuid, &cpu);
	walk_tables(&m->vm->memory, &sregs, &cpu, address, &walk);
	say_to(m, "paging: %s\n", walk.mode);
	for (unsigned int i = 0; i < walk.nr_levels; i++)
		say_to(m, "level %u at 0x%llx: 0x%llx\n", walk.level[i].level,
		       (unsigned long long)walk.level[i].at,
		       (unsigned long long)walk.level[i].entry);
	if (walk.result == WALK_MAPPED)
		say_to(m, "physical 0x%llx, in a page of 0x%llx bytes, %s\n",
		       (unsigned long long)walk.gpa, (unsigned long long)walk.page_bytes,
		       rights(&walk, words));
	else
		say_to(m, "%s\n", walk_result_name(walk.result));
}

/* A range of pages that are adjacent in both address spaces and have the same rights. */
struct range {
	uint64_t start, end, gpa;
	struct walk walk;
};

static bool continues(const struct range *range, const struct walk *walk, uint64_t address)
{
	return range->end == address && range->gpa + (address - range->start) == walk->gpa &&
	       range->walk.user == walk->user && range->walk.writable == walk->writable &&
	       range->walk.executable == walk->executable;
}

static void say_range(struct monitor *m, const struct range *range)
{
	char words[8];

	if (range->end != range->start)
		say_to(m, "%016llx-%016llx %012llx %s\n", (unsigned long long)range->start,
		       (unsigned long long)range->end - 1, (unsigned long long)range->gpa,
		       rights(&range->walk, words));
}

/*
 * Collect as many ranges as a client reads, from an address on.  An empty upper entry is skipped at
 * once, so there are few more walks than ranges and gaps.
 */
static void on_tlb(struct monitor *m, const char *rest)
{
	struct range range = { .start = 0 };
	struct gondola_rec_sregs sregs;
	unsigned int shown = 0, walks = 0;
	struct walk_cpu cpu;
	struct walk walk;
	uint64_t address, next;
	char *end;

	address = strtoull(rest, &end, 0) & ~0xfffull;
	if (*end) {
		say_to(m, "\"%s\" is not an address\n", rest);
		return;
	}
	if (!get_sregs(m, &sregs))
		return;
	walk_find_cpu(m->vm->cpuid, m->vm->nr_cpuid, &cpu);
	for (; shown < SHOWN_RANGES && walks < WALKS_MAX; address = next, walks++) {
		walk_tables(&m->vm->memory, &sregs, &cpu, address, &walk);
		if (!walk.nr_levels && walk.result == WALK_MAPPED) {
			say_to(m, "paging is off: addresses are physical\n");
			return;
		}
		/* The non-canonical hole, or the end of 32-bit addresses. */
		if (walk.result == WALK_NOT_CANONICAL && (address >> 47 != 1 || address >> 63))
			break;
		next = walk.result == WALK_NOT_CANONICAL ? ~0ull << 47 :
		       (address | (walk.covers - 1)) + 1;
		if (walk.result == WALK_MAPPED && !continues(&range, &walk, address)) {
			shown += range.end != range.start;
			say_range(m, &range);
			range = (struct range){ .start = address, .gpa = walk.gpa, .walk = walk };
		}
		if (walk.result == WALK_MAPPED)
			range.end = next;
		if (!next)
			break;
	}
	if (shown == SHOWN_RANGES || walks == WALKS_MAX)
		say_to(m, "more: info tlb 0x%llx\n", (unsigned long long)range.start);
	else
		say_range(m, &range);
}

static void on_dr(struct monitor *m, const char *rest)
{
	const struct gondola_rec_debug *debug = NULL;
	uint64_t used = STATE_MAX;
	char *buffer = malloc(STATE_MAX);

	(void)rest;
	if (buffer && !__gondola_get_state(m->vm->vcpus[m->vcpu].fd, buffer, &used))
		debug = gondola_find_record(buffer, used, GONDOLA_REC_DEBUG, sizeof(*debug));
	if (!debug)
		say_to(m, "the module does not tell the vCPU's state\n");
	for (unsigned int i = 0; debug && i < 4; i++)
		say_to(m, "dr%u 0x%llx\n", i, (unsigned long long)debug->dr[i]);
	if (debug)
		say_to(m, "dr6 0x%llx\ndr7 0x%llx\n", (unsigned long long)debug->dr6,
		       (unsigned long long)debug->dr7);
	free(buffer);
}

static void on_exits(struct monitor *m, const char *rest)
{
	struct gondola_history_entry entries[SHOWN_EXITS];
	uint32_t count = SHOWN_EXITS;
	uint64_t total;

	(void)rest;
	if (__gondola_get_history(m->vm->vcpus[m->vcpu].fd, entries, &count, &total)) {
		say_to(m, "the module does not tell the vCPU's exits\n");
		return;
	}
	for (uint32_t i = 0; i < count && i < SHOWN_EXITS; i++) {
		const char *reason = gondola_reason_name(entries[i].reason);
		const char *by = gondola_user_exit_name(entries[i].user_exit);

		say_to(m, "%llu 0x%llx %s %s\n", (unsigned long long)(total - count + 1 + i),
		       (unsigned long long)entries[i].rip, reason ? reason : "?",
		       !entries[i].user_exit ? "module" : by ? by : "?");
	}
}

static void on_phys(struct monitor *m, const char *rest)
{
	if (!strcmp(rest, "on") || !strcmp(rest, "off"))
		*m->physical = !strcmp(rest, "on");
	say_to(m, "addresses of memory are %s\n", *m->physical ? "physical" : "virtual");
}

/* The value of the line "@name=VALUE" of @info, or NULL.  The guest wrote it: print what is printable. */
static const char *line_of(const char *info, const char *name, char value[LINE_MAX_SHOWN])
{
	size_t length = strlen(name), used = 0;

	while (strncmp(info, name, length) || info[length] != '=') {
		info = strchr(info, '\n');
		if (!info++)
			return NULL;
	}
	for (info += length + 1; *info && *info != '\n' && used < LINE_MAX_SHOWN - 1; info++)
		value[used++] = *info > ' ' && *info < 0x7f ? *info : '?';
	value[used] = 0;
	return value;
}

/* A kernel that was moved (KASLR) is found with its symbols moved as far. */
static void on_kernel(struct monitor *m, const char *rest)
{
	char info[DUMP_WORDS_MAX], value[LINE_MAX_SHOWN];

	(void)rest;
	if (!dump_kernels_words(m->vm, info)) {
		say_to(m, "no kernel in this guest describes itself (VMCOREINFO)\n");
		return;
	}
	say_to(m, "release %s\n", line_of(info, "OSRELEASE", value) ?: "unknown");
	say_to(m, "build ID %s\n", line_of(info, "BUILD-ID", value) ?: "unknown");
	say_to(m, "moved by 0x%llx\n",
	       strtoull(line_of(info, "KERNELOFFSET", value) ?: "0", NULL, 16));
}

static void on_help(struct monitor *m, const char *rest);

static const struct {
	const char *name;
	const char *about;
	void (*call)(struct monitor *m, const char *rest);
} commands[] = {
	{ "walk", "ADDRESS   the guest's page tables for a virtual address", on_walk },
	{ "info tlb", "[ADDRESS] what is mapped, from an address on", on_tlb },
	{ "kernel", "the guest's kernel: release, build ID, and how far it was moved (KASLR)", on_kernel },
	{ "dr", "the guest's own debug registers", on_dr },
	{ "exits", "the vCPU's last exits", on_exits },
	{ "phys", "on|off    whether addresses of memory are physical", on_phys },
	{ "help", "this list", on_help },
};

static void on_help(struct monitor *m, const char *rest)
{
	(void)rest;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		say_to(m, "%-8s %s\n", commands[i].name, commands[i].about);
}

void monitor_run(struct monitor *monitor, const char *command)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		size_t length = strlen(commands[i].name);

		if (strncmp(command, commands[i].name, length) ||
		    (command[length] && command[length] != ' '))
			continue;
		command += length;
		commands[i].call(monitor, command + strspn(command, " "));
		return;
	}
	say_to(monitor, "unknown: %s\n", command);
	on_help(monitor, "");
}
