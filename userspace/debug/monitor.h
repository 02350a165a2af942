/* SPDX-License-Identifier: GPL-2.0-only */
/* GDB's command "monitor": what a debugger of a virtual machine needs and GDB has no command for. */
#ifndef DEBUG_MONITOR_H
#define DEBUG_MONITOR_H

#include <stdbool.h>
#include <stddef.h>

struct vm;

#define MONITOR_COMMAND	128
#define MONITOR_WORDS	3584	/* as hexadecimal digits they fit an answer */

/**
 * struct monitor - a command under way
 * @vcpu: of the vCPU that the client has chosen; the VM stands still
 * @physical: the client's addresses of memory are physical; a command may change it
 * @words, @room: what is answered; what does not fit is cut off
 */
struct monitor {
	struct vm *vm;
	unsigned int vcpu;
	bool *physical;
	char *words;
	size_t room;
	size_t used;
};

/** monitor_run() - run @command as it was typed; the answer to an unknown one is the list */
void monitor_run(struct monitor *monitor, const char *command);

#endif
