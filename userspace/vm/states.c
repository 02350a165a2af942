// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "states.h"

static const char *const names[VM_STATE_COUNT] = {
	[VM_STATE_INACTIVE] = "inactive",
	[VM_STATE_SUSPENDED] = "suspended",
	[VM_STATE_AWAY] = "away",
	[VM_STATE_STARTING] = "starting",
	[VM_STATE_WAITING] = "waiting",
	[VM_STATE_RUNNING] = "running",
	[VM_STATE_PAUSED] = "paused",
	[VM_STATE_SUSPENDING] = "suspending",
	[VM_STATE_DUMPING] = "dumping",
	[VM_STATE_RECEIVING] = "receiving",
	[VM_STATE_COMMITTING] = "committing",
	[VM_STATE_MIGRATING] = "migrating",
	[VM_STATE_MIGRATED] = "migrated",
	[VM_STATE_UNRESPONSIVE] = "unresponsive",
};

/* The states in which a command works, for the command line and the control socket. */
static const struct {
	const char *command;
	unsigned int states;
} rules[] = {
	{ "start", VM_IN(INACTIVE) },
	{ "resume", VM_IN(SUSPENDED) },
	{ "pause", VM_IN(RUNNING) },
	{ "unpause", VM_IN(PAUSED) },
	{ "suspend", VM_IN(RUNNING) | VM_IN(PAUSED) },
	{ "stop", VM_IN(WAITING) | VM_IN(RUNNING) },
	{ "kill", VM_IN_ACTIVE },
	{ "clone", VM_IN(INACTIVE) | VM_IN(SUSPENDED) },
	{ "delete", VM_IN(INACTIVE) | VM_IN(SUSPENDED) | VM_IN(AWAY) },
	{ "console", VM_IN_ACTIVE },
	{ "events", VM_IN_ACTIVE },
	{ "balloon", VM_IN(RUNNING) | VM_IN(MIGRATING) },
	{ "migrate", VM_IN(RUNNING) | VM_IN(PAUSED) },
	{ "set", VM_IN(RUNNING) | VM_IN(PAUSED) | VM_IN(MIGRATING) },
	{ "dirty-sample", VM_IN(RUNNING) | VM_IN(PAUSED) },
	{ "inspect", VM_IN(RUNNING) | VM_IN(PAUSED) },
	{ "dump", VM_IN(RUNNING) | VM_IN(PAUSED) },
	{ "gdb", VM_IN(RUNNING) | VM_IN(PAUSED) },
	{ "migrate-cancel", VM_IN(MIGRATING) },
	{ "migrate-recover", VM_IN(RUNNING) | VM_IN(PAUSED) | VM_IN(MIGRATED) },
	{ "receive", VM_IN(INACTIVE) | VM_IN(AWAY) },
};

const char *vm_state_name(enum vm_state state)
{
	return state < VM_STATE_COUNT ? names[state] : "unknown";
}

int vm_state_by_name(const char *name)
{
	for (int i = 0; i < VM_STATE_COUNT; i++)
		if (!strcmp(names[i], name))
			return i;
	return -1;
}

/* The states of a mask in words: "running or paused". */
static void put_states(unsigned int states, char *buffer, size_t room)
{
	size_t used = 0;

	buffer[0] = 0;
	if (states == VM_IN_ACTIVE) {
		snprintf(buffer, room, "active");
		return;
	}
	for (int i = 0; i < VM_STATE_COUNT && used < room; i++) {
		if (!(states & 1u << i))
			continue;
		states &= ~(1u << i);
		used += snprintf(buffer + used, room - used, "%s%s",
				 !used ? "" : states ? ", " : " or ", names[i]);
	}
}

/* "a running VM", "an inactive VM" */
static const char *article(const char *words)
{
	return strchr("aeiou", words[0]) ? "an" : "a";
}

int vm_state_allows(const char *command, const char *name, enum vm_state state, char *words,
		    size_t room)
{
	char needed[128];

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		if (strcmp(rules[i].command, command) || rules[i].states & 1u << state)
			continue;
		put_states(rules[i].states, needed, sizeof(needed));
		snprintf(words, room, "%s is %s; %s needs %s %s VM", name, vm_state_name(state),
			 command, article(needed), needed);
		return -1;
	}
	return 0;
}
