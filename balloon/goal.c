// SPDX-License-Identifier: GPL-2.0-only
#include <linux/limits.h>
#include <linux/math64.h>
#include <linux/minmax.h>

#include "goal.h"

/* A descriptor's length has 32 bits; whole chunks of the page allocator fit into this. */
#define RUN_PAGES_MAX	(1u << 19)

void goal_begin(struct goal_state *state, const struct goal *goal, u64 now)
{
	*state = (struct goal_state){
		.goal = *goal, .begin = now, .resume = now, .most = state->most,
	};
}

void goal_resume(struct goal_state *state, u64 now)
{
	struct goal goal = state->goal;

	if (state->reason == GONDOLA_BALLOON_RUNNING)
		return;
	/* It was met or over before. */
	goal.deadline = 0;
	goal_begin(state, &goal, now);
}

static struct goal_step end(struct goal_state *state, u32 reason)
{
	state->reason = reason;
	return (struct goal_step){ .action = GOAL_END };
}

static struct goal_step wait(u64 ms)
{
	return (struct goal_step){ .action = GOAL_WAIT, .wait = ms };
}

/* Memory is short: pause, longer each time, and give up after some if goals may end. */
static struct goal_step back_off(struct goal_state *state, u64 now, u32 reason)
{
	struct goal_step step;
	u64 ms;

	if (state->progress >= GOAL_PROGRESS)
		state->pauses = 0;
	state->progress = 0;
	if (state->pauses >= GOAL_PAUSES && !state->goal.lasting)
		return end(state, reason);
	ms = min_t(u64, (u64)GOAL_PAUSE_MS << min(state->pauses, 16u), GOAL_LONG_MS);
	state->pauses++;
	state->backoffs++;
	state->resume = now + ms;
	step = wait(ms);
	step.paused = true;
	return step;
}

/* Pages that the rate leaves for now. */
static u64 rate_room(const struct goal_state *state, u64 now)
{
	u64 by_now;

	if (!state->goal.rate)
		return U64_MAX;
	by_now = div_u64((now - state->begin + GOAL_SLICE_MS) * state->goal.rate, 1000);
	return by_now > state->given ? by_now - state->given : 0;
}

static struct goal_step inflate(struct goal_state *state, u64 now, u64 held, u64 available)
{
	const struct goal *goal = &state->goal;
	u64 pages = min_t(u64, goal->target - held, GOAL_BATCH);

	if (state->most && held >= state->most)
		return goal->lasting ? (struct goal_step){ .action = GOAL_IDLE } :
		       end(state, GONDOLA_BALLOON_REFUSED);
	if (state->most)
		pages = min(pages, state->most - held);
	if (goal->deadline && now - state->begin >= goal->deadline)
		return end(state, GONDOLA_BALLOON_DEADLINE);
	if (now < state->resume) {
		u64 ms = state->resume - now;

		/* A deadline is not slept through. */
		if (goal->deadline)
			ms = min(ms, state->begin + goal->deadline - now);
		return wait(ms);
	}
	if (available <= goal->floor && goal->floor)
		return back_off(state, now, GONDOLA_BALLOON_FLOOR);
	if (goal->floor)
		pages = min(pages, available - goal->floor);
	pages = min(pages, rate_room(state, now));
	if (!pages)
		return wait(GOAL_SLICE_MS);
	return (struct goal_step){ .action = GOAL_INFLATE, .pages = pages };
}

struct goal_step goal_next(struct goal_state *state, u64 now, u64 held, u64 available)
{
	const struct goal *goal = &state->goal;

	if (state->reason != GONDOLA_BALLOON_RUNNING)
		return (struct goal_step){ .action = GOAL_IDLE };
	if (held == goal->target)
		return end(state, GONDOLA_BALLOON_REACHED);
	if (held > goal->target)
		return (struct goal_step){
			.action = GOAL_DEFLATE,
			.pages = min_t(u64, held - goal->target, GOAL_BATCH),
		};
	return inflate(state, now, held, available);
}

void goal_inflated(struct goal_state *state, u64 now, u64 got)
{
	state->given += got;
	state->progress += got;
	if (!got)
		back_off(state, now, GONDOLA_BALLOON_NO_MEMORY);
}

void goal_pressure(struct goal_state *state)
{
	if (state->reason == GONDOLA_BALLOON_RUNNING)
		state->reason = GONDOLA_BALLOON_FLOOR;
}

bool runs_add(struct runs *runs, u64 pfn, u32 pages)
{
	struct run *last = runs->count ? &runs->run[runs->count - 1] : NULL;

	if (last && last->pages <= RUN_PAGES_MAX - pages) {
		if (last->pfn + last->pages == pfn) {
			last->pages += pages;
			return true;
		}
		if (pfn + pages == last->pfn) {
			last->pfn = pfn;
			last->pages += pages;
			return true;
		}
	}
	if (runs->count == RUNS_MAX)
		return false;
	runs->run[runs->count++] = (struct run){ .pfn = pfn, .pages = pages };
	return true;
}
