// SPDX-License-Identifier: GPL-2.0-only
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "migrate/report.h"
#include "migrate/transport.h"
#include "remote.h"
#include "base/fail.h"
#include "base/signals.h"
#include "base/tell.h"

#define MIB		(1024.0 * 1024.0)
#define CONNECT_MS	10000

/**
 * struct migrate_command - the command's options and state
 * @arguments: the request's arguments
 * @shown: the terminal shows a progress line
 * @last: the last event, or NULL
 */
struct migrate_command {
	struct remote_options remote;
	const char *address;
	const char *report;
	struct json_object *arguments;
	struct json_object *last;
	bool shown;
};

static void take_word(void *to, const char *option, const char *value)
{
	struct migrate_command *command = to;

	if (!command->remote.name)
		remote_take_name(&command->remote, option, value);
	else if (!command->address)
		command->address = value;
	else
		fail(EXIT_CODE_USAGE, "migrate: one VM, one address, and then \"%s\"?", value);
}

static void take_on_stall(void *to, const char *option, const char *value)
{
	struct migrate_command *command = to;

	if (strcmp(value, "throttle") && strcmp(value, "postcopy") && strcmp(value, "fail"))
		fail(EXIT_CODE_USAGE, "%s: \"%s\" is none of throttle, postcopy and fail", option,
		     value);
	json_object_object_add(command->arguments, "on_stall", json_object_new_string(value));
}

/* Add a member to the request. */
#define ARGUMENT(option, value, words, what, ...)	\
	OPTION(option, value, words, what, struct migrate_command, arguments, ##__VA_ARGS__)

static const struct option_spec specs[] = {
	{ .name = "NAME", .take = take_word },
	{ .name = "ADDRESS", .take = take_word,
	  .help = "tcp:HOST:PORT, unix:PATH, exec:COMMAND (its input and output are the wire), "
		  "or fd:N, a connected socket that this command was given." },
	OPTIONS_OF("When to stop the guest"),
	ARGUMENT("--downtime-limit", "MS",
		 "Stop it when the rest takes at most this long (default 300).", NUMBER,
		 .member = "downtime_ms", .min = 1, .max = 3600000),
	ARGUMENT("--bandwidth", "SIZE", "Send at most so many bytes a second, with K, M or G.",
		 SIZE, .member = "bandwidth"),
	ARGUMENT("--max-rounds", "N",
		 "Stop it after so many rounds, however long the rest takes (default 30).", NUMBER,
		 .member = "max_rounds", .min = 1, .max = 100000),
	OPTION_TAKEN("--on-stall", "throttle|postcopy|fail",
		     "What to do if the guest writes as fast as the link carries. throttle "
		     "(default): slow it down step by step. postcopy: let it run at the target "
		     "while its pages follow. fail: give up.", take_on_stall),
	ARGUMENT("--postcopy", NULL, "One round, then post-copy, whether it stalls or not.", FLAG,
		 .member = "postcopy"),
	OPTIONS_OF("What to send"),
	ARGUMENT("--zero", "on|off", "Send a page that is all zero as a short note (default on).",
		 SWITCH, .member = "zero"),
	ARGUMENT("--delta", "on|off",
		 "Send only the changes of a page that was sent before (default on).", SWITCH,
		 .member = "delta"),
	ARGUMENT("--delta-cache", "SIZE", "The memory for copies of such pages (default 64M).",
		 SIZE, .member = "delta_cache"),
	ARGUMENT("--compress", "LEVEL", "Compress by zstd, 1 to 19; 0 (default): do not compress.",
		 NUMBER, .member = "compress", .max = 19),
	OPTIONS_OF("What to print"),
	OPTION("--report", "FILE", "Draw the rounds, as SVG.", TEXT, struct migrate_command,
	       report),
	OPTION("--json", NULL, "Print progress as lines of JSON, and the report at the end.", FLAG,
	       struct migrate_command, remote.json),
	{ .name = NULL }
};

/* The line leaves out what is not known yet. */
static void put_if_known(struct json_object *event, const char *member, double unit,
			 const char *format)
{
	if (json_object_object_get_ex(event, member, NULL))
		fprintf(stderr, format, report_number(event, member) / unit);
}

static void put_progress(struct json_object *event)
{
	tell_to(stderr, "%s, round %lld: sent %.1f MiB, left %.1f MiB", report_text(event, "phase"),
		(long long)report_number(event, "round"), report_number(event, "sent_bytes") / MIB,
		report_number(event, "left_bytes") / MIB);
	put_if_known(event, "dirty_rate", MIB, ", written %.1f MiB/s");
	put_if_known(event, "link_rate", MIB, ", link %.1f MiB/s");
	put_if_known(event, "expected_downtime_ns", 1e6, ", downtime %.0f ms");
	fputs(report_number(event, "throttle_percent") ? ", guest slowed" : "", stderr);
}

static void show(struct json_object *event, void *argument)
{
	struct migrate_command *command = argument;

	if (strcmp(report_text(event, "event"), "migrate-progress"))
		return;
	json_object_put(command->last);
	command->last = json_object_get(event);
	if (command->remote.json) {
		tell("%s\n", json_object_to_json_string_ext(event, JSON_C_TO_STRING_PLAIN |
							      JSON_C_TO_STRING_NOSLASHESCAPE));
		fflush(stdout);
		return;
	}
	/* The migration waits for the user. */
	if (report_text(event, "because")[0]) {
		if (command->shown)
			fputs("\r\033[K", stderr);
		command->shown = false;
		say("%s: %s", command->remote.name, report_text(event, "because"));
		return;
	}
	/* Only a terminal can overwrite a line. */
	if (!isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r%s: ", command->remote.name);
	put_progress(event);
	fputs("\033[K", stderr);
	fflush(stderr);
	command->shown = true;
}

/* True if there was a report. */
static bool tell_end(const struct migrate_command *command, struct json_object *answer)
{
	struct json_object *report = member_object(answer, "report");
	struct error error;

	if (!report)
		return false;
	if (command->remote.json)
		tell("%s\n", json_object_to_json_string_ext(report, JSON_C_TO_STRING_PLAIN |
							      JSON_C_TO_STRING_NOSLASHESCAPE));
	else
		report_print(report, stdout);
	if (command->report && !chart_write(report, command->report, &error))
		say("no chart: %s", error.words);
	/* An error's words follow, perhaps to the same place. */
	fflush(stdout);
	return true;
}

/* The VM's process was killed, or does not answer: there is no report. */
static void give_up(const struct migrate_command *command, const char *words)
{
	if (command->last) {
		fprintf(stderr, "gondola: %s, when last heard of: ", command->remote.name);
		put_progress(command->last);
		fputc('\n', stderr);
	}
	fail(EXIT_CODE_ERROR, "%s: the VM's process: %s; where the VM is now \"gondola list\" says, here and at the target",
	     command->remote.name, words);
}

static char interrupted[256];

static void on_interrupt(int signal)
{
	ssize_t unused = write(STDERR_FILENO, interrupted, strlen(interrupted));

	(void)unused;
	_exit(128 + signal);
}

/* The VM's process migrates, not this one. */
static void say_if_interrupted(const char *name)
{
	snprintf(interrupted, sizeof(interrupted),
		 "\ngondola: %s is still on its way; to let it stay: gondola migrate-cancel %s\n",
		 name, name);
	signals_handle(SIGINT, on_interrupt);
	signals_handle(SIGTERM, on_interrupt);
}

/* The VM's process is confined and can do neither: pass it the connection. */
static void connect_to(const struct migrate_command *command, const struct registry_vm *vm,
		       struct transport *transport)
{
	struct error error;

	if (!transport_connect(transport, command->address, remote_fd(command->address),
			       CONNECT_MS, &error))
		fail(error.status, "%s: not migrated; the VM runs on here: %s", vm->name,
		     error.words);
}

static struct json_object *hand_over(struct migrate_command *command, struct control_link *link,
				     struct transport *transport)
{
	int ret = control_send(link, "migrate", command->arguments, transport->fd);

	/* The VM's process decides when it ends. */
	close(transport->fd);
	transport->fd = -1;
	return ret ? NULL : control_answer(link, -1, show, command);
}

static int ask(struct migrate_command *command, const struct registry_vm *vm)
{
	char how[64] = "";
	struct transport transport;
	struct json_object *answer;
	struct control_link link;
	bool told;

	remote_connect(vm, &link);
	connect_to(command, vm, &transport);
	answer = control_ask(&link, "subscribe", NULL, -1, REMOTE_TIMEOUT_MS, NULL, NULL);
	if (!answer)
		fail(EXIT_CODE_ERROR, "%s cannot be asked: %s", vm->name, link.error.words);
	json_object_put(answer);
	say_if_interrupted(vm->name);
	answer = hand_over(command, &link, &transport);
	if (command->shown)
		fputs("\r\033[K", stderr);
	if (!answer && !link.failure)
		give_up(command, link.error.words);
	if (!answer)
		transport_command_ended(&transport, how);
	transport_close(&transport);
	told = tell_end(command, answer ?: link.failure);
	if (!answer && told)
		fail(EXIT_CODE_ERROR, "%s: %s%s%s", vm->name, link.error.words,
		     how[0] ? "; " : "", how);
	if (!answer)
		fail(link.error.status, "%s", link.error.words);
	json_object_put(answer);
	json_object_put(command->last);
	control_disconnect(&link);
	return EXIT_CODE_OK;
}

static int run_migrate(int argc, char **argv)
{
	struct migrate_command command = { .arguments = json_object_new_object() };
	struct error error;
	struct registry_vm vm;
	int code;

	remote_find(&command_migrate, argc, argv, &command.remote, &vm);
	if (!command.address)
		fail(EXIT_CODE_USAGE, "migrate: where to? (see gondola help migrate)");
	if (!transport_check(command.address, &error))
		fail(error.status, "migrate: %s", error.words);
	json_object_object_add(command.arguments, "address",
			       json_object_new_string(command.address));
	code = ask(&command, &vm);
	registry_put(&vm);
	return code;
}

const struct command command_migrate = {
	.name = "migrate",
	.summary = "move a running VM to another host",
	.usage = "NAME ADDRESS [OPTION]...",
	.about =
"Memory is copied in rounds while the guest runs; each round sends what was written during "
"the one before. Then the guest stops, the rest is sent, and it goes on at the target, "
"where \"gondola receive\" waits. The VM stays here until the target has said that it owns "
"the VM; if anything fails before that, the VM runs on here.",
	.options = specs,
	.notes =
"The report of rounds comes at the end, also when the VM did not move: how far it got, and "
"why it stopped there. If this command is interrupted, the migration goes on: \"gondola "
"events NAME\" shows it, \"gondola migrate-cancel NAME\" cancels it.\n"
"The wire is not encrypted. Between hosts use a tunnel, at both ends:\n"
"  gondola receive vm1 unix:/run/in.sock\n"
"  gondola migrate vm1 \"exec:ssh target socat - unix:/run/in.sock\"",
	.status =
"0 the VM runs there, 2 wrong usage, 14 it did not move, or it is not known whether (the message "
"says which), 20 it neither runs nor is paused",
	.run = run_migrate,
};
