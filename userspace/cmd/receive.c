// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "launch.h"
#include "migrate/target.h"
#include "remote.h"
#include "vm/fail.h"

/**
 * struct receive_options - see the help
 * @words: the arguments that are no options: [NAME] ADDRESS
 */
struct receive_options {
	const char *words[2];
	unsigned int nr_words;
	bool detach;
	const char *console;
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

static void take_detach(void *to, const char *option, const char *value)
{
	(void)option;
	(void)value;
	((struct receive_options *)to)->detach = true;
}

static void take_console(void *to, const char *option, const char *value)
{
	(void)option;
	((struct receive_options *)to)->console = value;
}

static void take_json(void *to, const char *option, const char *value)
{
	(void)option;
	((struct receive_options *)to)->json = value;
}

static void take_control(void *to, const char *option, const char *value)
{
	(void)option;
	((struct receive_options *)to)->control = value;
}

static const struct option_spec specs[] = {
	{ "ADDRESS", take_word, false },
	{ "--detach", take_detach, true },
	{ "--console", take_console, false },
	{ "--json", take_json, false },
	{ "--control", take_control, false },
	{ NULL, NULL, false }
};

static void check_name(const char *name)
{
	struct registry_vm vm;

	if (!registry_name_is_good(name))
		fail(EXIT_CODE_USAGE, "receive: \"%s\" is not the name of a VM", name);
	if (!registry_find(name, &vm) && vm.state != VM_STATE_INACTIVE)
		fail(EXIT_CODE_STATE, "%s exists and is %s; a VM can be received as a new or inactive one",
		     name, vm_state_name(vm.state));
}

/* The source's directory may be unknown here: then relative names count from this one. */
static void find_directory(struct json_object *config)
{
	const char *there = remote_string(config, "directory", "");
	char here[4096];

	if (!access(there, X_OK) || !getcwd(here, sizeof(here)))
		return;
	json_object_object_add(config, "directory", json_object_new_string(here));
}

/* What the source's configuration says, but for what is this host's own business. */
static void fill(struct run_options *run, const struct receive_options *options,
		 struct target *target, const char *name)
{
	find_directory(target->config.json);
	launch_from_config(run, &command_receive, target->config.json);
	if (name)
		run->name = name;
	run->control = options->control;
	run->json = options->json;
	if (options->console)
		run->console = options->console;
}

static int run_receive(int argc, char **argv)
{
	static struct target target;
	static struct run_options run;
	struct receive_options options = { .nr_words = 0 };
	struct launch launch = { .options = &run, .begin = target_begin, .argument = &target };
	char words[512];
	const char *name;

	parse_options(&command_receive, argc, argv, specs, &options);
	if (!options.nr_words)
		fail(EXIT_CODE_USAGE, "receive: at which address? (see gondola help receive)");
	if (registry_init())
		fail(EXIT_CODE_ERROR, "%s", registry_error());
	name = options.nr_words == 2 ? options.words[0] : NULL;
	if (name)
		check_name(name);
	if (options.detach && !name)
		fail(EXIT_CODE_USAGE, "receive: --detach needs a NAME");
	launch.detached = options.detach;
	if (options.detach)
		launch_detach(name);
	if (name)
		launch_lock(name);
	target_listen(&target, options.words[options.nr_words - 1]);
	launch_ready();
	target_accept(&target);
	fill(&run, &options, &target, name);
	if (!name) {
		check_name(run.name);
		launch_lock(run.name);
	}
	launch.config = target.config.json;
	launch.incoming = &target.config;
	if (launch_check_cpu(run.engine, &target.config, words, sizeof(words))) {
		target_refuse(&target, words);
		fail(EXIT_CODE_IMAGE, "this host's processor lacks what the guest uses: %s", words);
	}
	target_reserve(&target, run.memory);
	return launch_run(&launch);
}

const struct command command_receive = {
	.name = "receive",
	.summary = "wait for a VM that another host sends",
	.help =
"gondola receive - wait for a VM that another host sends, and run it\n"
"\n"
"USAGE\n"
"  gondola receive [NAME] ADDRESS [OPTION]...\n"
"\n"
"Waits for one connection of \"gondola migrate\", makes the machine that the source\n"
"describes, and runs it from the moment the VM changes hands until it ends. What fails\n"
"before that moment ends this process alone: the VM goes on at the source.\n"
"\n"
"  NAME          under which it is known here (default: as at the source)\n"
"  ADDRESS       tcp:HOST:PORT (tcp::PORT: any address of this host), unix:PATH,\n"
"                exec:COMMAND, or fd:N, a connected socket\n"
"  --detach      in the background, as \"gondola start\"; comes back once it waits\n"
"  --console WHERE, --json FILE, --control PATH\n"
"                as in \"gondola run\"; the rest is as the source has it. Disks must be\n"
"                reachable here by the same names\n"
"\n"
"The source is trusted: it names the disks, files and taps that are opened here. Memory\n"
"and state are checked, names are not: let only hosts reach ADDRESS that may name them.\n"
"The wire is not encrypted: between hosts use a tunnel, see gondola help migrate.\n"
"\n"
"EXAMPLES\n"
"  gondola receive tcp::4711\n"
"  gondola receive vm1 unix:/run/vm1.sock --detach\n"
"\n"
"EXIT STATUS\n"
"  as run; 6: this host cannot run the guest; 14: it was not received; 20: there is\n"
"  such a VM already\n",
	.run = run_receive,
};
