/* SPDX-License-Identifier: GPL-2.0-only */
/* A running VM for the policy, through its control socket. */
#ifndef POLICY_GUEST_H
#define POLICY_GUEST_H

#include <stdbool.h>
#include <stdint.h>
#include "control/client.h"

#define GUEST_TIMEOUT_MS	5000

/**
 * struct guest - all sizes in bytes
 * @error: the error of the last call
 * @memory: its memory
 * @held: memory in its balloon
 * @goal, @reason: of the last request
 * @floor: of the last request that had one
 * @keep: memory that a policy leaves available to it
 * @backoffs: pauses in that request
 * @reported: free memory reported and returned so far
 * @discarded: memory returned to the host so far, including @reported
 * @driver: "gondola", "standard" or "none"
 * @has_stats: the next three fields are known
 * @available: memory that it could use without swapping
 * @free, @total: from its statistics
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
 * guest_connect() - connect to a running VM
 * @name: its name, or the path of its control socket (with a "/")
 *
 * 0, or -1 with @error.
 */
int guest_connect(struct guest *guest, const char *name);
void guest_disconnect(struct guest *guest);
/** guest_status() - get the state of the balloon and its goal */
int guest_status(struct guest *guest);
/** guest_stats() - get the guest's statistics, too */
int guest_stats(struct guest *guest);
/** guest_ask() - set a goal; guest->goal is its number */
int guest_ask(struct guest *guest, const struct guest_request *request);
int guest_cancel(struct guest *guest);
/** guest_watch() - from now on @error says why a VM has ended that ends, or where it moved */
int guest_watch(struct guest *guest);
/** guest_ended() - after guest_status(): has the goal @goal ended? */
bool guest_ended(const struct guest *guest, uint32_t goal);

#endif
