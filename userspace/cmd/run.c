// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "launch.h"
#include "base/fail.h"
#include "control/registry.h"

#define DEFAULT_MEMORY		(256ull << 20)
#define DEFAULT_DEBUG_EXIT	0xf4

static void take_module(void *to, const char *option, const char *value)
{
	struct boot *boot = &((struct run_options *)to)->boot;
	char *path = strdup(value), *comma = path ? strchr(path, ',') : NULL;

	if (!path)
		fail(EXIT_CODE_ERROR, "out of memory");
	if (boot->nr_modules == BOOT_MAX_MODULES)
		fail(EXIT_CODE_USAGE, "%s: there may be %d at most", option, BOOT_MAX_MODULES);
	if (comma)
		*comma++ = 0;
	boot->modules[boot->nr_modules++] = (struct boot_module){ path, comma };
}

static void take_memory(void *to, const char *option, const char *value)
{
	struct run_options *options = to;

	options->memory = parse_size(option, value);
	if (options->memory < MEMORY_MIN || options->memory > MEMORY_MAX)
		fail(EXIT_CODE_USAGE, "%s: a guest has %lluM to %lluG of memory, not \"%s\"", option,
		     MEMORY_MIN >> 20, MEMORY_MAX >> 30, value);
	if (options->memory % 4096)
		fail(EXIT_CODE_USAGE, "%s: \"%s\" is not a multiple of 4K", option, value);
}

static void take_name(void *to, const char *option, const char *value)
{
	struct run_options *options = to;

	if (!registry_name_is_good(value))
		fail(EXIT_CODE_USAGE, "%s: \"%s\" is not a name of 1 to %d letters, digits, \".\", \"_\" and \"-\"",
		     option, value, GONDOLA_NAME_LEN - 1);
	options->name = value;
}

static void take_console(void *to, const char *option, const char *value)
{
	struct run_options *options = to;

	if (!*value)
		fail(EXIT_CODE_USAGE, "%s: is \"\" where the console shall go?", option);
	options->console = value;
}

static void take_sandbox(void *to, const char *option, const char *value)
{
	struct run_options *options = to;
	int mode = sandbox_mode_by_name(value);

	if (mode < 0)
		fail(EXIT_CODE_USAGE, "%s: \"%s\" is none of on, off and strict", option, value);
	options->sandbox = mode;
}

static void add_virtio(struct run_options *options, const char *option, enum virtio_kind kind,
		       const char *value)
{
	if (options->nr_virtio == VIRTIO_MAX_DEVICES)
		fail(EXIT_CODE_USAGE, "%s: a guest has %d virtio devices at most", option,
		     VIRTIO_MAX_DEVICES);
	options->virtio[options->nr_virtio++] = (struct virtio_spec){ kind, value };
}

static void take_disk(void *to, const char *option, const char *value)
{
	add_virtio(to, option, VIRTIO_DISK, value);
}

static void take_net(void *to, const char *option, const char *value)
{
	add_virtio(to, option, VIRTIO_NET, value);
}

static void take_port(void *to, const char *option, const char *value)
{
	add_virtio(to, option, VIRTIO_PORT, value);
}

static void take_rng(void *to, const char *option, const char *value)
{
	add_virtio(to, option, VIRTIO_RNG, value);
}

static void take_balloon(void *to, const char *option, const char *value)
{
	struct run_options *options = to;

	for (unsigned int i = 0; i < options->nr_virtio; i++)
		if (options->virtio[i].kind == VIRTIO_BALLOON ||
		    options->virtio[i].kind == VIRTIO_BALLOON_OOM)
			fail(EXIT_CODE_USAGE, "%s: a guest has one balloon", option);
	add_virtio(options, option, strcmp(option, "--balloon") ? VIRTIO_BALLOON_OOM :
		   VIRTIO_BALLOON, value);
}

static void take_engine(void *to, const char *option, const char *value)
{
	struct run_options *options = to;
	int engine = gondola_engine_by_name(value);

	if (engine < 0)
		fail(EXIT_CODE_USAGE, "%s: \"%s\" is none of vmx, svm, interp and auto", option, value);
	options->engine = engine;
}

static const struct option_spec specs[] = {
	OPTION("--kernel", TEXT, struct run_options, boot.kernel),
	OPTION("--initrd", TEXT, struct run_options, boot.initrd),
	OPTION("--append", TEXT, struct run_options, boot.append),
	{ .name = "--module", .take = take_module },
	{ .name = "--mem", .take = take_memory },
	OPTION("--cpus", NUMBER, struct run_options, cpus, .min = 1, .max = GONDOLA_MAX_VCPUS),
	{ .name = "--engine", .take = take_engine },
	OPTION("--pv", SWITCH, struct run_options, pv),
	{ .name = "--name", .take = take_name },
	{ .name = "--console", .take = take_console },
	OPTION("--debug-exit", NUMBER, struct run_options, debug_exit, .max = 0xffff),
	OPTION("--count-port", NUMBER, struct run_options, count_port, .min = 1, .max = 0xffff),
	OPTION("--json", TEXT, struct run_options, json),
	OPTION("--control", TEXT, struct run_options, control),
	{ .name = "--sandbox", .take = take_sandbox },
	{ .name = "--disk", .take = take_disk },
	{ .name = "--net", .take = take_net },
	{ .name = "--port", .take = take_port },
	{ .name = "--rng", .kind = OPTION_CALL_FLAG, .take = take_rng },
	{ .name = "--balloon", .kind = OPTION_CALL_FLAG, .take = take_balloon },
	{ .name = "--balloon-oom", .kind = OPTION_CALL_FLAG, .take = take_balloon },
	OPTION("--balloon-floor", SIZE, struct run_options, balloon_floor),
	{ .name = NULL }
};

void launch_parse(struct run_options *options, const struct command *command, int argc,
		  char **argv)
{
	*options = (struct run_options){
		.boot.append = "",
		.memory = DEFAULT_MEMORY,
		.cpus = 1,
		.engine = GONDOLA_ENGINE_ANY,
		.pv = true,
		.console = "stdio",
		.debug_exit = DEFAULT_DEBUG_EXIT,
	};
	parse_options(command, argc, argv, specs, options);
}

/* So that "list" and the others see it; a VM that is made by "create" is not run by this. */
static void register_name(const char *name)
{
	struct registry_vm vm;
	struct error error;

	if (!registry_init(&error)) {
		say("%s; gondola list will not show this VM", error.words);
		return;
	}
	if (!registry_find(name, &vm))
		fail(EXIT_CODE_STATE, "%s exists and is %s; run needs another name", name,
		     vm_state_name(vm.state));
	launch_lock(name);
}

static int run_run(int argc, char **argv)
{
	static struct run_options options;
	static char name[GONDOLA_NAME_LEN];
	struct launch launch = { .options = &options };

	launch_parse(&options, &command_run, argc, argv);
	if (!options.boot.kernel)
		fail(EXIT_CODE_USAGE, "run: --kernel FILE is missing (see gondola help run)");
	if (!options.name) {
		snprintf(name, sizeof(name), "gondola-%d", (int)getpid());
		options.name = name;
	}
	launch.config = launch_config(options.name, &options, argc - 1, argv + 1);
	register_name(options.name);
	return launch_run(&launch);
}

const struct command command_run = {
	.name = "run",
	.summary = "boot a guest",
	.help =
"gondola run - boot a guest and run it until it ends\n"
"\n"
"USAGE\n"
"  gondola run --kernel FILE [OPTION]...\n"
"\n"
"WHAT TO BOOT\n"
"  --kernel FILE      a Linux bzImage, an ELF kernel (vmlinux), a multiboot 1 or 2\n"
"                     image, or a boot sector; may be compressed (gzip, zstd)\n"
"  --initrd FILE      its initial RAM disk\n"
"  --append STRING    its command line\n"
"  --module FILE[,ARGUMENTS]\n"
"                     a multiboot module and its string; may be repeated\n"
"\n"
"THE MACHINE\n"
"  --mem SIZE         memory, with K, M or G (default 256M)\n"
"  --cpus N           processors, 1 to 16 (default 1)\n"
"  --engine NAME      vmx, svm, interp or auto (default: what gondola probe says);\n"
"                     interp runs in software, on any processor, much slower\n"
"  --pv on|off        paravirtual clock, x2APIC and other help for guests that know\n"
"                     KVM's interface (default on)\n"
"  --name NAME        shown in traces and debugfs (default gondola-PID)\n"
"\n"
"ITS DEVICES (virtio; each may be repeated)\n"
"  --disk FILE[,ro][,format=raw]\n"
"                     a disk in a raw file or block device; ro: only to be read;\n"
"                     format=raw: it is raw even if it begins like another image\n"
"  --net user         a network card in a network of its own, without privileges: the\n"
"                     guest is 10.0.2.15 by DHCP, the host 10.0.2.2, names 10.0.2.3;\n"
"                     user,host-loopback=on: the host's 127.0.0.1 too, as 10.0.2.2\n"
"  --net tap=NAME     a network card on a tap interface of the host's\n"
"        either with ,mac=02:00:00:00:00:01\n"
"  --port NAME=unix:PATH[,console]\n"
"                     a port of a virtio console, on a socket; console: a terminal,\n"
"                     hvc0 and so on, else a stream; =FILE: output only\n"
"  --rng              randomness from the host\n"
"  --balloon          a balloon: memory that the guest gives back on request\n"
"  --balloon-oom      one from which the guest may help itself when it has no more\n"
"  --balloon-floor SIZE  what \"gondola start\" and \"gondola balance\" leave it of\n"
"                     available memory (default an eighth of its memory)\n"
"  The first one is at 0xe0000000, each further one 4 KiB above: the same options\n"
"  give the same addresses.\n"
"\n"
"CONTROL\n"
"  --control PATH     listen there for requests: pause, status, events ...\n"
"\n"
"SAFETY\n"
"  --sandbox on|off|strict  on (default): before the guest starts the launcher gives up\n"
"                     its privileges, its way to files and most system calls; what this\n"
"                     kernel cannot do is said. strict: all of it, or no guest\n"
"\n"
"ITS CONSOLE (COM1, ttyS0 in Linux)\n"
"  --console stdio    this terminal (default). Ctrl-A x ends the guest,\n"
"                     Ctrl-A Ctrl-A sends one Ctrl-A\n"
"  --console pty      a new pseudo-terminal, whose name is printed\n"
"  --console unix:PATH  a socket; one connection at a time\n"
"  --console FILE     output only, into a file\n"
"                     A reader who pauses makes the guest wait; without one output is lost\n"
"\n"
"FOR TESTS\n"
"  --debug-exit PORT  a 32-bit write of v to this port ends the launcher with\n"
"                     status (v << 1) | 1 (default 0xf4)\n"
"  --count-port PORT  a 32-bit write of v to this port notes, under v, what was counted\n"
"                     until then: \"counts\" of the report\n"
"  --json FILE        at the end, write there how it ended and what it counted\n"
"\n"
"EXAMPLES\n"
"  gondola run --kernel /boot/vmlinuz --initrd initrd.img --append \"console=ttyS0\"\n"
"  gondola run --kernel test.elf --append \"one two\" --module data.bin,mydata\n"
"  gondola run --kernel vmlinux --mem 2G --console unix:/run/vm1.sock --json vm1.json\n"
"\n"
"EXIT STATUS\n"
"  0 power-off, 2 usage, 4 no engine, 6 bad image, 8 triple fault, 10 reset,\n"
"  12 stopped, 14 error, 16 not enough memory; odd: from the debug-exit port.\n"
"  \"gondola help\" says it at length.\n",
	.run = run_run,
};
