/* SPDX-License-Identifier: GPL-2.0-only */
/* Creates a VM and runs it, for "run", "start", "resume" and "receive". */
#ifndef CMD_LAUNCH_H
#define CMD_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>
#include <json-c/json.h>
#include "boot/boot.h"
#include "cmd.h"
#include "device/device.h"
#include "device/virtio/devices.h"
#include "migrate/machine.h"
#include "policy/cgroup.h"
#include "sandbox/sandbox.h"
#include "vm/vm.h"

/** struct run_options - the options of "run", see run.c */
struct run_options {
	struct boot boot;
	uint64_t memory;
	uint64_t balloon_floor;		/* 0: the default */
	unsigned int cpus;
	uint32_t engine;
	bool pv;
	bool xen;			/* --personality xen */
	const char *cpu;		/* see vm/cpu_model.h */
	const char *name;
	const char *console;
	uint16_t debug_exit;
	uint16_t count_port;		/* 0: none */
	const char *json;
	const char *control;
	const char *gdb;
	const char *panic_dump;
	enum sandbox_mode sandbox;
	struct cgroup_limits limits;
	struct virtio_spec virtio[VIRTIO_MAX_DEVICES];
	unsigned int nr_virtio;
};

/* The option table of "run" and "create". */
extern const struct option_spec run_specs[];

/** launch_parse() - fill @options from argv[1] …; fail()s. @command: for messages and --help */
void launch_parse(struct run_options *options, const struct command *command, int argc,
		  char **argv);
/** launch_check_files() - fail() if one of the VM's files would destroy another */
void launch_check_files(const struct run_options *options);
/** launch_parse_engine() - the number of the engine that @option names; fail()s */
uint32_t launch_parse_engine(const char *option, const char *value);
/** launch_config() - the JSON from which launch_from_config() makes the same machine again */
struct json_object *launch_config(const char *name, const struct run_options *options, int argc,
				  char *const *argv);
/** launch_config_of() - likewise from @options alone, for the current directory */
struct json_object *launch_config_of(const struct run_options *options);
/** launch_parse_config() - fill @options from it, and open nothing; fail()s. @config must stay */
void launch_parse_config(struct run_options *options, const struct command *command,
			 struct json_object *config);
/** launch_from_config() - fill @options from it, in its directory; fail()s. @config must stay */
void launch_from_config(struct run_options *options, const struct command *command,
			struct json_object *config);

/**
 * struct launch - a VM to run
 * @options: its options
 * @config: launch_config() of it
 * @detached: launch_detach() was called
 * @incoming: the start of the stream from which its state comes; NULL: it is booted
 * @image: a file with the contents of its memory, see memory_map_image(), or 0
 * @child: a program started for it (exec:), or 0
 * @begin: with @incoming: called when the machine exists, is paused (PAUSE_START) with frozen
 *	devices, and its control socket listens.  Loads it, thaws the devices and unpauses it, at
 *	once or in a thread of its own; false with @error
 * @argument: for @begin
 */
struct launch {
	struct run_options *options;
	struct json_object *config;
	bool detached;
	const struct machine_config *incoming;
	int image;
	pid_t child;
	bool (*begin)(struct vm *vm, void *argument, struct error *error);
	void *argument;
};

/**
 * launch_lock() - become the process of @name, or fail()
 *
 * The lock ends with this process in any case.  Call launch_detach() before.
 */
void launch_lock(const char *name);
/** launch_check_state() - check that the VM's state has not changed before the lock was taken, or fail() */
void launch_check_state(const struct command *command, const char *name);
/** launch_waits() - tell others that this process waits for its VM, or does not any more */
void launch_waits(bool waits);
/**
 * launch_detach() - continue as a process of its own
 *
 * The first process ends when launch_run() reports that the VM runs, or with the exit code of the
 * new one.
 */
void launch_detach(const char *name);
/**
 * launch_spawn() - likewise, but the first process goes on: it gets the new one's exit code, or 0 once
 * the VM runs, and the new one gets -1
 */
int launch_spawn(const char *name);
/** launch_ready() - detached: end the first process; launch_run() does it once the VM runs */
void launch_ready(void);
/** launch_run() - create the VM and run it to its end; returns the exit code */
int launch_run(struct launch *launch);
/** launch_check_cpu() - does the engine offer what @incoming was shown?  False: @error names the rest */
bool launch_check_cpu(uint32_t engine, const struct machine_config *incoming,
		      struct error *error);

#endif
