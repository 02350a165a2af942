// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "policy/guest.h"
#include "base/fail.h"
#include "base/tell.h"

#define LOOK_AGAIN_US	100000
#define MIB(bytes)	((unsigned long long)((bytes) >> 20))

struct balloon_options {
	struct guest_request request;
	bool wait;
	bool stats;
	bool cancel;
	bool json;
};

static void take_rate(void *to, const char *option, const char *value)
{
	struct balloon_options *options = to;

	options->request.rate = parse_size(option, value);
	if (options->request.rate < 4096)
		fail(EXIT_CODE_USAGE, "%s: the rate is at least a page a second", option);
}

static void take_deadline(void *to, const char *option, const char *value)
{
	struct balloon_options *options = to;

	options->request.deadline_ms = parse_number(option, value, 1, 4000000) * 1000;
}

static const struct option_spec specs[] = {
	OPTION_TAKEN("--rate", "SIZE", "Grow by at most SIZE a second.", take_rate),
	OPTION_TAKEN("--deadline", "SECONDS", "Stop after so long.", take_deadline),
	OPTION("--floor", "SIZE",
	       "Leave the guest SIZE of available memory. If it needs more later, the balloon "
	       "gives it back.", SIZE, struct balloon_options, request.floor),
	OPTION("--wait", NULL,
	       "Wait until the request has ended. Show the progress on a terminal, then the "
	       "reason, which is also the exit status. Ctrl-C ends the waiting, not the request.",
	       FLAG, struct balloon_options, wait),
	OPTION("--cancel", NULL, "Cancel a request: leave the balloon as it is now.", FLAG,
	       struct balloon_options, cancel),
	OPTION("--stats", NULL, "Show the guest's own statistics of its memory.", FLAG,
	       struct balloon_options, stats),
	OPTION("--json", NULL, "Print the result as one JSON object.", FLAG, struct balloon_options,
	       json),
	{ .name = NULL }
};

/* "+64M" and "-64M" are relative to the balloon's present size. */
static uint64_t size_of(const struct guest *guest, const char *value)
{
	uint64_t bytes = parse_size("SIZE", value + (*value == '+' || *value == '-'));

	if (*value == '+')
		bytes += guest->held;
	else if (*value == '-')
		bytes = guest->held > bytes ? guest->held - bytes : 0;
	if (bytes > guest->memory)
		fail(EXIT_CODE_USAGE, "%s has %lluM of memory, its balloon cannot hold %lluM",
		     guest->name, MIB(guest->memory), MIB(bytes));
	return bytes & ~4095ull;
}

static void show_progress(const struct guest *guest, bool last)
{
	static bool shown;

	if (!isatty(STDERR_FILENO) || (last && !shown))
		return;
	shown = true;
	fprintf(stderr, "\r%s: %llu of %llu MiB in the balloon%s%s", guest->name, MIB(guest->held),
		MIB(guest->target), guest->backoffs ? ", the guest is short and pauses" : "",
		last ? "\n" : "   ");
}

static void check(const struct guest *guest, int ret)
{
	if (!ret)
		return;
	show_progress(guest, true);
	fail(EXIT_CODE_ERROR, "%s: %s", guest->name, guest->error);
}

static int code_of(const struct guest *guest, uint32_t goal)
{
	static const struct {
		const char *reason;
		int code;
	} codes[] = {
		{ "reached", EXIT_CODE_OK },
		{ "floor", EXIT_CODE_FLOOR },
		{ "deadline", EXIT_CODE_DEADLINE },
		{ "refused", EXIT_CODE_REFUSED },
		{ "out-of-memory", EXIT_CODE_GUEST_MEMORY },
	};

	for (unsigned int i = 0; guest->goal == goal && i < sizeof(codes) / sizeof(codes[0]); i++)
		if (!strcmp(guest->reason, codes[i].reason))
			return codes[i].code;
	return EXIT_CODE_CANCELLED;
}

/* Explain the reason if its name does not. */
static const char *meaning(const struct guest *guest, int code)
{
	switch (code) {
	case EXIT_CODE_FLOOR:
		return " (more would leave the guest less than its floor)";
	case EXIT_CODE_DEADLINE:
		return " (the time was over)";
	case EXIT_CODE_REFUSED:
		return strcmp(guest->driver, "none") ? " (it is beyond the guest's own limit)" :
		       " (the guest runs no balloon driver)";
	case EXIT_CODE_GUEST_MEMORY:
		return " (the guest found no more pages to give)";
	case EXIT_CODE_CANCELLED:
		return " (another request took its place)";
	default:
		return "";
	}
}

static void put_number(struct json_object *to, const char *member, uint64_t value)
{
	json_object_object_add(to, member, json_object_new_uint64(value));
}

static void put_text(struct json_object *to, const char *member, const char *value)
{
	json_object_object_add(to, member, json_object_new_string(value));
}

/* A line for programs. */
static void print_json(const struct guest *guest, const char *reason, bool stats)
{
	struct json_object *out = json_object_new_object();

	put_text(out, "name", guest->name);
	put_number(out, "memory", guest->memory);
	put_number(out, "held", guest->held);
	put_number(out, "target", guest->target);
	put_number(out, "goal", guest->goal);
	put_text(out, "reason", reason);
	put_number(out, "floor", guest->floor);
	put_text(out, "driver", guest->driver);
	if (stats)
		json_object_object_add(out, "stats", json_object_get(guest->stats));
	tell("%s\n", json_object_to_json_string_ext(out, JSON_C_TO_STRING_PLAIN |
						      JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(out);
}

static int wait_for(struct guest *guest, bool json)
{
	const char *reason;
	uint32_t goal = guest->goal;
	int code;

	check(guest, guest_watch(guest));
	while (!guest_ended(guest, goal)) {
		show_progress(guest, false);
		usleep(LOOK_AGAIN_US);
		check(guest, guest_status(guest));
	}
	show_progress(guest, true);
	code = code_of(guest, goal);
	reason = code == EXIT_CODE_CANCELLED ? "cancelled" : guest->reason;
	if (json)
		print_json(guest, reason, false);
	else
		tell("%s: %llu MiB of %llu in the balloon: %s%s\n", guest->name,
		       MIB(guest->held), MIB(guest->memory), reason, meaning(guest, code));
	return code;
}

static void show(const struct guest *guest, bool json)
{
	if (json) {
		print_json(guest, guest->reason, false);
		return;
	}
	tell("%s: %llu MiB of %llu in the balloon", guest->name, MIB(guest->held),
	       MIB(guest->memory));
	if (!strcmp(guest->driver, "none"))
		tell("; the guest runs no balloon driver");
	else if (!strcmp(guest->reason, "running"))
		tell(", on the way to %llu", MIB(guest->target));
	else if (!strcmp(guest->reason, "cancelled"))
		tell("; the last request was cancelled");
	else if (guest->goal)
		tell("; the last request, for %llu MiB, ended: %s", MIB(guest->target),
		       guest->reason);
	printf("\n");
}

static int show_stats(struct guest *guest, bool json)
{
	check(guest, guest_stats(guest));
	if (json) {
		print_json(guest, guest->reason, true);
		return EXIT_CODE_OK;
	}
	show(guest, false);
	json_object_object_foreach(guest->stats, name, value)
		tell("  %-22s %llu%s\n", name, json_object_is_type(value, json_type_int) ?
		       (unsigned long long)json_object_get_uint64(value) : 0,
		       strstr(name, "memory") || strstr(name, "swap") || strstr(name, "cache") ?
		       " bytes" : "");
	return EXIT_CODE_OK;
}

static int run_balloon(int argc, char **argv)
{
	static struct balloon_options options;
	const char *name = NULL, *size = NULL;
	struct guest guest;
	int code = EXIT_CODE_OK;

	/* Arguments that are no options come first. */
	while (argc > 1 && !name && argv[1][0] != '-') {
		name = argv[1];
		argv++;
		argc--;
	}
	if (name && argc > 1 && (argv[1][0] != '-' || isdigit((unsigned char)argv[1][1]))) {
		size = argv[1];
		argv++;
		argc--;
	}
	parse_options(&command_balloon, argc, argv, &options);
	if (!name)
		fail(EXIT_CODE_USAGE, "balloon: which VM? (see gondola help balloon)");
	if (!!size + options.stats + options.cancel > 1)
		fail(EXIT_CODE_USAGE, "balloon: a SIZE, --stats or --cancel: one of them");
	if (!size && (options.wait || options.request.rate || options.request.deadline_ms ||
		      options.request.floor))
		fail(EXIT_CODE_USAGE, "balloon: --wait, --rate, --deadline and --floor belong to a SIZE");
	if (guest_connect(&guest, name) || guest_status(&guest))
		fail(guest.link.error.status, "%s: %s", name, guest.error);
	if (options.stats) {
		code = show_stats(&guest, options.json);
	} else if (options.cancel) {
		check(&guest, guest_cancel(&guest));
		show(&guest, options.json);
	} else if (size) {
		options.request.size = size_of(&guest, size);
		check(&guest, guest_ask(&guest, &options.request));
		if (options.wait)
			code = wait_for(&guest, options.json);
		else
			show(&guest, options.json);
	} else {
		show(&guest, options.json);
	}
	guest_disconnect(&guest);
	return code;
}

const struct command command_balloon = {
	.name = "balloon",
	.summary = "take memory from a running guest, or give it back",
	.usage = "NAME SIZE [OPTION]...\n"
		 "NAME [--stats]\n"
		 "NAME --cancel",
	.about =
"The first form asks the guest for memory until its balloon holds SIZE, or gives memory "
"back. The second shows what the balloon holds.\n"
"NAME is a VM that was started with --balloon, or the path of its control socket. SIZE is a "
"number with K, M or G. +SIZE and -SIZE count from what the balloon holds now; 0 gives "
"everything back.",
	.options = specs,
	.examples =
"gondola balloon web 512M --floor 128M --rate 64M --wait\n"
"gondola balloon web 0",
	.status =
"with --wait: 0 reached, 30 floor (more would leave the guest less than its floor), 32 "
"deadline, 34 refused (no driver, or a limit of the guest's), 36 out-of-memory (the guest's "
"kernel found no more pages to give), 38 cancelled (another request replaced it); 2 wrong "
"usage, 14 no balloon, or the VM has ended or moved, 20 no such VM",
	.run = run_balloon,
};
