/* SPDX-License-Identifier: GPL-2.0-only */
/* A running VM as the policy sees it: through its control socket. */
#ifndef POLICY_GUEST_H
#define POLICY_GUEST_H

#include <stdbool.h>
#include <stdint.h>
#include "control/client.h"

#define GUEST_TIMEOUT_MS	5000

/**
 * struct guest - all sizes in bytes
 * @error: why the last call failed
 * @memory: what it was given
 * @held: in its balloon
 * @goal, @reason: of the last request
 * @floor: of the last request that had one
 * @keep: what a policy leaves it available
 * @backoffs: pauses in that request
 * @reported: free pages given back so far
 * @discarded: given back to the host so far, @reported included
 * @driver: "gondola", "standard" or "none"
 * @has_stats: the next three are known
 * @available: what it could use without swapping
 * @free, @total: as it says itself
 */
struct guest {
	char name[64];
	struct control_link link;
	const char *error;
	uint64_t memory;
	uint64_t held;
	uint64_t target;
	uint32_t goal;
	uint64_t floor;
	uint64_t keep;
	uint32_t backoffs;
	uint64_t reported;
	uint64_t discarded;
	char reason[24];
	char driver[16];
	bool has_stats;
	uint64_t available;
	uint64_t free;
	uint64_t total;
	struct json_object *stats;
};

/** struct guest_request - a new size of its balloon; bytes, ms, 0: none; @why: for its events */
struct guest_request {
	uint64_t size;
	uint64_t rate;
	uint64_t deadline_ms;
	uint64_t floor;
	const char *why;
};

/**
 * guest_connect() - to a running VM
 * @name: its name, or the path of its control socket (with a "/")
 *
 * 0, or -1 with @error.
 */
int guest_connect(struct guest *guest, const char *name);
void guest_disconnect(struct guest *guest);
/** guest_status() - fills in what the balloon holds and how its goal stands */
int guest_status(struct guest *guest);
/** guest_stats() - and what the guest says of its memory */
int guest_stats(struct guest *guest);
/** guest_ask() - a goal; guest->goal is its number */
int guest_ask(struct guest *guest, const struct guest_request *request);
int guest_cancel(struct guest *guest);
/** guest_ended() - after guest_status(): is the goal @goal over? */
bool guest_ended(const struct guest *guest, uint32_t goal);

#endif
