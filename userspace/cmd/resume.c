// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "incoming.h"
#include "launch.h"
#include "migrate/suspend.h"
#include "remote.h"
#include "base/fail.h"

struct resume_options {
	struct remote_options remote;
	bool detach;
	const char *file;
};

/* A file can be resumed if the VM is unknown here, or inactive. */
static void check_name(const struct resume_options *options, bool *known)
{
	const char *name = options->remote.name;
	struct registry_vm vm;
	bool exists = !registry_find(name, &vm);

	if (!exists && !options->file)
		fail(EXIT_CODE_STATE, "there is no VM %s (see gondola list)", name);
	if (exists && !options->file)
		remote_check("resume", &vm);
	if (exists && options->file && vm.state == VM_STATE_AWAY)
		remote_check("resume", &vm);
	if (exists && options->file && vm.state != VM_STATE_INACTIVE)
		fail(EXIT_CODE_STATE, "%s is %s; a file can be resumed as an inactive VM", name,
		     vm_state_name(vm.state));
	*known = exists;
	registry_put(&vm);
	if (incoming_names_devices() && (exists || !options->file))
		fail(EXIT_CODE_USAGE, "resume: what the devices of %s are is known here; %s is for a file of a VM that is not",
		     name, incoming_names_devices());
}

/* Files of the registry are trusted.  A file that a user names may come from anywhere. */
static void make_machine(struct run_options *run, const struct resume_options *options,
			 struct resume *resume, bool known)
{
	const char *name = options->remote.name;
	struct json_object *own = NULL;
	struct error error;

	if (known && options->file) {
		own = registry_load_config(name, &error);
		if (!own)
			fail(error.status, "%s", error.words);
	}
	if (!incoming_make(run, &command_resume, resume->config.json, own, !options->file, name,
			   &error))
		fail(error.status, "%s cannot be resumed: %s", resume->path, error.words);
}

static const struct option_spec specs[] = {
	REMOTE_OPTIONS,
	OPTION("--detach", NULL, "Return as soon as the guest runs (see gondola help start).", FLAG,
	       struct resume_options, detach),
	OPTION("--file", "FILE",
	       "Read what \"gondola suspend --file\" wrote. The file is kept; the disks must be "
	       "as they were when it was written.", TEXT, struct resume_options, file),
	INCOMING_OPTIONS,
	{ .name = NULL }
};

static int run_resume(int argc, char **argv)
{
	static struct run_options run;
	static struct resume resume = { .reader = { .fd = -1 } };
	struct resume_options options = { { NULL }, false, NULL };
	struct launch launch = { .options = &run, .begin = resume_begin, .argument = &resume };
	struct error error;
	bool known;

	parse_options(&command_resume, argc, argv, &options);
	if (!options.remote.name)
		fail(EXIT_CODE_USAGE, "resume: which VM? (see gondola help resume)");
	remote_registry();
	check_name(&options, &known);
	launch.detached = options.detach;
	if (options.detach)
		launch_detach(options.remote.name);
	launch_lock(options.remote.name);
	if (!options.file)
		launch_check_state(&command_resume, options.remote.name);
	resume.remove = !options.file;
	if (!resume_open(&resume, options.file ? options.file :
			 registry_path(REGISTRY_SAVED, options.remote.name), &error))
		fail(error.status, "%s", error.words);
	launch.incoming = &resume.config;
	make_machine(&run, &options, &resume, known);
	launch.config = launch_config_of(&run);
	return launch_run(&launch);
}

const struct command command_resume = {
	.name = "resume",
	.summary = "continue a suspended VM",
	.usage = "NAME [--detach] [--engine NAME] [--file FILE [OPTION]...]",
	.about =
"The guest goes on where it was: its clocks count from there, and its disks and networks "
"are the same files and interfaces. The saved state is removed once the guest runs.\n"
"A FILE may come from elsewhere. It says what devices the guest has, but not which files, "
"taps and sockets of this host they use: the configuration of NAME says that, if there is "
"one, else the options below. A file is refused if its memory, processors or devices differ "
"from the configuration's.\n"
"A file is also refused if it is damaged, cut short or of a newer format, and the message "
"names the record at fault. An engine is refused if it lacks features that the guest has seen, "
"which the message names (see --cpu in \"gondola help run\"), or if it cannot keep the frequency of the guest's TSC.",
	.options = specs,
	.examples =
"gondola resume vm1 --detach\n"
"gondola resume vm1 --engine ring3\n"
"gondola resume vm1 --file /backup/vm1.vm\n"
"gondola resume copy --file /backup/vm1.vm --disk /backup/vm1.img --net user",
	.status =
"as run; 6: the file is not usable, or not on this host; 20: the VM is not suspended",
	.run = run_resume,
};
