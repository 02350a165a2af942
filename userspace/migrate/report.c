// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "base/member.h"
#include "report.h"
#include "base/tell.h"

#define MIB	(1024.0 * 1024.0)
#define MS	1e6

struct report_round *report_round_add(struct report *report)
{
	struct report_round *round;

	if (report->nr_rounds == REPORT_MAX_ROUNDS) {
		round = &report->rounds[REPORT_MAX_ROUNDS - 1];
		round->number++;
		return round;
	}
	round = &report->rounds[report->nr_rounds++];
	*round = (struct report_round){ .number = report->nr_rounds };
	return round;
}

uint64_t report_downtime_ns(const struct report *report)
{
	const struct report_downtime *d = &report->downtime;

	return d->pause_ns + d->copy_ns + d->state_ns + d->load_ns + d->commit_ns + d->back_ns;
}

static void put(struct json_object *object, const char *member, uint64_t value)
{
	json_object_object_add(object, member, json_object_new_uint64(value));
}

static void put_text(struct json_object *object, const char *member, const char *value)
{
	json_object_object_add(object, member, json_object_new_string(value ?: ""));
}

static void put_ratio(struct json_object *object, const char *member, double value)
{
	json_object_object_add(object, member, json_object_new_double(value));
}

static struct json_object *round_json(const struct report_round *round)
{
	struct json_object *out = json_object_new_object();

	put(out, "round", round->number);
	put(out, "pages", round->pages);
	put(out, "full", round->full);
	put(out, "zero", round->zero);
	put(out, "delta", round->delta);
	put(out, "same", round->same);
	put(out, "left_out", round->left_out);
	put(out, "bytes", round->bytes);
	put(out, "ns", round->ns);
	if (round->unfinished) {
		json_object_object_add(out, "unfinished", json_object_new_boolean(true));
	} else {
		put(out, "dirtied", round->dirtied);
		put(out, "dirty_rate", round->dirty_rate);
	}
	put(out, "throttle_percent", round->throttle);
	return out;
}

static struct json_object *downtime_json(const struct report *report)
{
	const struct report_downtime *d = &report->downtime;
	struct json_object *out = json_object_new_object();

	put(out, "predicted_ns", report->predicted_ns);
	put(out, "actual_ns", report_downtime_ns(report));
	put(out, "pause_ns", d->pause_ns);
	put(out, "copy_ns", d->copy_ns);
	put(out, "state_ns", d->state_ns);
	put(out, "load_ns", d->load_ns);
	put(out, "commit_ns", d->commit_ns);
	if (d->back_ns)
		put(out, "back_ns", d->back_ns);
	return out;
}

/* Is the cost of stopping the guest now known?  It is after each complete round. */
static bool expects(const struct report *report)
{
	return !report->stopped && report->nr_rounds && !report->rounds[0].unfinished;
}

struct json_object *report_json(const struct report *report)
{
	struct json_object *out = json_object_new_object();
	struct json_object *rounds = json_object_new_array();
	const struct report_round *last = report->nr_rounds ?
		&report->rounds[report->nr_rounds - 1] : NULL;

	put_text(out, "name", report->name);
	put_text(out, "outcome", report->outcome);
	put_text(out, "phase", report->phase);
	put_text(out, "words", report->words);
	put(out, "memory", report->memory);
	put(out, "bytes", report->bytes);
	put(out, "total_ns", report->total_ns);
	put(out, "total_ticks", report->ticks);
	if (report->memory)
		put_ratio(out, "bytes_per_memory", (double)report->bytes / report->memory);
	if (report->memory && last && report->stopped && !last->unfinished)
		put_ratio(out, "last_round_per_memory", (double)last->bytes / report->memory);
	for (unsigned int i = 0; i < report->nr_rounds; i++)
		json_object_array_add(rounds, round_json(&report->rounds[i]));
	json_object_object_add(out, "rounds", rounds);
	if (report->stall[0])
		put_text(out, "stall", report->stall);
	if (report->answer) {
		put_text(out, "answer", report->answer);
		put_text(out, "answer_cost", report->answer_cost);
	}
	if (report->stopped)
		json_object_object_add(out, "downtime", downtime_json(report));
	if (expects(report))
		put(out, "expected_downtime_ns", report->predicted_ns);
	put(out, "downtime_limit_ns", report->limit_ns);
	if (report->postcopy) {
		struct json_object *after = json_object_new_object();

		put(after, "faults", report->faults);
		put(after, "fault_ns", report->fault_ns);
		put(after, "fault_max_ns", report->fault_max_ns);
		put(after, "pushed", report->pushed);
		put(after, "prefetched", report->prefetched);
		json_object_object_add(out, "postcopy", after);
	}
	return out;
}

int64_t report_number(struct json_object *object, const char *member)
{
	return member_number(object, member, member_flag(object, member, false));
}

const char *report_text(struct json_object *object, const char *member)
{
	return member_string(object, member, "");
}

static void print_rounds(struct json_object *rounds, FILE *out)
{
	tell_to(out, "  round    pages     full    zero   delta    same      MiB        ms     left  written/s  slowed\n");
	for (size_t i = 0; i < json_object_array_length(rounds); i++) {
		struct json_object *r = json_object_array_get_idx(rounds, i);

		tell_to(out, "  %5lld %8lld %8lld %7lld %7lld %7lld %8.2f %9.1f ",
			(long long)report_number(r, "round"), (long long)report_number(r, "pages"),
			(long long)report_number(r, "full"), (long long)report_number(r, "zero"),
			(long long)report_number(r, "delta"), (long long)report_number(r, "same"),
			report_number(r, "bytes") / MIB, report_number(r, "ns") / MS);
		if (report_number(r, "unfinished"))
			tell_to(out, "   cut short       ");
		else
			tell_to(out, "%8lld %6.1f MiB", (long long)report_number(r, "dirtied"),
				report_number(r, "dirty_rate") / MIB);
		tell_to(out, " %6lld%%\n", (long long)report_number(r, "throttle_percent"));
	}
}

/* Print how far a failed migration got. */
static void print_reached(struct json_object *report, size_t rounds, FILE *out)
{
	tell_to(out, "  it got as far as phase %s", report_text(report, "phase"));
	if (rounds)
		tell_to(out, ", round %zu", rounds);
	tell_to(out, "\n");
}

static void print_downtime(struct json_object *downtime, const char *outcome, FILE *out)
{
	static const char *const parts[][2] = {
		{ "pause_ns", "to stand still" }, { "copy_ns", "last round" },
		{ "state_ns", "state sent" }, { "load_ns", "state loaded" },
		{ "commit_ns", "handed over" }, { "back_ns", "back to work here" },
	};
	bool moved = !strcmp(outcome, "migrated");
	const char *comma = "";

	tell_to(out, "  %s %.1f ms (predicted %.1f ms):",
		moved ? "downtime" : !strcmp(outcome, "in-doubt") ?
		"the guest stands, so far for" : "the guest stood for",
		report_number(downtime, "actual_ns") / MS,
		report_number(downtime, "predicted_ns") / MS);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		int64_t ns = report_number(downtime, parts[i][0]);

		/* A failed migration did not reach all of them. */
		if (!ns && (!moved || !strcmp(parts[i][0], "back_ns")))
			continue;
		tell_to(out, "%s %s %.1f", comma, parts[i][1], ns / MS);
		comma = ",";
	}
	tell_to(out, "\n");
}

void report_print(struct json_object *report, FILE *out)
{
	const char *outcome = report_text(report, "outcome");
	double memory = report_number(report, "memory");
	struct json_object *part;
	size_t rounds = 0;

	tell_to(out, "%s: %s\n", report_text(report, "name"), report_text(report, "words"));
	part = member_array(report, "rounds");
	if (part)
		rounds = json_object_array_length(part);
	if (strcmp(outcome, "migrated"))
		print_reached(report, rounds, out);
	if (rounds)
		print_rounds(part, out);
	if (memory > 0)
		tell_to(out, "  sent %.1f MiB, %.2f of the memory, in %.1f ms\n",
			report_number(report, "bytes") / MIB,
			report_number(report, "bytes") / memory,
			report_number(report, "total_ns") / MS);
	if (report_text(report, "stall")[0])
		tell_to(out, "  it did not converge: %s\n", report_text(report, "stall"));
	if (report_text(report, "answer")[0])
		tell_to(out, "  answer: %s, %s\n", report_text(report, "answer"),
			report_text(report, "answer_cost"));
	part = member_object(report, "downtime");
	if (part)
		print_downtime(part, outcome, out);
	else if (json_object_object_get_ex(report, "expected_downtime_ns", NULL))
		tell_to(out, "  expected downtime after the last whole round: %.1f ms (limit %.1f ms)\n",
			report_number(report, "expected_downtime_ns") / MS,
			report_number(report, "downtime_limit_ns") / MS);
	part = member_object(report, "postcopy");
	if (part)
		tell_to(out, "  post-copy: the guest waited for %lld pages, %.1f ms in all, %.1f ms at most; %lld came along with them, %lld in the background\n",
			(long long)report_number(part, "faults"),
			report_number(part, "fault_ns") / MS,
			report_number(part, "fault_max_ns") / MS,
			(long long)report_number(part, "prefetched"),
			(long long)report_number(part, "pushed"));
}
