/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by the tools: options, the checks before they start, waiting, and reports. */
#ifndef TOOL_H
#define TOOL_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <bpf/libbpf.h>
#include <json-c/json.h>

#include "common.h"

#define TOOL_MAX_VMS	64

/* Exit statuses. */
enum {
	TOOL_OK = 0,
	TOOL_USAGE = 2,
	TOOL_REFUSED = 4,	/* privilege, module or kernel is missing */
	TOOL_FAILED = 14,
};

/**
 * struct tool - a program
 * @name: of the command
 * @help: all of --help
 * @events: the tracepoints that it attaches to, up to a NULL
 * @longs: its own long options, up to one without a name
 * @take: an own option with its argument; false: not a valid value
 */
struct tool {
	const char *name;
	const char *help;
	const char *const *events;
	const struct option *longs;
	bool (*take)(int option, const char *value);
};

/**
 * struct tool_options - what all of them have
 * @vm: id to look at; 0: all
 * @json: for programs
 * @interval: seconds between reports; 0: one report at the end
 * @count: of reports; 0: until it is interrupted
 * @command: to run while watching, or NULL
 */
struct tool_options {
	uint32_t vm;
	bool json;
	bool verbose;
	double interval;
	unsigned long count;
	char **command;
};

extern struct tool_options options;

/** struct tool_vm - a line of the module's list */
struct tool_vm {
	uint32_t id;
	uint32_t pid;
	uint32_t vcpus;
	uint64_t pages;
	uint32_t phase;
	uint32_t round;
	char name[64];
};

/** die() - one line on stderr, and out */
__attribute__((noreturn, format(printf, 2, 3))) void die(int status, const char *format, ...);

/** tool_start() - reads the options, makes sure that the tool can work here */
void tool_start(const struct tool *tool, int argc, char **argv);
/** tool_done() - the skeleton's open, load or attach came back with @err: die if it failed */
void tool_done(int err, const char *what);

/* Numbers of options; false if it is none, or out of range. */
bool take_u64(const char *value, uint64_t min, uint64_t max, uint64_t *out);
bool take_size(const char *value, uint64_t *out);

/** tool_run_command() - start options.command, if there is one */
void tool_run_command(void);
/**
 * tool_wait() - until the next report is due
 * @ring: polled meanwhile, or NULL
 * @gone: set when the VM that is watched has ended, or NULL
 *
 * False: this is the last one (interrupted, tool_end(), the command ended, or without one the VM).
 */
extern bool (*tool_look)(void);		/* called often meanwhile; true: it is due now */
bool tool_wait(struct ring_buffer *ring, const volatile __u32 *gone);
/** tool_end() - tool_wait() need not wait any longer */
void tool_end(void);
/** tool_ending() - says if the VM ended; the exit status for main(): the command's, if there was one */
int tool_ending(void);
/** tool_seconds() - since the start, by the clock of BPF programs */
double tool_seconds(void);
uint64_t tool_now_ns(void);

/** tool_list() - the VMs that there are; how many */
unsigned int tool_list(struct tool_vm *vms, unsigned int room);
/** tool_vm() - as last seen in the list, or NULL */
const struct tool_vm *tool_vm(uint32_t id);
/** tool_vm_of() - the launcher @pid's, likewise */
const struct tool_vm *tool_vm_of(uint32_t pid);
/** tool_vm_name() - as last seen in the list; "" if it was never there */
const char *tool_vm_name(uint32_t id);

/** tool_report_losses() - to stderr, or into @json; nothing is said in words when there are none */
void tool_report_losses(const struct losses *losses, struct json_object *json);
/** tool_print_json() - one object, one line */
void tool_print_json(struct json_object *object);
void json_u64(struct json_object *object, const char *key, uint64_t value);

/** format_ns() - "12.3us"; four of them can be alive */
const char *format_ns(uint64_t ns);
/** print_histogram() - of SLOTS slots, in nanoseconds */
void print_histogram(const char *title, const __u64 *slots);
struct json_object *json_histogram(const __u64 *slots);

/* Names of numbers, as the tracepoints print them; a number without one gives itself. */
const char *reason_name(uint32_t reason);
const char *access_name(uint32_t result);
const char *xen_call_name(uint32_t number);
const char *source_name(uint32_t source);
const char *phase_name(uint32_t phase);

/* symbols.c */
/** symbols_load() - a System.map or a /proc/kallsyms of the guest; dies if it is none */
void symbols_load(const char *path);
/** symbol_of() - "name+0x1a", or "" */
const char *symbol_of(uint64_t address);

#endif
