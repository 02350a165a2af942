// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device/state.h"
#include "launch.h"
#include "remote.h"
#include "debug/debug.h"
#include "inspect/dump.h"
#include "inspect/inspect.h"
#include "migrate/commands.h"
#include "migrate/suspend.h"
#include "sandbox/keeper.h"
#include "policy/balloon_control.h"
#include "vm/console.h"
#include "vm/features.h"
#include "control/control.h"
#include "migrate/dirty_sample.h"
#include "base/fail.h"
#include "base/output_file.h"
#include "control/registry.h"
#include "base/terminal.h"

#define MAX_ARGUMENTS	256

/* ---- configurations ---------------------------------------------------------------------- */

/* It takes over @arguments. */
static struct json_object *make_config(const char *name, const struct run_options *options,
				       struct json_object *arguments)
{
	struct json_object *config = json_object_new_object();
	char directory[PATH_MAX];

	current_directory(directory);
	json_object_object_add(config, "format", json_object_new_int(REGISTRY_FORMAT));
	json_object_object_add(config, "name", json_object_new_string(name));
	/* Paths in the arguments may be relative to it. */
	json_object_object_add(config, "directory", json_object_new_string(directory));
	json_object_object_add(config, "arguments", arguments);
	/* For readers that do not parse the options. */
	json_object_object_add(config, "memory", json_object_new_uint64(options->memory));
	json_object_object_add(config, "vcpus", json_object_new_int(options->cpus));
	return config;
}

struct json_object *launch_config(const char *name, const struct run_options *options, int argc,
				  char *const *argv)
{
	struct json_object *arguments = json_object_new_array();

	for (int i = 0; i < argc; i++)
		json_object_array_add(arguments, json_object_new_string(argv[i]));
	return make_config(name, options, arguments);
}

static void add_option(struct json_object *arguments, const char *option, const char *value)
{
	json_object_array_add(arguments, json_object_new_string(option));
	if (value)
		json_object_array_add(arguments, json_object_new_string(value));
}

static void add_number(struct json_object *arguments, const char *option, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	add_option(arguments, option, text);
}

static void add_boot(struct json_object *arguments, const struct boot *boot)
{
	char *text;

	if (boot->kernel)
		add_option(arguments, "--kernel", boot->kernel);
	if (boot->initrd)
		add_option(arguments, "--initrd", boot->initrd);
	if (boot->append[0])
		add_option(arguments, "--append", boot->append);
	for (unsigned int i = 0; i < boot->nr_modules; i++) {
		const struct boot_module *module = &boot->modules[i];

		if (asprintf(&text, "%s%s%s", module->path, module->arguments ? "," : "",
			     module->arguments ?: "") < 0)
			fail(EXIT_CODE_ERROR, "out of memory");
		add_option(arguments, "--module", text);
		free(text);
	}
}

static void add_limits(struct json_object *arguments, const struct cgroup_limits *limits)
{
	if (limits->weight)
		add_number(arguments, "--cpu-weight", limits->weight);
	if (limits->cap == CGROUP_NO_CAP)
		add_option(arguments, "--cpu-cap", "max");
	else if (limits->cap)
		add_number(arguments, "--cpu-cap", limits->cap);
	if (limits->memory == CGROUP_NO_LIMIT)
		add_option(arguments, "--memory-limit", "max");
	else if (limits->memory)
		add_number(arguments, "--memory-limit", limits->memory);
	if (limits->cpus)
		add_option(arguments, "--cpus-pinned", *limits->cpus ? limits->cpus : "all");
}

struct json_object *launch_config_of(const struct run_options *options)
{
	static const char *const kinds[] = {
		[VIRTIO_DISK] = "--disk", [VIRTIO_NET] = "--net", [VIRTIO_PORT] = "--port",
		[VIRTIO_RNG] = "--rng", [VIRTIO_BALLOON] = "--balloon",
		[VIRTIO_BALLOON_OOM] = "--balloon-oom", [VIRTIO_VHOST_USER] = "--vhost-user",
	};
	struct json_object *arguments = json_object_new_array();

	add_boot(arguments, &options->boot);
	add_number(arguments, "--mem", options->memory);
	add_number(arguments, "--cpus", options->cpus);
	add_option(arguments, "--engine", gondola_engine_name(options->engine));
	add_option(arguments, "--pv", options->pv ? "on" : "off");
	if (options->xen)
		add_option(arguments, "--personality", "xen");
	add_option(arguments, "--cpu", options->cpu);
	add_option(arguments, "--console", options->console);
	if (options->json)
		add_option(arguments, "--json", options->json);
	if (options->control)
		add_option(arguments, "--control", options->control);
	if (options->panic_dump)
		add_option(arguments, "--panic-dump", options->panic_dump);
	if (options->sandbox != SANDBOX_ON)
		add_option(arguments, "--sandbox", sandbox_mode_name(options->sandbox));
	add_number(arguments, "--debug-exit", options->debug_exit);
	if (options->count_port)
		add_number(arguments, "--count-port", options->count_port);
	if (options->balloon_floor)
		add_number(arguments, "--balloon-floor", options->balloon_floor);
	add_limits(arguments, &options->limits);
	for (unsigned int i = 0; i < options->nr_virtio; i++)
		add_option(arguments, kinds[options->virtio[i].kind], options->virtio[i].value);
	return make_config(options->name, options, arguments);
}

static const char *config_string(struct json_object *config, const char *member)
{
	struct json_object *value;

	if (!json_object_object_get_ex(config, member, &value) ||
	    !json_object_is_type(value, json_type_string))
		fail(EXIT_CODE_IMAGE, "the configuration has no \"%s\"", member);
	return json_object_get_string(value);
}

void launch_parse_config(struct run_options *options, const struct command *command,
			 struct json_object *config)
{
	static char *argv[MAX_ARGUMENTS + 2];
	struct json_object *arguments;
	size_t count;

	if (!registry_name_is_good(config_string(config, "name")))
		fail(EXIT_CODE_IMAGE, "the configuration's \"name\" is none");
	if (!json_object_object_get_ex(config, "arguments", &arguments) ||
	    !json_object_is_type(arguments, json_type_array) ||
	    json_object_array_length(arguments) > MAX_ARGUMENTS)
		fail(EXIT_CODE_IMAGE, "the configuration has no \"arguments\", or too many");
	count = json_object_array_length(arguments);
	argv[0] = (char *)command->name;
	for (size_t i = 0; i < count; i++) {
		struct json_object *one = json_object_array_get_idx(arguments, i);

		if (!json_object_is_type(one, json_type_string))
			fail(EXIT_CODE_IMAGE, "the configuration's \"arguments\" are not all strings");
		argv[1 + i] = (char *)json_object_get_string(one);
		/* This would end the process with success. */
		if (!strcmp(argv[1 + i], "--help") || !strcmp(argv[1 + i], "-h"))
			fail(EXIT_CODE_IMAGE, "the configuration asks for help");
	}
	launch_parse(options, command, (int)count + 1, argv);
	options->name = config_string(config, "name");
}

void launch_from_config(struct run_options *options, const struct command *command,
			struct json_object *config)
{
	const char *directory = config_string(config, "directory");

	if (chdir(directory))
		fail(EXIT_CODE_ERROR, "cannot go to %s, where this VM was made: %s", directory,
		     strerror(errno));
	launch_parse_config(options, command, config);
	launch_check_files(options);
}

/* ---- the process --------------------------------------------------------------------------- */

static char locked_name[GONDOLA_NAME_LEN];
static int lock_fd = -1;
static int ready_fd = -1;
static int null_fd = -1, log_fd = -1;
static char log_path[REGISTRY_PATH_MAX];
static bool kept;

static void unlock(void)
{
	if (lock_fd >= 0 && kept)
		close(lock_fd);
	else if (lock_fd >= 0)
		registry_unlock(locked_name, lock_fd);
	lock_fd = -1;
}

static void clear_run(void)
{
	registry_remove_dead(locked_name);
}

/* From now on the keeper cleans up, even after the lock is released. */
static void keep(enum sandbox_mode mode)
{
	struct error error;

	if (lock_fd >= 0) {
		keeper_at_end(clear_run);
		kept = true;
		atexit(unlock);
	}
	if (mode != SANDBOX_OFF && !keeper_start(&error))
		fail(error.status, "%s", error.words);
}

void launch_lock(const char *name)
{
	struct error error;

	snprintf(locked_name, sizeof(locked_name), "%s", name);
	lock_fd = registry_lock(name, &error);
	if (lock_fd == -EBUSY)
		fail(EXIT_CODE_STATE, "%s has a process already (see gondola status %s)", name,
		     name);
	if (lock_fd < 0)
		fail(error.status, "%s", error.words);
	atexit(unlock);
}

void launch_check_state(const struct command *command, const char *name)
{
	struct registry_vm vm;

	if (!registry_at_rest(name, &vm))
		remote_check(command->name, &vm);
	registry_put(&vm);
}

void launch_waits(bool waits)
{
	if (lock_fd >= 0)
		registry_waits(lock_fd, waits);
}

/* The parent waits until it learns that the VM runs, or how the child ended. */
static int wait_for_child(pid_t child, int from)
{
	int status;
	char byte;

	if (read(from, &byte, 1) == 1)
		return EXIT_CODE_OK;
	if (waitpid(child, &status, 0) == child && WIFEXITED(status))
		return WEXITSTATUS(status);
	return EXIT_CODE_ERROR;
}

int launch_spawn(const char *name)
{
	int ends[2], status;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC))
		fail(EXIT_CODE_ERROR, "cannot make a pipe: %s", strerror(errno));
	fflush(NULL);
	child = fork();
	if (child < 0)
		fail(EXIT_CODE_ERROR, "cannot make a process: %s", strerror(errno));
	if (child) {
		close(ends[1]);
		status = wait_for_child(child, ends[0]);
		close(ends[0]);
		return status;
	}
	close(ends[0]);
	/* A lock is the parent's, and would last as long as this descriptor. */
	if (lock_fd >= 0)
		close(lock_fd);
	lock_fd = -1;
	setsid();
	ready_fd = ends[1];
	snprintf(log_path, sizeof(log_path), "%s", registry_path(REGISTRY_LOG, name));
	return -1;
}

void launch_detach(const char *name)
{
	int status = launch_spawn(name);

	if (status >= 0)
		_exit(status);
}

/* Do it while it is still possible. */
static void open_log(void)
{
	if (ready_fd < 0)
		return;
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	log_fd = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (null_fd < 0 || log_fd < 0)
		fail(EXIT_CODE_ERROR, "cannot open %s: %s", log_path, strerror(errno));
}

/* From now on nobody waits for us: messages go to the log. */
void launch_ready(void)
{
	if (ready_fd < 0)
		return;
	if (log_fd < 0)
		open_log();
	dup2(null_fd, STDIN_FILENO);
	dup2(log_fd, STDOUT_FILENO);
	dup2(log_fd, STDERR_FILENO);
	close(null_fd);
	close(log_fd);
	if (write(ready_fd, "r", 1) != 1)
		say("the command that started this VM has ended");
	close(ready_fd);
	ready_fd = -1;
}

/* ---- making ---------------------------------------------------------------------------------- */

static void create_xen(struct vm *vm, const struct boot *boot, struct console *console, bool incoming)
{
	const struct gondola_xen_config *config = &boot->xen;
	const struct xen_pages pages = {
		.console = boot->xen_console, .console_port = config->console_port,
		.store = boot->xen_store, .store_port = config->store_port,
		.grants = config->grants << 12, .grant_bytes = (uint64_t)config->nr_grants << 12,
		.frames = config->first_frame, .cpus = boot->cpus,
	};

	xen_create(vm, console, incoming ? NULL : &pages);
}

static void create_devices(struct vm *vm, const struct run_options *options,
			   struct console *console, bool incoming)
{
	struct error error;

	serial_create(vm, console);
	if (options->xen)
		create_xen(vm, &options->boot, console, incoming);
	rtc_create(vm);
	acpi_pm_create(vm);
	i8042_create(vm);
	pci_create(vm);
	post_create(vm);
	firmware_create(vm);
	panic_create(vm);
	if (!debug_exit_create(vm, options->debug_exit, &error) ||
	    (options->count_port && !count_port_create(vm, options->count_port, &error)) ||
	    !virtio_create_all(vm, options->virtio, options->nr_virtio, &error))
		fail(error.status, "%s", error.words);
	if (options->xen)
		xen_add_devices(vm);
}

/* Set the first vCPU's registers for the boot protocol; its other state is that after a reset. */
static void set_boot_state(struct vm *vm, struct boot *boot)
{
	struct gondola_rec_sregs reset;
	struct gondola_rec_regs unused;
	int ret = __gondola_get_registers(vm->vcpus[0].fd, &unused, &reset);

	if (ret < 0)
		gondola_die(-ret, "cannot read the state of a vCPU");
	boot->sregs.apic_base = reset.apic_base;
	boot->sregs.xcr0 = reset.xcr0;
	gondola_set_registers(vm->vcpus[0].fd, &boot->regs, &boot->sregs);
	if (!boot->as_xen)
		return;
	/* The others take what the guest tells them, and need the rest. */
	for (unsigned int i = 1; i < vm->nr_vcpus; i++) {
		xen_next_vcpu(&boot->sregs);
		gondola_set_registers(vm->vcpus[i].fd, &boot->regs, &boot->sregs);
	}
}

static void set_xen(struct vm *vm, const struct boot *boot)
{
	int ret = __gondola_set_xen(vm->fd, &boot->xen);

	if (ret)
		gondola_die(-ret, "cannot set up the guest of --personality xen");
}

/* Open it before the guest starts, so that a bad path is reported now and not at the end. */
static int open_report(const char *path)
{
	int fd = output_file_open(path, O_TRUNC);

	if (fd < 0)
		fail(error_status(-fd), "--json %s: %s", path, strerror(-fd));
	return fd;
}

static int exit_code_of(const struct vm *vm)
{
	switch (vm->end) {
	case VM_POWEROFF:
		return EXIT_CODE_OK;
	case VM_RESET:
		return EXIT_CODE_RESET;
	case VM_TRIPLE_FAULT:
		return EXIT_CODE_TRIPLE_FAULT;
	case VM_STOPPED:
		return EXIT_CODE_STOPPED;
	case VM_SUSPENDED:
	case VM_MIGRATED:
		return EXIT_CODE_AWAY;
	case VM_DEBUG_EXIT:
		return (int)((vm->end_value << 1 | 1) & 0xff);
	default:
		return EXIT_CODE_ERROR;
	}
}

static void die(int error, const char *message)
{
	if (error)
		fail(EXIT_CODE_ERROR, "%s: %s", message, strerror(error));
	fail(EXIT_CODE_ERROR, "%s", message);
}

static const char *console_where;

static void console_status(struct vm *vm, struct json_object *status)
{
	(void)vm;
	json_object_object_add(status, "console", json_object_new_string(console_where));
}

static void press_button(struct control_request *request)
{
	struct vm *vm = request->vm;

	if (vm->on_xen ? xen_power_button(vm) : acpi_pm_power_button(vm))
		return;
	/* Without ACPI a guest ends like this when it powers off, so nothing is lost. */
	if (vm_has_halted(vm))
		vm_end(vm, VM_STOPPED, "stopped: the guest had halted all its processors");
	else
		control_fail(request, "not-listening",
			     "the guest of %s does not listen to its power button: end it with gondola kill",
			     vm->name);
}

/* This takes a device's lock, and may wait for vCPUs. */
static void on_stop(struct control_request *request)
{
	control_aside(request, LANE_VCPUS, press_button);
}

static void open_control(struct vm *vm, const struct run_options *options)
{
	struct error error;

	control_add_status(console_status);
	control_add_status(vm_unknown_hypercalls);
	control_add("stop", on_stop);
	if (!suspend_add_commands(vm, &error) || !migrate_add_commands(vm, &error))
		fail(error.status, "%s", error.words);
	balloon_control_init(vm, options->balloon_floor ? options->balloon_floor :
			     options->memory / 8);
	dirty_sample_add_commands();
	inspect_add_commands();
	dump_add_commands(vm);
	metrics_add_commands();
	debug_add_commands(vm);
	if ((lock_fd >= 0 && !control_open(vm, registry_path(REGISTRY_CONTROL, vm->name), &error)) ||
	    (options->control && !control_open(vm, options->control, &error)) ||
	    (options->gdb && !debug_listen(vm, options->gdb, &error)) ||
	    (options->panic_dump && !dump_at_crash(vm, options->panic_dump, &error)))
		fail(error.status, "%s", error.words);
}

/* The interpreter, which executes the kernel of either, knows the instructions of all vendors. */
static bool executes_any_vendor(uint32_t engine)
{
	return engine == GONDOLA_ENGINE_RING3 || engine == GONDOLA_ENGINE_INTERP;
}

bool launch_check_cpu(uint32_t engine, const struct machine_config *incoming, struct error *error)
{
	struct gondola_cpuid_entry host[GONDOLA_MAX_CPUID];
	struct gondola_preflight preflight;
	uint32_t count = GONDOLA_MAX_CPUID;
	char words[256];
	bool fits;
	int sys = __gondola_open();

	/* No device, or no engine: vm_create() says it better. */
	if (sys < 0)
		return true;
	fits = __gondola_preflight(sys, engine, &preflight) < 0 ||
	       preflight.reason != GONDOLA_PF_OK ||
	       __gondola_engine_cpuid(sys, preflight.engine, host, &count) ||
	       !features_missing(incoming->cpuid, incoming->nr_cpuid, host, count,
				 executes_any_vendor(preflight.engine), words, sizeof(words));
	close(sys);
	return fits || error_set(error, EXIT_CODE_IMAGE,
				 "the engine \"%s\" of this host lacks what the guest uses (see --cpu of gondola run): %s",
				 gondola_engine_name(preflight.engine), words);
}

static void prepare_boot(struct vm *vm, struct run_options *options)
{
	struct error error;

	options->boot.memory = &vm->memory;
	options->boot.cpus = options->cpus;
	options->boot.as_xen = options->xen;
	options->boot.nr_virtio = virtio_count(options->virtio, options->nr_virtio);
	if (boot_load(&options->boot))
		fail(options->boot.error.status, "%s", options->boot.error.words);
	/* It lies where firmware lies. */
	if (!options->xen && !generation_renew(vm, &error))
		fail(error.status, "%s", error.words);
}

static void prepare_incoming(struct vm *vm, uint32_t engine,
			     const struct machine_config *incoming)
{
	struct error error;

	if (!launch_check_cpu(engine, incoming, &error))
		fail(error.status, "%s: %s", vm->name, error.words);
	memcpy(vm->cpuid, incoming->cpuid, sizeof(vm->cpuid));
	vm->nr_cpuid = incoming->nr_cpuid;
	devices_set_incoming();
}

static void map_image(struct guest_memory *memory, int image)
{
	int ret = memory_map_image(memory, image);

	if (ret)
		fail(EXIT_CODE_MEMORY, "cannot map the saved memory: %s", strerror(-ret));
	close(image);
}

static void make(struct launch *launch, struct vm *vm, struct console **console)
{
	struct run_options *options = launch->options;
	const struct vm_processors processors = { options->cpus, options->pv, options->cpu, options->xen };
	struct error error;

	snprintf(vm->name, sizeof(vm->name), "%s", options->name);
	vm->config = launch->config;
	if (!memory_create(&vm->memory, options->memory,
			   virtio_shares_memory(options->virtio, options->nr_virtio), &error))
		fail(error.status, "%s", error.words);
	if (launch->image > 0)
		map_image(&vm->memory, launch->image);
	if (launch->incoming)
		prepare_incoming(vm, options->engine, launch->incoming);
	else
		prepare_boot(vm, options);
	if (!vm_create(vm, options->engine, options->name, &processors, &error))
		fail(error.status, "%s", error.words);
	if (!launch->incoming)
		set_boot_state(vm, &options->boot);
	/* One that is incoming brings it along. */
	if (options->xen && !launch->incoming)
		set_xen(vm, &options->boot);
	if (launch->detached && !strcmp(options->console, "stdio")) {
		static char where[REGISTRY_PATH_MAX + 8];

		snprintf(where, sizeof(where), "unix:%s",
			 registry_path(REGISTRY_CONSOLE, vm->name));
		options->console = where;
	}
	console_where = options->console;
	*console = console_open(vm, options->console, launch->incoming, &error);
	if (!*console)
		fail(error.status, "%s", error.words);
	create_devices(vm, options, *console, launch->incoming);
}

/* All files are open, and there is only one thread yet. */
static void confine(const struct launch *launch)
{
	const struct run_options *options = launch->options;
	struct sandbox_needs needs = { .child = launch->child };
	char words[SANDBOX_WORDS];

	for (unsigned int i = 0; i < options->nr_virtio; i++)
		needs.net |= virtio_makes_connections(&options->virtio[i]);
	open_log();
	keeper_seal();
	if (!sandbox_enter(options->sandbox, &needs, terminal_restore, words))
		fail(EXIT_CODE_ERROR, "this kernel lacks what --sandbox strict wants: %s", words);
	if (words[0])
		say("the launcher is confined less than it could be, as this kernel lacks: %s",
		    words);
}

static void start_devices(struct vm *vm, bool incoming)
{
	struct error error;

	if (!virtio_start_all(vm, &error))
		fail(error.status, "%s", error.words);
	if (!incoming)
		return;
	vm_lock_devices(vm);
	devices_freeze();
	vm_unlock_devices(vm);
	vm_pause(vm, PAUSE_START);
}

static void tell_end(struct vm *vm, int code)
{
	struct json_object *end = json_object_new_object();

	json_object_object_add(end, "words", json_object_new_string(vm->end_words));
	json_object_object_add(end, "exit_code", json_object_new_int(code));
	control_event("end", end);
}

/* First of all: the keeper goes along, and so does the guest's memory. */
static void enter_cgroup(const struct launch *launch)
{
	const struct run_options *options = launch->options;
	struct error error;

	if (!cgroup_wanted(&options->limits))
		return;
	if (!cgroup_check(&options->limits, options->memory, &error) ||
	    !cgroup_enter(options->name, &options->limits, launch->detached ? getppid() : 0, &error))
		fail(error.status, "%s", error.words);
	keeper_at_last(cgroup_remove);
}

int launch_run(struct launch *launch)
{
	static struct vm vm;
	struct console *console;
	int report = -1, code, ret;
	struct error error;

	gondola_on_die = die;
	say_in_a_hurry();
	enter_cgroup(launch);
	keep(launch->options->sandbox);
	if (launch->options->json)
		report = open_report(launch->options->json);
	make(launch, &vm, &console);
	open_control(&vm, launch->options);
	confine(launch);
	ret = console_start(console);
	if (ret)
		fail(EXIT_CODE_ERROR, "the console: cannot start its thread: %s", strerror(-ret));
	start_devices(&vm, launch->incoming);
	if (launch->incoming && !launch->begin(&vm, launch->argument, &error))
		fail(error.status, "%s", error.words);
	launch_ready();

	vm_run(&vm);
	suspend_wait();
	migrate_end(&vm);
	dirty_sample_stop();
	debug_end();

	code = exit_code_of(&vm);
	tell_end(&vm, code);
	control_close();
	virtio_stop_all(&vm);
	console_close(console);
	xen_destroy();
	say("%s: %s", vm.name, vm.end_words);
	if (vm.end_vcpu >= 0)
		vcpu_dump(&vm.vcpus[vm.end_vcpu]);
	dump_crashed(&vm);
	if (report >= 0)
		vm_report(&vm, code, report);
	vm_destroy(&vm);
	unlock();
	keeper_end();
	return code;
}
