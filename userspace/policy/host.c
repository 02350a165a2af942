// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/member.h"
#include "host.h"
#include "control/registry.h"

/* The overhead of a VM beside its memory: launcher, module and page tables. */
#define OVERHEAD(memory)	((8ull << 20) + (memory) / 64)

static bool meminfo(const char *field, uint64_t *bytes, struct error *error)
{
	FILE *file = fopen("/proc/meminfo", "re");
	char line[128], name[64];
	unsigned long long kib;

	if (!file)
		return error_set(error, EXIT_CODE_ERROR, "/proc/meminfo: %s", strerror(errno));
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%63[^:]: %llu", name, &kib) == 2 && !strcmp(name, field)) {
			fclose(file);
			*bytes = kib << 10;
			return true;
		}
	fclose(file);
	return error_set(error, EXIT_CODE_ERROR, "/proc/meminfo has no %s", field);
}

/* Without PSI in the kernel the pressure is 0. */
static double pressure(void)
{
	FILE *file = fopen("/proc/pressure/memory", "re");
	double percent = 0;

	if (!file)
		return 0;
	if (fscanf(file, "some avg10=%lf", &percent) != 1)
		percent = 0;
	fclose(file);
	return percent;
}

static uint64_t rss_of(pid_t pid)
{
	unsigned long long pages = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%*u %llu", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages * sysconf(_SC_PAGESIZE);
}

static uint64_t config_memory(const struct registry_vm *found)
{
	return member_count(found->config, "memory") ?: member_count(found->status, "memory");
}

/* The default for memory that VMs may not have. */
static uint64_t default_reserve(uint64_t total)
{
	return total / 20 > 64ull << 20 ? total / 20 : 64ull << 20;
}

static void take_guest(struct host *host, unsigned int i)
{
	struct host_vm *vm = &host->vms[i];
	struct decide_guest *guest = &host->guests[i];

	*guest = (struct decide_guest){ .memory = vm->memory, .rest = guest->rest };
	vm->asked = !guest_connect(&vm->guest, vm->name) && !guest_status(&vm->guest);
	if (!vm->asked) {
		guest_disconnect(&vm->guest);
		return;
	}
	vm->memory = vm->guest.memory;
	guest->memory = vm->guest.memory;
	guest->held = vm->guest.held;
	guest->floor = vm->guest.keep;
	if (!guest_stats(&vm->guest) && vm->guest.has_stats) {
		guest->usable = true;
		guest->available = vm->guest.available;
	}
}

static void take_vm(struct host *host, const char *name)
{
	struct host_vm *vm = &host->vms[host->count];
	struct registry_vm found;
	uint64_t most;

	if (registry_find(name, &found))
		return;
	if (!found.pid || host->count == DECIDE_MAX_GUESTS) {
		registry_put(&found);
		return;
	}
	snprintf(vm->name, sizeof(vm->name), "%s", name);
	vm->memory = config_memory(&found);
	take_guest(host, host->count);
	vm->rss = rss_of(found.pid);
	registry_put(&found);
	most = vm->memory - host->guests[host->count].held + OVERHEAD(vm->memory);
	if (most > vm->rss)
		host->promised += most - vm->rss;
	host->count++;
}

bool host_look(struct host *host, const char *except, uint64_t reserve, struct error *error)
{
	uint64_t available;
	char **names;

	host->count = 0;
	host->promised = 0;
	if (!meminfo("MemTotal", &host->total, error) || !registry_init(error))
		return false;
	host->reserve = reserve ? reserve : default_reserve(host->total);
	names = registry_list();
	for (char **name = names; name && *name; name++)
		if (!except || strcmp(*name, except))
			take_vm(host, *name);
	registry_free_list(names);
	if (!meminfo("MemAvailable", &available, error))
		return false;
	host->host = (struct decide_host){
		.available = available > host->promised ? available - host->promised : 0,
		.low = host->reserve,
		.high = host->reserve + host->reserve / 2,
		.pressure = pressure(),
	};
	return true;
}

void host_forget(struct host *host)
{
	for (unsigned int i = 0; i < host->count; i++)
		if (host->vms[i].asked)
			guest_disconnect(&host->vms[i].guest);
	host->count = 0;
}

int host_move(struct host *host, const struct decide_move *move, uint64_t deadline_ms)
{
	struct guest_request request = {
		.size = move->held,
		.deadline_ms = deadline_ms,
		.floor = host->guests[move->guest].floor,
		.why = decide_why_words(move->why),
	};

	return guest_ask(&host->vms[move->guest].guest, &request);
}

void host_wait(struct host *host, unsigned int seconds)
{
	for (unsigned int tenths = 0; tenths < seconds * 10; tenths++) {
		bool busy = false;

		for (unsigned int i = 0; i < host->count; i++)
			if (host->vms[i].asked && !guest_status(&host->vms[i].guest))
				busy |= !strcmp(host->vms[i].guest.reason, "running");
		if (!busy)
			return;
		usleep(100000);
	}
}
