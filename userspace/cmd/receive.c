// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "incoming.h"
#include "launch.h"
#include "migrate/target.h"
#include "remote.h"
#include "base/fail.h"

/**
 * struct receive_options - the options of "receive"
 * @words: arguments that are no options: [NAME] ADDRESS
 */
struct receive_options {
	const char *words[2];
	unsigned int nr_words;
	bool detach;
	const char *json;
	const char *control;
};

static void take_word(void *to, const char *option, const char *value)
{
	struct receive_options *options = to;

	(void)option;
	if (options->nr_words == 2)
		fail(EXIT_CODE_USAGE, "receive: one name and one address, and then \"%s\"?", value);
	options->words[options->nr_words++] = value;
}

static void take_json(void *to, const char *option, const char *value)
{
	(void)option;
	((struct receive_options *)to)->json = incoming_path(value);
}

static void take_control(void *to, const char *option, const char *value)
{
	(void)option;
	((struct receive_options *)to)->control = incoming_path(value);
}

static const struct option_spec specs[] = {
	{ .name = "NAME", .take = take_word,
	  .help = "The name of the VM here (default: its name at the source, if that is new here)." },
	{ .name = "ADDRESS", .take = take_word,
	  .help = "tcp:HOST:PORT (tcp::PORT: any address of this host), unix:PATH, exec:COMMAND, "
		  "or fd:N, a connected socket that this command was given." },
	OPTION("--detach", NULL,
	       "Wait in the background: return once the command waits for the connection.", FLAG,
	       struct receive_options, detach),
	INCOMING_OPTIONS,
	OPTION_TAKEN("--json", "FILE", "As in \"gondola run\".", take_json),
	OPTION_TAKEN("--control", "PATH", "As in \"gondola run\".", take_control),
	{ .name = NULL }
};

__attribute__((noreturn))
static void refuse(struct target *target, enum exit_code code, const char *words)
{
	target_refuse(target, words);
	fail(code, "no VM was received: %s", words);
}

/* The VM's configuration here, or NULL if it is new. */
static struct json_object *find_own(const char *name)
{
	struct json_object *config;
	struct registry_vm vm;
	struct error error;

	if (!registry_name_is_good(name))
		fail(EXIT_CODE_USAGE, "receive: \"%s\" is not the name of a VM", name);
	if (registry_find(name, &vm))
		return NULL;
	/* A VM that moved away may come back. */
	if (vm.state != VM_STATE_INACTIVE && vm.state != VM_STATE_AWAY)
		fail(EXIT_CODE_STATE, "%s exists and is %s; a VM can be received as a new or inactive one",
		     name, vm_state_name(vm.state));
	if (incoming_names_devices())
		fail(EXIT_CODE_USAGE, "receive: %s exists, and its configuration says what its devices are; %s is for one that is new",
		     name, incoming_names_devices());
	config = registry_load_config(name, &error);
	if (!config)
		fail(error.status, "%s", error.words);
	return config;
}

/* A source that chooses the name must not choose one that is known here. */
static const char *their_name(struct target *target)
{
	const char *name = member_string(target->config.json, "name", "");
	struct registry_vm vm;
	char words[128];

	if (!registry_name_is_good(name))
		refuse(target, EXIT_CODE_IMAGE, "the configuration's \"name\" is none");
	if (!registry_find(name, &vm)) {
		snprintf(words, sizeof(words), "%s is known here already: gondola receive %s ADDRESS",
			 name, name);
		refuse(target, EXIT_CODE_STATE, words);
	}
	return name;
}

static int run_receive(int argc, char **argv)
{
	static struct target target;
	static struct run_options run;
	struct receive_options options = { .nr_words = 0 };
	struct launch launch = { .options = &run, .begin = target_begin, .argument = &target };
	struct json_object *own = NULL;
	struct error error;
	const char *name;

	parse_options(&command_receive, argc, argv, &options);
	if (!options.nr_words)
		fail(EXIT_CODE_USAGE, "receive: at which address? (see gondola help receive)");
	incoming_check(options.json);
	remote_registry();
	name = options.nr_words == 2 ? options.words[0] : NULL;
	if (name)
		own = find_own(name);
	if (options.detach && !name)
		fail(EXIT_CODE_USAGE, "receive: --detach needs a NAME");
	launch.detached = options.detach;
	if (options.detach)
		launch_detach(name);
	if (name) {
		launch_lock(name);
		launch_check_state(&command_receive, name);
	}
	if (!target_listen(&target, options.words[options.nr_words - 1], &error))
		fail(error.status, "%s", error.words);
	launch_waits(true);
	launch_ready();
	if (!target_accept(&target, &error))
		fail(error.status, "%s", error.words);
	launch_waits(false);
	if (!name) {
		name = their_name(&target);
		launch_lock(name);
	}
	if (!incoming_make(&run, &command_receive, target.config.json, own, false, name, NULL, &error))
		refuse(&target, error.status, error.words);
	if (!own || options.json)
		run.json = options.json;
	if (!own || options.control)
		run.control = options.control;
	launch.config = launch_config_of(&run);
	launch.incoming = &target.config;
	launch.child = target.link.transport.child;
	if (!launch_check_cpu(run.engine, &target.config, &error) ||
	    !cgroup_check(&run.limits, run.memory, &error)) {
		target_refuse(&target, error.words);
		fail(error.status, "no VM was received: %s", error.words);
	}
	if (!target_reserve(&target, run.memory, &error))
		fail(error.status, "%s", error.words);
	return launch_run(&launch);
}

const struct command command_receive = {
	.name = "receive",
	.summary = "receive a VM from another host, and run it",
	.usage = "[NAME] ADDRESS [OPTION]...",
	.about =
"The command waits for one connection of \"gondola migrate\", makes a machine like the "
"source's, and runs the VM from the moment it changes hands until it ends. A failure before "
"that moment ends this process alone: the VM goes on at the source.\n"
"The source says what disks, network cards and ports the guest has, but not which files, "
"taps and sockets of this host they use: the configuration of NAME says that, if \"gondola "
"create\" has made one, else the options below. A VM is refused if its memory, processors "
"or devices differ from the configuration's.\n"
"A disk is not copied: it must be the same disk, on storage that both hosts reach. The wire "
"is not encrypted: between hosts use a tunnel (see gondola help migrate).",
	.options = specs,
	.examples =
"gondola receive tcp::4711\n"
"gondola receive vm1 unix:/run/vm1.sock --detach\n"
"gondola receive vm1 tcp::4711 --disk /dev/mapper/vm1 --net tap=tap3",
	.status =
"as run; 6: this host cannot run the guest, or its devices differ; 14: the VM was not "
"received; 20: a VM of that name exists already",
	.run = run_receive,
};
