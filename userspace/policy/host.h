/* SPDX-License-Identifier: GPL-2.0-only */
/* The host's memory and all running VMs, for a policy. */
#ifndef POLICY_HOST_H
#define POLICY_HOST_H

#include "base/error.h"
#include "decide.h"
#include "guest.h"

/**
 * struct host_vm - a VM with a process
 * @guest: connected if @asked
 * @asked: it has a balloon and answered
 * @memory: what it was given
 * @rss: the host's memory in use by its process
 */
struct host_vm {
	char name[32];
	struct guest guest;
	bool asked;
	uint64_t memory;
	uint64_t rss;
};

/**
 * struct host - the host
 * @total, @reserve: the host's memory, and the part that VMs may not have
 * @promised: memory that running VMs may still take
 * @host, @guests: for decide.h; guests[i] is vms[i]
 */
struct host {
	uint64_t total;
	uint64_t reserve;
	uint64_t promised;
	struct decide_host host;
	unsigned int count;
	struct host_vm vms[DECIDE_MAX_GUESTS];
	struct decide_guest guests[DECIDE_MAX_GUESTS];
};

/**
 * host_look() - collect everything; false if /proc or the registry cannot be read
 * @except: a VM to leave out, or NULL
 * @reserve: bytes, for host->reserve; 0: a twentieth of all memory, 64 MiB at least
 */
bool host_look(struct host *host, const char *except, uint64_t reserve, struct error *error);
/** host_forget() - close the connections */
void host_forget(struct host *host);
/** host_move() - ask a guest for a move; 0, or -1 with guest.error */
int host_move(struct host *host, const struct decide_move *move, uint64_t deadline_ms);
/** host_wait() - wait until no balloon changes, or some time has passed */
void host_wait(struct host *host, unsigned int seconds);

#endif
