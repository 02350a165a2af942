/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Chooses the next step for a goal, and keeps neighbouring pages as runs.  Pure: time,
 * memory and the balloon's size come in as numbers, so that KUnit tests it.
 */
#ifndef BALLOON_GOAL_H
#define BALLOON_GOAL_H

#include <linux/types.h>
#include <linux/gondola_balloon.h>

#define GOAL_BATCH	4096		/* pages of one step: the floor is looked at between them */
#define GOAL_SLICE_MS	100		/* a rate is kept over each of these */
#define GOAL_PAUSE_MS	100		/* the first pause for want of memory; each next one doubles */
#define GOAL_PAUSES	4		/* without progress; then the goal ends */
#define GOAL_PROGRESS	256		/* pages that count as some */
#define GOAL_LONG_MS	6400		/* the longest pause, where goals do not end */

/**
 * struct goal - what the host asks for
 * @id: which goal
 * @target: pages in the balloon
 * @rate: pages a second while it grows; 0: no limit
 * @deadline: ms after its begin; 0: none
 * @floor: available pages that are left alone
 * @lasting: a plain target of a host that knows no goals: it never ends
 */
struct goal {
	u32 id;
	u32 target;
	u32 rate;
	u32 deadline;
	u32 floor;
	bool lasting;
};

/**
 * struct goal_state - how far it is
 * @goal: which
 * @begin: when it began, ms
 * @resume: not before this, ms
 * @given: pages given up in this goal
 * @progress: pages since the last pause
 * @pauses: one after the other
 * @backoffs: all of this goal
 * @reason: enum gondola_balloon_reason
 * @most: pages that the balloon never grows beyond, whatever its goal says; 0: no limit.  It is
 *	  the guest's own, and holds from one goal to the next.
 */
struct goal_state {
	struct goal goal;
	u64 most;
	u64 begin;
	u64 resume;
	u64 given;
	u64 progress;
	unsigned int pauses;
	u32 backoffs;
	u32 reason;
};

enum goal_action { GOAL_IDLE, GOAL_INFLATE, GOAL_DEFLATE, GOAL_WAIT, GOAL_END };

/**
 * struct goal_step - what to do now
 * @pages: so many
 * @wait: then look again after so many ms
 * @paused: the wait is for want of memory
 */
struct goal_step {
	enum goal_action action;
	unsigned long pages;
	unsigned int wait;
	bool paused;
};

void goal_begin(struct goal_state *state, const struct goal *goal, u64 now);
/** goal_resume() - the guest slept, with an empty balloon: what had ended is wanted back */
void goal_resume(struct goal_state *state, u64 now);
/** goal_next() - @held: pages in the balloon; @available: what the guest could still use */
struct goal_step goal_next(struct goal_state *state, u64 now, u64 held, u64 available);
/** goal_inflated() - the guest's kernel gave @got of the pages that goal_next() said */
void goal_inflated(struct goal_state *state, u64 now, u64 got);
/** goal_pressure() - the guest needs memory: this goal goes no further */
void goal_pressure(struct goal_state *state);

#define RUNS_MAX	128

/** struct run - neighbouring pages */
struct run {
	u64 pfn;
	u32 pages;
};

/** struct runs - one request's */
struct runs {
	unsigned int count;
	struct run run[RUNS_MAX];
};

/** runs_add() - false if there is no room for one more run; joins the last one where it can */
bool runs_add(struct runs *runs, u64 pfn, u32 pages);

#endif
