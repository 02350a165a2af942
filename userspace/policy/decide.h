/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Decides how much memory each guest gives.  Pure: it computes moves from facts about host and
 * guests. All sizes are in bytes; a move is at least a page.
 */
#ifndef POLICY_DECIDE_H
#define POLICY_DECIDE_H

#include <stdbool.h>
#include <stdint.h>

#define DECIDE_MAX_GUESTS	64
#define DECIDE_STEP		(1ull << 20)	/* moves are multiples of this */
#define DECIDE_SMALL		(8ull << 20)	/* the least move of "balance" */
#define DECIDE_REST		3		/* rounds that a guest is left alone after a move */
#define DECIDE_PRESSURE		10.0		/* % of time in which something waits for memory */

/**
 * struct decide_guest - a running VM
 * @memory: its memory
 * @held: in its balloon
 * @available: memory available to it, by its own account
 * @floor: the part of @available that it keeps
 * @usable: its driver reports statistics; other guests are left alone
 * @rest: rounds for which it is still left alone
 */
struct decide_guest {
	uint64_t memory;
	uint64_t held;
	uint64_t available;
	uint64_t floor;
	bool usable;
	unsigned int rest;
};

/**
 * struct decide_host - the host
 * @available: memory that is neither used nor promised
 * @low, @high: below @low memory is short; then guests give until @high is available
 * @pressure: PSI "some" of memory over ten seconds, in percent
 */
struct decide_host {
	uint64_t available;
	uint64_t low;
	uint64_t high;
	double pressure;
};

enum decide_why {
	DECIDE_NOTHING,
	DECIDE_START,			/* a VM will be started */
	DECIDE_HOST_SHORT,		/* the host has less than its reserve */
	DECIDE_HOST_PRESSURE,		/* the host's processes wait for memory */
	DECIDE_GUEST_SHORT,		/* this guest is at its floor: it gets some back */
	DECIDE_FOR_OTHER,		/* another guest is, and the host has none for it */
	DECIDE_WHYS
};

/**
 * struct decide_move - the new size of a guest's balloon, and the reason
 * @guest: index of the guest
 */
struct decide_move {
	unsigned int guest;
	uint64_t held;
	enum decide_why why;
};

const char *decide_why_words(enum decide_why why);

/** decide_spare() - compute the memory that a guest can give without going below its floor */
uint64_t decide_spare(const struct decide_guest *guest);

/**
 * decide_take() - get @need from all guests, each in proportion to what it can spare
 * @moves: DECIDE_MAX_GUESTS of them
 * @missing: the shortfall; if it is not 0 there are no moves
 *
 * Returns the number of moves.
 */
unsigned int decide_take(const struct decide_guest *guests, unsigned int count, uint64_t need,
			 struct decide_move *moves, uint64_t *missing);

/**
 * decide_balance() - do a round of "gondola balance"
 *
 * A guest at its floor gets memory back, from the host's memory above @low, else from other guests.
 * A host that is short takes from all guests.  Guests that moved rest for some rounds, unless they
 * are in need; they are left well above the point of need.
 */
unsigned int decide_balance(const struct decide_host *host, const struct decide_guest *guests,
			    unsigned int count, struct decide_move *moves);

#endif
