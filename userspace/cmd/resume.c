// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "launch.h"
#include "migrate/suspend.h"
#include "remote.h"
#include "vm/fail.h"

struct resume_options {
	struct remote_options remote;
	bool detach;
	const char *file;
};

static void take_detach(void *to, const char *option, const char *value)
{
	struct resume_options *options = to;

	(void)option;
	(void)value;
	options->detach = true;
}

static void take_file(void *to, const char *option, const char *value)
{
	struct resume_options *options = to;

	(void)option;
	options->file = value;
}

/* A file may be resumed where nothing is known of the VM, or where it is inactive. */
static void check_name(const struct resume_options *options)
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
	registry_put(&vm);
}

static int run_resume(int argc, char **argv)
{
	static const struct option_spec specs[] = {
		REMOTE_OPTIONS, { "--detach", take_detach, true }, { "--file", take_file, false },
		{ NULL, NULL, false }
	};
	static struct run_options run;
	static struct resume resume = { .reader = { .fd = -1 } };
	struct resume_options options = { { NULL }, false, NULL };
	struct launch launch = { .options = &run, .begin = resume_begin, .argument = &resume };

	parse_options(&command_resume, argc, argv, specs, &options);
	if (!options.remote.name)
		fail(EXIT_CODE_USAGE, "resume: which VM? (see gondola help resume)");
	if (registry_init())
		fail(EXIT_CODE_ERROR, "%s", registry_error());
	check_name(&options);
	launch.detached = options.detach;
	if (options.detach)
		launch_detach(options.remote.name);
	launch_lock(options.remote.name);
	resume.remove = !options.file;
	resume_open(&resume, options.file ? options.file :
		    registry_path(REGISTRY_SAVED, options.remote.name));
	launch.config = resume.config.json;
	launch.incoming = &resume.config;
	launch_from_config(&run, &command_resume, launch.config);
	run.name = options.remote.name;
	return launch_run(&launch);
}

const struct command command_resume = {
	.name = "resume",
	.summary = "let a suspended VM go on",
	.help =
"gondola resume - let a suspended VM go on\n"
"\n"
"USAGE\n"
"  gondola resume NAME [--detach] [--file FILE]\n"
"\n"
"The guest goes on where it was: its clocks count from there, its disks and network\n"
"are the same files and interfaces. The saved state is removed once it runs.\n"
"\n"
"  --detach      come back as soon as it runs (see gondola help start)\n"
"  --file FILE   resume what \"gondola suspend --file\" wrote. It is kept; the disks must\n"
"                be as they were when it was written\n"
"\n"
"Refused is a file that is damaged, cut or of a newer format, with the record at fault,\n"
"and a host whose processor lacks what the guest uses, by name, or whose TSC has another\n"
"frequency.\n"
"\n"
"EXAMPLES\n"
"  gondola resume vm1 --detach\n"
"  gondola resume copy --file /backup/vm1.vm\n"
"\n"
"EXIT STATUS\n"
"  as run; 6: the file or the host cannot be used; 20: it is not suspended\n",
	.run = run_resume,
};
