// SPDX-License-Identifier: GPL-2.0-only
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
#include "policy/host.h"
#include "base/fail.h"
#include "base/signals.h"
#include "base/tell.h"

#define MIB(bytes)	((unsigned long long)((bytes) >> 20))

struct balance_options {
	unsigned int interval;
	unsigned int rounds;
	uint64_t reserve;
	bool json;
	bool dry_run;
};

static const struct option_spec specs[] = {
	OPTION("--interval", "SECONDS", "The time between two rounds (default 5).", NUMBER,
	       struct balance_options, interval, .min = 1, .max = 3600),
	OPTION("--rounds", "N", "End after so many rounds.", NUMBER, struct balance_options, rounds,
	       .min = 1, .max = 1000000000),
	OPTION("--reserve", "SIZE",
	       "The memory that the host keeps (default: a twentieth of its memory, at least "
	       "64M).", SIZE, struct balance_options, reserve),
	OPTION("--dry-run", NULL, "For one round, print what would be done, and do nothing.", FLAG,
	       struct balance_options, dry_run),
	OPTION("--json", NULL, "Print each decision as a line of JSON.", FLAG,
	       struct balance_options, json),
	{ .name = NULL }
};

static volatile sig_atomic_t stop;

static void on_signal(int signal)
{
	(void)signal;
	stop = 1;
}

static void tell_json(const struct host *host, const struct decide_move *move)
{
	const struct decide_guest *guest = &host->guests[move->guest];
	struct json_object *event = json_object_new_object();
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
#define ADD(name, value) json_object_object_add(event, name, value)
	ADD("event", json_object_new_string("balance"));
	ADD("time_ns", json_object_new_uint64(now.tv_sec * 1000000000ull + now.tv_nsec));
	ADD("vm", json_object_new_string(host->vms[move->guest].name));
	ADD("why", json_object_new_string(decide_why_words(move->why)));
	ADD("from", json_object_new_uint64(guest->held));
	ADD("to", json_object_new_uint64(move->held));
	ADD("available", json_object_new_uint64(guest->available));
	ADD("floor", json_object_new_uint64(guest->floor));
	ADD("host_available", json_object_new_uint64(host->host.available));
	ADD("host_reserve", json_object_new_uint64(host->reserve));
	ADD("host_pressure", json_object_new_double(host->host.pressure));
#undef ADD
	tell("%s\n", json_object_to_json_string_ext(event, JSON_C_TO_STRING_PLAIN));
	json_object_put(event);
}

static void tell_move(const struct host *host, const struct decide_move *move, bool json)
{
	const struct decide_guest *guest = &host->guests[move->guest];

	if (json)
		tell_json(host, move);
	else
		tell("%s: balloon %llu -> %llu MiB: %s (it has %llu MiB available, floor %llu; the host %llu, reserve %llu, pressure %.0f%%)\n",
		       host->vms[move->guest].name, MIB(guest->held), MIB(move->held),
		       decide_why_words(move->why), MIB(guest->available), MIB(guest->floor),
		       MIB(host->host.available), MIB(host->reserve), host->host.pressure);
	fflush(stdout);
}

/* Resting guests are remembered by name, since VMs come and go between rounds. */
static struct {
	char name[32];
	unsigned int rest;
} resting[DECIDE_MAX_GUESTS];

static void set_rests(struct host *host)
{
	for (unsigned int i = 0; i < host->count; i++) {
		host->guests[i].rest = 0;
		for (unsigned int j = 0; j < DECIDE_MAX_GUESTS; j++)
			if (resting[j].rest && !strcmp(resting[j].name, host->vms[i].name))
				host->guests[i].rest = resting[j].rest;
	}
	for (unsigned int j = 0; j < DECIDE_MAX_GUESTS; j++)
		resting[j].rest -= !!resting[j].rest;
}

static void let_rest(const char *name)
{
	unsigned int at = 0;

	for (unsigned int j = 0; j < DECIDE_MAX_GUESTS; j++)
		if (!resting[j].rest || !strcmp(resting[j].name, name))
			at = j;
	snprintf(resting[at].name, sizeof(resting[at].name), "%s", name);
	resting[at].rest = DECIDE_REST;
}

static void one_round(const struct balance_options *options)
{
	static struct host host;
	struct decide_move moves[2 * DECIDE_MAX_GUESTS];
	unsigned int count, balloons = 0;
	struct error error;

	if (!host_look(&host, NULL, options->reserve, &error))
		fail(error.status, "%s", error.words);
	set_rests(&host);
	count = decide_balance(&host.host, host.guests, host.count, moves);
	for (unsigned int i = 0; i < host.count; i++)
		balloons += host.vms[i].asked;
	if (options->dry_run && !options->json && !count)
		printf("nothing to do: the host has %llu MiB available, reserve %llu, pressure %.0f%%; of %u VMs %u have a balloon\n",
		       MIB(host.host.available), MIB(host.reserve), host.host.pressure, host.count,
		       balloons);
	for (unsigned int i = 0; i < count; i++) {
		struct host_vm *vm = &host.vms[moves[i].guest];

		tell_move(&host, &moves[i], options->json);
		if (options->dry_run)
			continue;
		if (host_move(&host, &moves[i], options->interval * 1000ull + 10000))
			say("%s: %s", vm->name, vm->guest.error);
		let_rest(vm->name);
	}
	host_forget(&host);
}

static int run_balance(int argc, char **argv)
{
	struct balance_options options = { .interval = 5 };

	parse_options(&command_balance, argc, argv, &options);
	signals_handle(SIGINT, on_signal);
	signals_handle(SIGTERM, on_signal);
	for (unsigned int round = 1; !stop; round++) {
		one_round(&options);
		if (options.dry_run || round == options.rounds)
			break;
		sleep(options.interval);
	}
	return EXIT_CODE_OK;
}

const struct command command_balance = {
	.name = "balance",
	.summary = "keep moving memory between host and guests to where it is needed",
	.usage = "[OPTION]...",
	.about =
"Every few seconds this command looks at the host, and at the statistics of all running VMs "
"that have a balloon. A guest that has less available memory than its floor gets memory "
"back from its balloon. The host gives what it has above its reserve, and other guests give "
"the rest. If the host has less than its reserve, or if its programs often wait for memory "
"(/proc/pressure/memory), guests that have more than one and a half times their floors give "
"memory, until the host has one and a half times its reserve. A guest that gave memory is "
"left alone for three rounds, unless it needs memory itself.\n"
"The command prints a line with the reason for every decision. Ctrl-C or SIGTERM ends the command; balloons "
"stay as they are. A guest's floor is its --balloon-floor (see gondola help run).",
	.options = specs,
	.status =
"0 it was told to end, 2 wrong usage, 14 error",
	.run = run_balance,
};
