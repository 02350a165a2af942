// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "launch.h"
#include "same_file.h"
#include "share.h"
#include "base/fail.h"
#include "control/registry.h"
#include "debug/debug.h"
#include "vm/cpu_model.h"

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
	/* Many other programs take memory in mebibytes. */
	if (options->memory < MEMORY_MIN && options->memory >= MEMORY_MIN >> 20 &&
	    options->memory <= MEMORY_MAX >> 20 && value[strspn(value, "0123456789")] == 0)
		fail(EXIT_CODE_USAGE, "%s: \"%s\" are bytes, and a guest has at least %lluM: did you mean %sM?",
		     option, value, MEMORY_MIN >> 20, value);
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
		fail(EXIT_CODE_USAGE, "%s: it is \"stdio\", \"pty\" or a file", option);
	options->console = value;
}

static void take_gdb(void *to, const char *option, const char *value)
{
	struct run_options *options = to;
	struct error error;

	if (!debug_listen_check(value, &error))
		fail(error.status, "%s: %s", option, error.words);
	options->gdb = value;
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

static void take_vhost_user(void *to, const char *option, const char *value)
{
	struct error error;

	if (!vhost_user_check(value, &error))
		fail(error.status, "%s", error.words);
	add_virtio(to, option, VIRTIO_VHOST_USER, value);
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

uint32_t launch_parse_engine(const char *option, const char *value)
{
	int engine = gondola_engine_by_name(value);

	if (engine < 0)
		fail(EXIT_CODE_USAGE, "%s: \"%s\" is none of vmx, svm, ring3, interp and auto", option,
		     value);
	return engine;
}

static void take_engine(void *to, const char *option, const char *value)
{
	((struct run_options *)to)->engine = launch_parse_engine(option, value);
}

static void take_cpu(void *to, const char *option, const char *value)
{
	struct run_options *options = to;
	struct error error;

	if (!cpu_model_check(value, &error))
		fail(error.status, "%s: %s", option, error.words);
	options->cpu = value;
}

static void take_share(void *to, const char *option, const char *value)
{
	share_take(&((struct run_options *)to)->limits, option, value);
}

static void take_personality(void *to, const char *option, const char *value)
{
	struct run_options *options = to;

	if (strcmp(value, "xen") && strcmp(value, "pc"))
		fail(EXIT_CODE_USAGE, "%s: \"%s\" is none of pc and xen", option, value);
	options->xen = !strcmp(value, "xen");
}

const struct option_spec run_specs[] = {
	OPTIONS_OF("What to boot"),
	OPTION("--kernel", "FILE",
	       "What to start: a Linux bzImage, an ELF kernel (vmlinux, or a 64-bit ELF file "
	       "without a PVH note, which is entered as Linux is), a multiboot 1 or 2 image, or a "
	       "boot sector. It may be compressed with gzip, zstd or lz4 -l. It may come through a pipe, and "
	       "\"-\" is standard input; this holds for the initrd and modules, too.\n"
	       "A boot sector is loaded to 0x7c00 and entered in real mode. The BIOS has simple "
	       "services for text (on the serial port), keyboard, memory and ticks; a call of any "
	       "other ends the VM and names the call.", TEXT, struct run_options, boot.kernel),
	OPTION("--initrd", "FILE", "The initial RAM disk.", TEXT, struct run_options, boot.initrd),
	OPTION("--append", "STRING", "The kernel's command line.", TEXT, struct run_options,
	       boot.append),
	OPTION_TAKEN("--module", "FILE[,ARGUMENTS]",
		     "A multiboot module and its string. May be repeated.", take_module),
	OPTIONS_OF("The machine"),
	OPTION_TAKEN("--mem", "SIZE",
		     "Memory: a number with K, M, G or T, a multiple of 4K, at least 2M (default "
		     "256M). 1G, 1g, 1Gi, 1GiB and 1GB are the same, 2^30 bytes.", take_memory),
	OPTION("--cpus", "N",
	       "The number of processors, 1 to 16 (default 1). They are cores of one package.",
	       NUMBER, struct run_options, cpus, .min = 1, .max = GONDOLA_MAX_VCPUS),
	OPTION_TAKEN("--engine", "NAME",
		     "vmx, svm, ring3, interp or auto (default auto: the engine that \"gondola probe\" "
		     "names). interp runs guests in software, on any processor, much slower.",
		     take_engine),
	OPTION_TAKEN("--cpu", "MODEL[,+FEATURE|,-FEATURE]...",
		     "The processor that the guest sees.\n"
		     "host: all that the engine offers (default). The VM can move to hosts and "
		     "engines that offer the same or more.\n"
		     "portable: what every engine offers on every processor. The VM can move between "
		     "all engines and between all hosts with processors of one vendor; interp and "
		     "ring3 take it from either.\n"
		     "+FEATURE adds a feature by the name that Linux has for it (avx, erms), and the VM "
		     "starts only where the engine offers it; -FEATURE hides one.",
		     take_cpu),
	OPTION("--pv", "on|off",
	       "Offer a paravirtual clock, x2APIC and other help to guests that know KVM's "
	       "interface (default on).", SWITCH, struct run_options, pv),
	OPTION_TAKEN("--personality", "pc|xen",
		     "pc (default): the guest sees a machine. xen: a Linux kernel is started as Xen "
		     "starts it, paravirtualized: it runs in ring 3 and asks by hypercalls for what it "
		     "may not do. Its console is hvc0. It runs on the engine ring3, or else on "
		     "interp, and has none of the devices below.", take_personality),
	OPTION_TAKEN("--name", "NAME",
		     "The name in traces and debugfs: 1 to 31 letters, digits, \".\", \"_\" and "
		     "\"-\" (default gondola-PID). \"gondola create\" takes its NAME instead.",
		     take_name),
	OPTIONS_OF("Its devices, on virtio"),
	OPTION_TAKEN("--disk", "FILE[,ro][,format=FORMAT][,lock=off]",
		     "A disk in a raw file or a block device. May be repeated. FORMAT is raw, or an image "
		     "that QEMU's storage daemon serves, which is started for it: qcow2, vmdk, vdi, vhdx, "
		     "vpc, qed or parallels. ro makes it "
		     "read-only. The file is locked while the guest runs; lock=off is for a file system "
		     "without locks, where nothing else keeps others from it. A block device that this "
		     "host uses, with a mounted file system for instance, is refused unless it is "
		     "read-only. A file that looks like "
		     "an image of another format (such as qcow2) is refused without format=, because the "
		     "guest would write over it; format=raw says that it is raw all the same.",
		     take_disk),
	OPTION_TAKEN("--net", "user|tap=NAME|passt=SOCKET",
		     "A network card. May be repeated. user needs no privileges: the guest has a "
		     "network of its own, where DHCP gives it 10.0.2.15, the host is 10.0.2.2 and "
		     "the name server 10.0.2.3; with user,host-loopback=on it also reaches the "
		     "services on the host's 127.0.0.1, at 10.0.2.2. tap=NAME uses a tap "
		     "interface of the host. passt=SOCKET uses the network of passt, which listens at "
		     "SOCKET already. Each takes ,mac=02:00:00:00:00:01 at its end.",
		     take_net),
	OPTION_TAKEN("--port", "NAME=unix:PATH|NAME=FILE",
		     "A port of a virtio console. May be repeated. unix:PATH is a socket, for one "
		     "connection at a time; FILE is for output only. With ,console at its end the "
		     "guest sees a terminal (hvc0 and so on), else the stream "
		     "/dev/virtio-ports/NAME.", take_port),
	OPTION_TAKEN("--vhost-user", "blk=SOCKET",
		     "A disk that another program serves by the vhost-user protocol, such as "
		     "qemu-storage-daemon; it listens at SOCKET already. May be repeated. The "
		     "program can read and write all of the guest's memory. A VM with such a disk "
		     "can be neither suspended nor migrated.", take_vhost_user),
	OPTION_TAKEN("--rng", NULL, "Random numbers from the host.", take_rng),
	OPTION_TAKEN("--balloon", NULL,
		     "A balloon, by which the guest gives memory back on request.", take_balloon),
	OPTION_TAKEN("--balloon-oom", NULL,
		     "A balloon from which the guest also takes memory by itself when it has no "
		     "more.", take_balloon),
	OPTION("--balloon-floor", "SIZE",
	       "The available memory that \"gondola start\" and \"gondola balance\" leave to the "
	       "guest (default: an eighth of its memory).", SIZE, struct run_options,
	       balloon_floor),
	OPTIONS_OF("Its console"),
	OPTION_TAKEN("--console", "WHERE",
		     "Where COM1 (ttyS0 in Linux) is.\n"
		     "stdio: this terminal (default). Ctrl-A x ends the guest, Ctrl-A Ctrl-A "
		     "sends one Ctrl-A. In the background (a shell's \"&\", timeout) the guest "
		     "writes to the terminal and gets no keys until it is brought to the "
		     "foreground.\n"
		     "pty: a new pseudo-terminal; its name is printed.\n"
		     "unix:PATH: a socket, for one connection at a time.\n"
		     "FILE: a file, for output only; it may be emptied while the guest runs. A pipe "
		     "is waited for until a program reads it.\n"
		     "A reader that pauses makes this guest wait. Without a reader, output is "
		     "lost.", take_console),
	OPTIONS_OF("Control and safety"),
	OPTION("--control", "PATH",
	       "Listen on this socket for requests, a line of JSON each: status, pause, events "
	       "and more.", TEXT, struct run_options, control),
	OPTION_TAKEN("--gdb", "tcp:127.0.0.1:PORT|unix:PATH",
		     "Listen for GDB, one client at a time (see \"gondola help gdb\"). A client can do "
		     "anything to the guest.", take_gdb),
	OPTION("--panic-dump", "FILE",
	       "If the guest crashes, write its memory and registers to this file (see \"gondola help "
	       "dump\"). A crash is a panic of its kernel, which tells of it by the driver pvpanic and goes on; a "
	       "triple fault; or a state or an instruction with which the guest cannot go on. The "
	       "first panic counts.", TEXT, struct run_options, panic_dump),
	OPTION_TAKEN("--sandbox", "on|off|strict",
		     "on (default): before the guest starts, the launcher gives up its "
		     "privileges, its access to files and most system calls, and names the "
		     "protections that this kernel lacks. strict: the guest does not start unless "
		     "all of them are there. off: none of this is done.", take_sandbox),
	OPTIONS_OF("Its share of the host"),
	SHARE_OPTIONS(take_share),
	OPTIONS_OF("For tests"),
	OPTION("--debug-exit", "PORT",
	       "A 32-bit write of v to this port ends the launcher with status (v << 1) | 1 "
	       "(default 0xf4).", NUMBER, struct run_options, debug_exit, .max = 0xffff),
	OPTION("--count-port", "PORT",
	       "A 32-bit write of v to this port adds all counts so far to \"counts\" of the "
	       "report, under v.", NUMBER, struct run_options, count_port, .min = 1,
	       .max = 0xffff),
	OPTION("--json", "FILE",
	       "When the guest has ended, write a report: how it ended, and all counts.", TEXT,
	       struct run_options, json),
	{ .name = NULL }
};

/* Say it before anything is made. */
static void check_xen(struct run_options *options)
{
	if (options->engine != GONDOLA_ENGINE_ANY && options->engine != GONDOLA_ENGINE_INTERP &&
	    options->engine != GONDOLA_ENGINE_RING3)
		fail(EXIT_CODE_USAGE, "--personality xen: the engine \"%s\" cannot run such a guest; ring3 and interp can",
		     gondola_engine_name(options->engine));
	for (unsigned int i = 0; i < options->nr_virtio; i++)
		if (options->virtio[i].kind != VIRTIO_DISK && options->virtio[i].kind != VIRTIO_NET)
			fail(EXIT_CODE_USAGE, "--personality xen: such a guest has disks and network cards, and no other devices");
	if (options->boot.nr_modules)
		fail(EXIT_CODE_USAGE, "--personality xen: --module is for multiboot images");
}

/* The length of a port's name, or all of a card's address; 0: it says none. */
static const char *named(const struct virtio_spec *spec, size_t *length)
{
	const char *mac;

	if (spec->kind == VIRTIO_PORT) {
		*length = strcspn(spec->value, "=");
		return spec->value;
	}
	mac = spec->kind == VIRTIO_NET ? strstr(spec->value, ",mac=") : NULL;
	*length = mac ? strcspn(mac + 1, ",") : 0;
	return mac ? mac + 1 : NULL;
}

/* Two ports of one name, or cards of one address: the guest could not tell them apart. */
static void check_names(const struct run_options *options)
{
	for (unsigned int i = 0; i < options->nr_virtio; i++) {
		size_t length, other;
		const char *name = named(&options->virtio[i], &length);

		for (unsigned int j = 0; name && j < i; j++) {
			const char *before = named(&options->virtio[j], &other);

			if (before && options->virtio[i].kind == options->virtio[j].kind &&
			    length == other && !strncasecmp(name, before, length))
				fail(EXIT_CODE_USAGE, "%s: there are two of \"%.*s\"",
				     options->virtio[i].kind == VIRTIO_PORT ? "--port" : "--net",
				     (int)length, name);
		}
	}
}

void launch_parse(struct run_options *options, const struct command *command, int argc,
		  char **argv)
{
	*options = (struct run_options){
		.boot.append = "",
		.memory = DEFAULT_MEMORY,
		.cpus = 1,
		.engine = GONDOLA_ENGINE_ANY,
		.pv = true,
		.cpu = "host",
		.console = "stdio",
		.debug_exit = DEFAULT_DEBUG_EXIT,
	};
	parse_options_by(run_specs, command, argc, argv, options);
	if (options->xen)
		check_xen(options);
	check_names(options);
}

void launch_check_files(const struct run_options *options)
{
	struct error error;

	if (!same_file_check(options, NULL, &error))
		fail(error.status, "%s", error.words);
}

/* The name is for "list" and other commands; a VM of "create" is not run by this. */
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
	launch_check_files(&options);
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
	.summary = "boot a guest and run it until it ends",
	.usage = "--kernel FILE [OPTION]...",
	.about =
"The guest runs in this process. Its console is on this terminal unless --console names "
"another place. \"gondola create\" makes a VM that outlives the command.",
	.options = run_specs,
	.notes =
"The registers of the first virtio device are at 0xe0000000, those of each further one 4 "
"KiB above: the same options give the same addresses.",
	.examples =
"gondola run --kernel /boot/vmlinuz --initrd initrd.img --append \"console=ttyS0\"\n"
"gondola run --kernel test.elf --append \"one two\" --module data.bin,mydata\n"
"gondola run --kernel vmlinux --mem 2G --console unix:/run/vm1.sock --json vm1.json",
	.status =
"0 power-off, 2 wrong usage, 4 no engine, 6 bad image, 8 triple fault, 10 reset, 12 "
"stopped, 14 error, 16 not enough memory; odd: from the debug-exit port.",
	.run = run_run,
};
