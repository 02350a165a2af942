/* SPDX-License-Identifier: GPL-2.0-only */
/* The options for a VM's share of its host, of "run", "create" and "set". */
#ifndef CMD_SHARE_H
#define CMD_SHARE_H

#include "cmd.h"
#include "policy/cgroup.h"

/* SHARE_OPTIONS() - rows of a table whose @function calls share_take() */
#define SHARE_OPTIONS(function)	\
	OPTION_TAKEN("--cpu-weight", "N",	\
		     "Its share of a busy processor: 1 to 10000. Of two VMs on one processor "	\
		     "one of weight 200 gets twice the time of one of weight 100.",	\
		     function),	\
	OPTION_TAKEN("--cpu-cap", "PERCENT",	\
		     "At most so many percent of one processor: 150 are one and a half. max: "	\
		     "no cap.", function),	\
	OPTION_TAKEN("--cpus-pinned", "LIST",	\
		     "The host's processors that it runs on, like 0-3,8. all: any.", function),	\
	OPTION_TAKEN("--memory-limit", "SIZE",	\
		     "At most so much of the host's memory for the VM's process, its devices and the "	\
		     "page cache of its disks; not below the guest's memory. max: no limit.", function)

/** share_take() - one of them; fail()s */
void share_take(struct cgroup_limits *limits, const char *option, const char *value);
/** share_show() - what a running VM has, as an object with the options' names; NULL: nothing of its own */
struct json_object *share_show(const char *name, pid_t pid);

#endif
