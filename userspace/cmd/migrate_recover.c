// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "migrate/transport.h"
#include "base/member.h"
#include "remote.h"
#include "base/fail.h"

struct recover_options {
	struct remote_options remote;
	const char *address;
	bool take_back;
};

static void take_word(void *to, const char *option, const char *value)
{
	struct recover_options *options = to;

	if (!options->remote.name)
		remote_take_name(&options->remote, option, value);
	else if (!options->address)
		options->address = value;
	else
		fail(EXIT_CODE_USAGE, "migrate-recover: one VM, one address, and then \"%s\"?", value);
}

static const struct option_spec specs[] = {
	{ .name = "NAME", .take = take_word },
	{ .name = "ADDRESS", .take = take_word },
	OPTION("--take-back", NULL,
	       "Give this at the source, once you have seen that the target has no process of "
	       "the VM. The VM, which stands still here until then, runs on here. If it were running "
	       "there too, both would spoil its disks. A VM that is \"receiving\" or "
	       "\"committing\" at the target may yet run there: wait, or kill it there.", FLAG,
	       struct recover_options, take_back),
	OPTION("--json", NULL, "Print the answer as JSON.", FLAG, struct recover_options,
	       remote.json),
	{ .name = NULL }
};

/**
 * struct wire - a connection for the VM's process
 * @fd: the socket; -1: none
 */
struct wire {
	int fd;
	struct transport transport;
	struct transport_listener listener;
};

/* The VM's process tells which end it is, or that no link was lost. */
static void make_wire(struct wire *wire, const char *address, struct control_link *link)
{
	struct json_object *status = control_ask(link, "status", NULL, -1, REMOTE_TIMEOUT_MS, NULL,
						 NULL);
	const char *end = member_string(status, "recover", "");
	struct error error;
	bool made = true;

	if (!strcmp(end, "connect")) {
		made = transport_connect(&wire->transport, address, remote_fd(address),
					 REMOTE_TIMEOUT_MS, &error);
		wire->fd = wire->transport.fd;
	} else if (!strcmp(end, "listen")) {
		made = transport_listen(&wire->listener, address, remote_fd(address), &error);
		wire->fd = wire->listener.fd >= 0 ? wire->listener.fd : wire->listener.ready.fd;
	}
	if (!made)
		fail(error.status, "migrate-recover: %s", error.words);
	json_object_put(status);
}

static struct json_object *ask(const struct recover_options *options, struct control_link *link)
{
	struct json_object *arguments = json_object_new_object(), *answer;
	struct wire wire = { .fd = -1, .listener.fd = -1 };

	if (options->take_back)
		json_object_object_add(arguments, "take_back", json_object_new_boolean(true));
	else
		make_wire(&wire, options->address, link);
	answer = control_ask(link, "migrate-recover", arguments, wire.fd, REMOTE_TIMEOUT_MS, NULL,
			     NULL);
	/* Then nobody waits there. */
	if (!answer && wire.listener.fd >= 0)
		transport_unlisten(&wire.listener);
	return answer;
}

static int run_recover(int argc, char **argv)
{
	struct recover_options options = { .take_back = false };
	struct error error;
	struct json_object *answer;
	struct control_link link;
	struct registry_vm vm;

	remote_find(&command_migrate_recover, argc, argv, &options.remote, &vm);
	if (!options.address != options.take_back)
		fail(EXIT_CODE_USAGE, "migrate-recover: an address, or --take-back (see gondola help migrate-recover)");
	if (options.address && !transport_check(options.address, &error))
		fail(error.status, "migrate-recover: %s", error.words);
	remote_connect(&vm, &link);
	answer = ask(&options, &link);
	if (!answer)
		fail(link.error.status, "%s", link.error.words);
	if (options.remote.json)
		remote_print(answer);
	json_object_put(answer);
	control_disconnect(&link);
	registry_put(&vm);
	return EXIT_CODE_OK;
}

const struct command command_migrate_recover = {
	.name = "migrate-recover",
	.summary = "continue a migration whose link was lost",
	.usage = "NAME ADDRESS [--json]\n"
		 "NAME --take-back [--json]",
	.about =
"If the link is lost while the VM changes hands, or after that, neither end is sure of the "
"other. Look at the target (gondola status NAME). If the VM is there, running or paused, "
"give this command at the target, with an address to listen at, then at the source, with "
"the address to connect to: the source sends what the target lacks, if anything, and ends. "
"In post-copy the VM stands still at the target until then.",
	.options = specs,
	.examples =
"target$ gondola migrate-recover vm1 tcp::4712\n"
"source$ gondola migrate-recover vm1 tcp:target:4712",
	.status =
"0 done, or begun, 2 wrong usage, 14 error, 20 there is nothing to recover",
	.run = run_recover,
};
