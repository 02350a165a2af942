/* SPDX-License-Identifier: GPL-2.0-only */
/* The host's memory and all running VMs, as a policy needs to know them. */
#ifndef POLICY_HOST_H
#define POLICY_HOST_H

#include "base/error.h"
#include "decide.h"
#include "guest.h"

/**
 * struct host_vm - a VM that has a process
 * @guest: connected if @asked
 * @asked: it has a balloon and answers
 * @memory: what it was given
 * @rss: what its process has of the host's memory
 */
struct host_vm {
	char name[32];
	struct guest guest;
	bool asked;
	uint64_t memory;
	uint64_t rss;
};

/**
 * struct host - all of it
 * @total, @reserve: the host's memory, and what of it stays free of VMs
 * @promised: what running VMs have not taken yet but may
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
 * host_look() - fill all in; false if /proc or the registry cannot be read
 * @except: a VM that is not looked at, or NULL
 * @reserve: bytes, for host->reserve; 0: a twentieth of all memory, 64 MiB at least
 */
bool host_look(struct host *host, const char *except, uint64_t reserve, struct error *error);
/** host_forget() - close the connections */
void host_forget(struct host *host);
/** host_move() - ask a guest for what was decided; 0, or -1 with guest.error */
int host_move(struct host *host, const struct decide_move *move, uint64_t deadline_ms);
/** host_wait() - until all balloons are still, or some time has passed */
void host_wait(struct host *host, unsigned int seconds);

#endif
