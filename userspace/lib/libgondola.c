// SPDX-License-Identifier: GPL-2.0-only
/* The calls of the ABI, two tiers each; see libgondola.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libgondola.h"

static void print_and_exit(int error, const char *message)
{
	if (error)
		fprintf(stderr, "gondola: %s: %s\n", message, strerror(error));
	else
		fprintf(stderr, "gondola: %s\n", message);
	exit(14);
}

void (*gondola_on_die)(int error, const char *message) = print_and_exit;

void gondola_die(int error, const char *format, ...)
{
	char message[512];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	gondola_on_die(error, message);
	abort();
}

/* 0 or more, or -errno. */
static int call(int fd, unsigned long request, void *argument)
{
	int ret = ioctl(fd, request, argument);

	return ret < 0 ? -errno : ret;
}

/* ---- system ------------------------------------------------------------------ */

int __gondola_open(void)
{
	int fd = open(GONDOLA_DEVICE, O_RDWR | O_CLOEXEC);
	int version;

	if (fd < 0)
		return -errno;
	version = call(fd, GONDOLA_GET_API_VERSION, NULL);
	if (version == GONDOLA_API_VERSION)
		return fd;
	close(fd);
	return version < 0 ? version : -EPROTO;
}

int __gondola_preflight(int sys, uint32_t engine, struct gondola_preflight *out)
{
	*out = (struct gondola_preflight){ .size = sizeof(*out), .engine = engine };
	return call(sys, GONDOLA_PREFLIGHT, out);
}

int __gondola_create_vm(int sys, uint32_t engine, const char *name)
{
	return __gondola_create_vm_as(sys, engine, 0, name);
}

int __gondola_create_vm_as(int sys, uint32_t engine, uint32_t flags, const char *name)
{
	struct gondola_create_vm args = { .size = sizeof(args), .engine = engine, .flags = flags };

	if (strlen(name) >= sizeof(args.name))
		return -ENAMETOOLONG;
	strcpy(args.name, name);
	return call(sys, GONDOLA_CREATE_VM, &args);
}

int gondola_create_vm(int sys, uint32_t engine, const char *name)
{
	int fd = __gondola_create_vm(sys, engine, name);

	if (fd < 0)
		gondola_die(-fd, "cannot create a virtual machine");
	return fd;
}

int __gondola_engine_cpuid(int sys, uint32_t engine, struct gondola_cpuid_entry *entries,
			   uint32_t *count)
{
	struct gondola_cpuid args = {
		.size = sizeof(args), .count = *count, .engine = engine,
		.entries = (uintptr_t)entries,
	};
	int ret = call(sys, GONDOLA_GET_SUPPORTED_CPUID, &args);

	*count = args.count;
	return ret;
}

int __gondola_supported_cpuid(int sys, struct gondola_cpuid_entry *entries, uint32_t *count)
{
	return __gondola_engine_cpuid(sys, GONDOLA_ENGINE_ANY, entries, count);
}

/* ---- VM ---------------------------------------------------------------------- */

int __gondola_set_memory(int vm, uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t bytes,
			 const void *hva)
{
	struct gondola_memory_slot args = {
		.size = sizeof(args), .flags = flags, .slot = slot,
		.gpa = gpa, .bytes = bytes, .hva = (uintptr_t)hva,
	};

	return call(vm, GONDOLA_SET_MEMORY, &args);
}

int __gondola_irq_line(int vm, uint32_t gsi, bool level)
{
	struct gondola_irq_line args = { .size = sizeof(args), .gsi = gsi, .level = level };

	return call(vm, GONDOLA_IRQ_LINE, &args);
}

void gondola_irq_line(int vm, uint32_t gsi, bool level)
{
	int ret = __gondola_irq_line(vm, gsi, level);

	if (ret < 0)
		gondola_die(-ret, "cannot drive interrupt line %u", gsi);
}

int __gondola_ioeventfd(int vm, uint32_t flags, int fd, uint64_t address, uint32_t bytes,
			uint64_t datamatch, void *word)
{
	struct gondola_ioeventfd args = {
		.size = sizeof(args), .flags = flags, .fd = fd, .bytes = bytes,
		.address = address, .datamatch = datamatch, .word = (uintptr_t)word,
	};

	return call(vm, GONDOLA_IOEVENTFD, &args);
}

int __gondola_irqfd(int vm, uint32_t flags, int fd, uint32_t gsi)
{
	struct gondola_irqfd args = { .size = sizeof(args), .flags = flags, .fd = fd, .gsi = gsi };

	return call(vm, GONDOLA_IRQFD, &args);
}

int __gondola_create_vcpu(int vm, uint32_t id)
{
	struct gondola_create_vcpu args = { .size = sizeof(args), .id = id };

	return call(vm, GONDOLA_CREATE_VCPU, &args);
}

int gondola_create_vcpu(int vm, uint32_t id)
{
	int fd = __gondola_create_vcpu(vm, id);

	if (fd < 0)
		gondola_die(-fd, "cannot create vCPU %u", id);
	return fd;
}

int __gondola_get_dirty(int vm, uint32_t slot, uint64_t first, uint64_t pages, uint64_t *bitmap)
{
	struct gondola_dirty_log args = {
		.size = sizeof(args), .slot = slot, .first = first, .pages = pages,
		.bitmap = (uintptr_t)bitmap,
	};

	return call(vm, GONDOLA_GET_DIRTY, &args);
}

int __gondola_clear_dirty(int vm, uint32_t slot, uint64_t first, uint64_t pages, uint64_t *bitmap)
{
	struct gondola_dirty_log args = {
		.size = sizeof(args), .slot = slot, .first = first, .pages = pages,
		.bitmap = (uintptr_t)bitmap,
	};

	return call(vm, GONDOLA_CLEAR_DIRTY, &args);
}

int __gondola_mark_dirty(int vm, uint32_t source, uint32_t device, uint64_t gpa, uint64_t bytes)
{
	struct gondola_mark_dirty args = {
		.size = sizeof(args), .source = source, .device = device, .gpa = gpa,
		.bytes = bytes,
	};

	return call(vm, GONDOLA_MARK_DIRTY, &args);
}

int __gondola_name_device(int vm, uint32_t device, const char *name)
{
	struct gondola_name_device args = { .size = sizeof(args), .device = device };

	snprintf(args.name, sizeof(args.name), "%s", name);
	return call(vm, GONDOLA_NAME_DEVICE, &args);
}

int __gondola_mark(int vm, uint32_t phase, uint32_t round)
{
	struct gondola_mark args = { .size = sizeof(args), .phase = phase, .round = round };

	return call(vm, GONDOLA_MARK, &args);
}

int __gondola_hold_clock(int vm, bool hold, uint64_t *held_ns, uint64_t *lost_ns)
{
	struct gondola_hold_clock args = {
		.size = sizeof(args), .flags = hold ? GONDOLA_HOLD : 0,
	};
	int ret = call(vm, GONDOLA_HOLD_CLOCK, &args);

	if (!ret && held_ns)
		*held_ns = args.held_ns;
	if (!ret && lost_ns)
		*lost_ns = args.lost_ns;
	return ret;
}

/* ---- vCPU -------------------------------------------------------------------- */

int __gondola_map_run(int vcpu, struct gondola_run **run)
{
	void *page = mmap(NULL, GONDOLA_RUN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);

	if (page == MAP_FAILED)
		return -errno;
	/* It contains the guest's data for devices, so exclude it from core dumps. */
	madvise(page, GONDOLA_RUN_SIZE, MADV_DONTDUMP);
	*run = page;
	return 0;
}

int __gondola_run(int vcpu)
{
	return call(vcpu, GONDOLA_RUN, NULL);
}

int __gondola_set_cpuid(int vcpu, const struct gondola_cpuid_entry *entries, uint32_t count)
{
	struct gondola_cpuid args = {
		.size = sizeof(args), .count = count, .entries = (uintptr_t)entries,
	};

	return call(vcpu, GONDOLA_SET_CPUID, &args);
}

int __gondola_nmi(int vcpu)
{
	return call(vcpu, GONDOLA_NMI, NULL);
}

int __gondola_get_stats(int vcpu, struct gondola_stats *stats)
{
	*stats = (struct gondola_stats){ .size = sizeof(*stats) };
	return call(vcpu, GONDOLA_GET_STATS, stats);
}

int __gondola_get_history(int vcpu, struct gondola_history_entry *entries, uint32_t *count,
			  uint64_t *total)
{
	struct gondola_history args = {
		.size = sizeof(args), .count = *count, .entries = (uintptr_t)entries,
	};
	int ret = call(vcpu, GONDOLA_GET_HISTORY, &args);

	*count = ret ? 0 : args.count;
	*total = args.total;
	return ret;
}

int __gondola_get_shadow(int vcpu, uint64_t gva, uint64_t gpa, struct gondola_shadow *shadow)
{
	*shadow = (struct gondola_shadow){ .size = sizeof(*shadow), .gva = gva, .gpa = gpa };
	return call(vcpu, GONDOLA_GET_SHADOW, shadow);
}

int __gondola_set_xen(int vm, const struct gondola_xen_config *config)
{
	struct gondola_xen_config args = *config;

	args.size = sizeof(args);
	return call(vm, GONDOLA_SET_XEN, &args);
}

int __gondola_xen_raise(int vm, uint32_t port)
{
	struct gondola_xen_raise args = { .size = sizeof(args), .port = port };

	return call(vm, GONDOLA_XEN_RAISE, &args);
}

int __gondola_xen_unknown(int vm, struct gondola_xen_unknown *unknown)
{
	*unknown = (struct gondola_xen_unknown){ .size = sizeof(*unknown) };
	return call(vm, GONDOLA_XEN_UNKNOWN, unknown);
}

int __gondola_get_shadows(int vm, struct gondola_shadows *shadows)
{
	*shadows = (struct gondola_shadows){ .size = sizeof(*shadows) };
	return call(vm, GONDOLA_GET_SHADOWS, shadows);
}

int __gondola_set_debug(int vcpu, const struct gondola_debug *debug)
{
	struct gondola_debug args = *debug;

	args.size = sizeof(args);
	return call(vcpu, GONDOLA_SET_DEBUG, &args);
}
