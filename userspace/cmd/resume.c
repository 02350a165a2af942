// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "incoming.h"
#include "launch.h"
#include "migrate/template.h"
#include "migrate/suspend.h"
#include "remote.h"
#include "replica.h"
#include "base/fail.h"
#include "base/tell.h"
#include "base/wait.h"

#define CLONES_MAX	256u

struct resume_options {
	struct remote_options remote;
	bool detach;
	const char *file;
	uint64_t clones;
};

/* The state from which this process's VM goes on. */
static struct resume resume = { .reader = { .fd = -1 } };

static void take_clones(void *to, const char *option, const char *value)
{
	struct resume_options *options = to;
	char *end;

	options->clones = *value >= '0' && *value <= '9' ? strtoul(value, &end, 10) : 0;
	if (!options->clones || *end || options->clones > CLONES_MAX)
		fail(EXIT_CODE_USAGE, "%s: \"%s\" is not a number from 1 to %u", option, value,
		     CLONES_MAX);
}

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
static void make_machine(struct run_options *run, const struct resume_options *options, bool known)
{
	const char *name = options->remote.name;
	struct json_object *own = NULL;
	struct error error;

	if (known && options->file) {
		own = registry_load_config(name, &error);
		if (!own)
			fail(error.status, "%s", error.words);
	}
	if (!incoming_make(run, &command_resume, resume.config.json, own, !options->file, name,
			   resume.path, &error))
		fail(error.status, "%s cannot be resumed: %s", resume.path, error.words);
}

static const struct option_spec specs[] = {
	REMOTE_OPTIONS,
	OPTION("--detach", NULL, "Return as soon as the guest runs (see gondola help start).", FLAG,
	       struct resume_options, detach),
	OPTION("--file", "FILE",
	       "Read what \"gondola suspend --file\" wrote. The file is kept; the disks must be "
	       "as they were when it was written.", TEXT, struct resume_options, file),
	OPTION_TAKEN("--clones", "N",
		     "Start N VMs like it, NAME-1 to NAME-N; NAME stays suspended (see below).", take_clones),
	INCOMING_OPTIONS,
	{ .name = NULL }
};

/* ---- clones --------------------------------------------------------------------------------- */

static void check_clones(const struct resume_options *options, const struct run_options *run)
{
	if (virtio_shares_memory(run->virtio, run->nr_virtio))
		fail(EXIT_CODE_USAGE, "--clones: %s has a disk of another program, with which its memory is shared, so clones cannot share it",
		     options->remote.name);
	for (unsigned int i = 0; i < run->nr_virtio; i++)
		if (run->virtio[i].kind == VIRTIO_NET && strncmp(run->virtio[i].value, "user", 4))
			fail(EXIT_CODE_USAGE, "--clones: %s has a network card of %s, which one VM at a time can use",
			     options->remote.name, run->virtio[i].value);
}

/* Names are taken before anything is made. */
static struct replica *claim_clones(const struct resume_options *options)
{
	struct replica *all = calloc(options->clones, sizeof(*all));

	for (unsigned int i = 0; i < options->clones; i++) {
		char *name;

		if (!all || asprintf(&name, "%s-%u", options->remote.name, i + 1) < 0)
			fail(EXIT_CODE_ERROR, "out of memory");
		if (!registry_name_is_good(name))
			fail(EXIT_CODE_USAGE, "--clones: \"%s\" is too long for a name", name);
		all[i].name = name;
	}
	replica_claim(options->remote.name, all, options->clones);
	return all;
}

/* In a process of its own. */
static int run_clone_of(struct replica *one, struct template *template)
{
	struct launch launch = {
		.options = &one->run, .begin = template_begin, .argument = template, .image = template->fd,
		.incoming = &resume.config, .config = launch_config_of(&one->run), .detached = true,
	};

	launch_lock(one->name);
	launch_check_state(&command_start, one->name);
	return launch_run(&launch);
}

static int resume_clones(const struct resume_options *options, const struct run_options *run)
{
	struct template template = { .resume = &resume, .fd = -1 };
	struct replica *all;
	struct error error;
	uint64_t began;

	check_clones(options, run);
	all = claim_clones(options);
	for (unsigned int i = 0; i < options->clones; i++)
		replica_make(&all[i], run);
	if (!template_read(&template, run->memory, &error))
		fail(error.status, "%s", error.words);
	for (unsigned int i = 0; i < options->clones; i++)
		replica_save(&all[i]);
	replica_done();
	for (unsigned int i = 0; i < options->clones; i++) {
		int status;

		began = wait_now_ns();
		status = launch_spawn(all[i].name);
		if (status < 0)
			return run_clone_of(&all[i], &template);
		if (status) {
			for (unsigned int rest = i; rest < options->clones; rest++)
				replica_remove(&all[rest]);
			fail(status, "%s was not started, and none after it", all[i].name);
		}
		tell("%s runs (%.2f s)\n", all[i].name, (double)(wait_now_ns() - began) / 1e9);
	}
	return EXIT_CODE_OK;
}

static int go_on(const struct resume_options *options)
{
	static struct run_options run;
	struct launch launch = { .options = &run, .begin = resume_begin, .argument = &resume };
	struct error error;
	bool known;

	remote_registry();
	check_name(options, &known);
	launch.detached = options->detach && !options->clones;
	if (launch.detached)
		launch_detach(options->remote.name);
	launch_lock(options->remote.name);
	if (!options->file)
		launch_check_state(&command_resume, options->remote.name);
	resume.remove = !options->file && !options->clones;
	if (!resume_open(&resume, options->file ? options->file :
			 registry_path(REGISTRY_SAVED, options->remote.name), &error))
		fail(error.status, "%s", error.words);
	launch.incoming = &resume.config;
	resume.renew = !resume.remove || member_flag(resume.config.json, "copied", false);
	make_machine(&run, options, known);
	if (options->clones)
		return resume_clones(options, &run);
	launch.config = launch_config_of(&run);
	return launch_run(&launch);
}

int incoming_resume(const char *name, bool detach)
{
	const struct resume_options options = { .remote.name = name, .detach = detach };

	return go_on(&options);
}

static int run_resume(int argc, char **argv)
{
	struct resume_options options = { .file = NULL };

	parse_options(&command_resume, argc, argv, &options);
	if (!options.remote.name)
		fail(EXIT_CODE_USAGE, "resume: which VM? (see gondola help resume)");
	if (options.clones && options.file)
		fail(EXIT_CODE_USAGE, "resume: --clones is for a VM that is suspended here, not for a file");
	return go_on(&options);
}

const struct command command_resume = {
	.name = "resume",
	.summary = "continue a suspended VM",
	.usage = "NAME [--detach] [--engine NAME] [--clones N] [--file FILE ...]",
	.about =
"The guest goes on where it was: its clocks count from there, and its disks and networks "
"are the same files and interfaces. The saved state is removed once the guest runs.\n"
"A FILE may come from elsewhere. It says what devices the guest has, but not which files, "
"taps and sockets of this host they use: the configuration of NAME says that, if there is "
"one, else the options below. A file is refused if its memory, processors or devices differ "
"from the configuration's.\n"
"A guest that goes on from a FILE, from a clone's state or by --clones is told that it is a copy (VM generation "
"ID), so that it takes fresh random numbers.\n"
"With --clones each VM has a configuration and disks of its own, as by \"gondola clone\", and they share the "
"memory of NAME until they write it: it is written once, not compressed, to a file without a name beside the "
"saved state. A guest keeps the addresses of its network cards until it boots; cards of taps are refused. If "
"one cannot be started, nothing is left of it and of those after it.\n"
"A file is also refused if it is damaged, cut short or of a newer format, and the message "
"names the record at fault. An engine is refused if it lacks features that the guest has seen, "
"which the message names (see --cpu in \"gondola help run\"), or if it cannot keep the frequency of the guest's TSC.",
	.options = specs,
	.examples =
"gondola resume vm1 --detach\n"
"gondola resume vm1 --engine ring3\n"
"gondola resume template --clones 10\n"
"gondola resume vm1 --file /backup/vm1.vm\n"
"gondola resume copy --file /backup/vm1.vm --disk /backup/vm1.img --net user",
	.status =
"as run; 6: the file is not usable, or not on this host; 20: the VM is not suspended",
	.run = run_resume,
};
