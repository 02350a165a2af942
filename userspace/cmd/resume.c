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

/* A file may be resumed where nothing is known of the VM, or where it is inactive. */
static void check_name(const struct resume_options *options, bool *known)
{
	const char *name = options->remote.name;
	struct registry_vm vm;
	bool exists = !registry_find(name, &vm);

	if (!exists && !options->file)
		fail(EXIT_CODE_STATE, "there is no VM %s (see gondola list)", name);
	if (exists && !options->file)
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

/* The registry made what it keeps. A file that a user names may come from anywhere. */
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

static int run_resume(int argc, char **argv)
{
	static const struct option_spec specs[] = {
		REMOTE_OPTIONS, OPTION("--detach", FLAG, struct resume_options, detach),
		OPTION("--file", TEXT, struct resume_options, file), INCOMING_OPTIONS,
		{ .name = NULL }
	};
	static struct run_options run;
	static struct resume resume = { .reader = { .fd = -1 } };
	struct resume_options options = { { NULL }, false, NULL };
	struct launch launch = { .options = &run, .begin = resume_begin, .argument = &resume };
	bool known;

	parse_options(&command_resume, argc, argv, specs, &options);
	if (!options.remote.name)
		fail(EXIT_CODE_USAGE, "resume: which VM? (see gondola help resume)");
	remote_registry();
	check_name(&options, &known);
	launch.detached = options.detach;
	if (options.detach)
		launch_detach(options.remote.name);
	launch_lock(options.remote.name);
	resume.remove = !options.file;
	resume_open(&resume, options.file ? options.file :
		    registry_path(REGISTRY_SAVED, options.remote.name));
	launch.incoming = &resume.config;
	make_machine(&run, &options, &resume, known);
	launch.config = launch_config_of(&run);
	return launch_run(&launch);
}

const struct command command_resume = {
	.name = "resume",
	.summary = "let a suspended VM go on",
	.help =
"gondola resume - let a suspended VM go on\n"
"\n"
"USAGE\n"
"  gondola resume NAME [--detach] [--file FILE [OPTION]...]\n"
"\n"
"The guest goes on where it was: its clocks count from there, its disks and network\n"
"are the same files and interfaces. The saved state is removed once it runs.\n"
"\n"
"A FILE may come from elsewhere, so it says what the guest has, but not what that is on\n"
"here: that comes from the configuration of NAME, if there is one, else from options. A\n"
"file with other memory, processors or devices than the configuration is refused.\n"
"\n"
"  --detach      come back as soon as it runs (see gondola help start)\n"
"  --file FILE   resume what \"gondola suspend --file\" wrote. It is kept; the disks must\n"
"                be as they were when it was written\n"
INCOMING_HELP
"                (a file of your own). It lets the file choose which files, taps and\n"
"                sockets this command opens\n"
"\n"
"Refused is a file that is damaged, cut or of a newer format, with the record at fault,\n"
"and a host whose processor lacks what the guest uses, by name, or whose TSC has another\n"
"frequency.\n"
"\n"
"EXAMPLES\n"
"  gondola resume vm1 --detach\n"
"  gondola resume vm1 --file /backup/vm1.vm\n"
"  gondola resume copy --file /backup/vm1.vm --disk /backup/vm1.img --net user\n"
"\n"
"EXIT STATUS\n"
"  as run; 6: the file or the host cannot be used; 20: it is not suspended\n",
	.run = run_resume,
};
