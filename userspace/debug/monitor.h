/* SPDX-License-Identifier: GPL-2.0-only */
/* GDB's command "monitor": functions for a virtual machine that have no command in GDB. */
#ifndef DEBUG_MONITOR_H
#define DEBUG_MONITOR_H

#include <stdbool.h>
#include <stddef.h>

struct vm;

#define MONITOR_COMMAND	128
#define MONITOR_WORDS	3584	/* fit an answer as hexadecimal digits */

/**
 * struct monitor - a command in progress
 * @vcpu: descriptor of the client's current vCPU; the VM is stopped
 * @physical: the client's addresses are physical; a command may change it
 * @words, @room: the answer, which is cut off if it does not fit
 */
struct monitor {
	struct vm *vm;
	unsigned int vcpu;
	bool *physical;
	char *words;
	size_t room;
	size_t used;
};

/** monitor_run() - run @command as typed; an unknown command answers with the list */
void monitor_run(struct monitor *monitor, const char *command);

#endif
