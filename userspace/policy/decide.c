// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "decide.h"

const char *decide_why_words(enum decide_why why)
{
	static const char *const words[DECIDE_WHYS] = {
		[DECIDE_NOTHING] = "nothing",
		[DECIDE_START] = "a VM is to be started",
		[DECIDE_HOST_SHORT] = "the host is below its reserve",
		[DECIDE_HOST_PRESSURE] = "the host waits for memory",
		[DECIDE_GUEST_SHORT] = "the guest is at its floor",
		[DECIDE_FOR_OTHER] = "another guest is at its floor",
	};

	return why < DECIDE_WHYS ? words[why] : "unknown";
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t above(uint64_t value, uint64_t than)
{
	return value > than ? value - than : 0;
}

static uint64_t round_up(uint64_t bytes)
{
	return (bytes + DECIDE_STEP - 1) & ~(DECIDE_STEP - 1);
}

uint64_t decide_spare(const struct decide_guest *guest)
{
	if (!guest->usable)
		return 0;
	return above(guest->available, guest->floor) & ~(DECIDE_STEP - 1);
}

/*
 * Share @need in proportion to @spare; both are multiples of the step.  Shares are rounded up one
 * after the other, from what is left of both, so that the last share is not more than its guest can
 * spare.
 */
static unsigned int share(const struct decide_guest *guests, const uint64_t *spare,
			  unsigned int count, uint64_t need, enum decide_why why,
			  struct decide_move *moves)
{
	unsigned int made = 0;
	uint64_t total = 0;

	for (unsigned int i = 0; i < count; i++)
		total += spare[i];
	for (unsigned int i = 0; i < count && need; i++) {
		uint64_t part;

		if (!spare[i])
			continue;
		part = (need / DECIDE_STEP * (spare[i] / DECIDE_STEP) * DECIDE_STEP + total - 1) /
		       total * DECIDE_STEP;
		part = least(part, least(spare[i], need));
		/* Rounding down here would be too much for the guests behind. */
		if (need - part > total - spare[i])
			part = need - (total - spare[i]);
		total -= spare[i];
		need -= part;
		if (part)
			moves[made++] = (struct decide_move){ i, guests[i].held + part, why };
	}
	return made;
}

unsigned int decide_take(const struct decide_guest *guests, unsigned int count, uint64_t need,
			 struct decide_move *moves, uint64_t *missing)
{
	uint64_t spare[DECIDE_MAX_GUESTS], total = 0;

	need = round_up(need);
	for (unsigned int i = 0; i < count; i++) {
		spare[i] = decide_spare(&guests[i]);
		total += spare[i];
	}
	*missing = above(need, total);
	if (*missing)
		return 0;
	return share(guests, spare, count, need, DECIDE_START, moves);
}

/* A guest that gives memory keeps its floor and half of it more. */
static uint64_t comfortable(const struct decide_guest *guest)
{
	return guest->floor + guest->floor / 2;
}

static bool in_need(const struct decide_guest *guest)
{
	return guest->usable && guest->held && guest->available < guest->floor;
}

/* Take up to @need from guests that are neither in need nor resting. */
static unsigned int take(const struct decide_guest *guests, unsigned int count, uint64_t need,
			 enum decide_why why, struct decide_move *moves)
{
	uint64_t spare[DECIDE_MAX_GUESTS], total = 0;

	for (unsigned int i = 0; i < count; i++) {
		spare[i] = guests[i].usable && !guests[i].rest ?
			   above(guests[i].available, comfortable(&guests[i])) & ~(DECIDE_STEP - 1) :
			   0;
		if (spare[i] < DECIDE_SMALL)
			spare[i] = 0;
		total += spare[i];
	}
	return share(guests, spare, count, least(round_up(need), total), why, moves);
}

unsigned int decide_balance(const struct decide_host *host, const struct decide_guest *guests,
			    unsigned int count, struct decide_move *moves)
{
	uint64_t free = above(host->available, host->low), wanted = 0;
	unsigned int made = 0;

	for (unsigned int i = 0; i < count; i++) {
		uint64_t back, now;

		if (!in_need(&guests[i]))
			continue;
		back = least(round_up(comfortable(&guests[i]) - guests[i].available),
			     guests[i].held);
		now = least(back, free & ~(DECIDE_STEP - 1));
		if (now)
			moves[made++] = (struct decide_move){
				i, guests[i].held - now, DECIDE_GUEST_SHORT
			};
		free -= now;
		wanted += back - now;
	}
	/* Others give now what the host lacks; guests in need get it in a later round. */
	if (wanted)
		return made + take(guests, count, wanted + above(host->low, host->available),
				   DECIDE_FOR_OTHER, moves + made);
	if (host->available < host->low)
		return made + take(guests, count, host->high - host->available, DECIDE_HOST_SHORT,
				   moves + made);
	if (host->pressure >= DECIDE_PRESSURE && !made && host->available < host->high)
		return take(guests, count, host->high - host->available, DECIDE_HOST_PRESSURE, moves);
	return made;
}
