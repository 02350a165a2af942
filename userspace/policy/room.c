// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>
#include <json-c/json.h>

#include "host.h"
#include "room.h"
#include "base/fail.h"
#include "base/tell.h"
#include "control/registry.h"

#define PATIENCE_S	30
#define MIB(bytes)	((unsigned long long)(((bytes) + (1 << 20) - 1) >> 20))

static struct host host;

/* A lock, since two VMs would count on the same memory.  It ends with the descriptor. */
static int take_turn(void)
{
	int fd = open(registry_path(REGISTRY_LOCK, ".policy"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd >= 0)
		flock(fd, LOCK_EX);
	return fd;
}

static uint64_t needed(uint64_t memory)
{
	uint64_t all = memory + (8ull << 20) + memory / 64 + host.host.low;

	return all > host.host.available ? all - host.host.available : 0;
}

static uint64_t gives(unsigned int guest, const struct decide_move *moves, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		if (moves[i].guest == guest)
			return moves[i].held - host.guests[guest].held;
	return 0;
}

static uint64_t spare(void)
{
	return host.host.available > host.host.low ? host.host.available - host.host.low : 0;
}

static void put(struct json_object *to, const char *member, uint64_t value)
{
	json_object_object_add(to, member, json_object_new_uint64(value));
}

static void show_json(const char *name, uint64_t memory, uint64_t need, uint64_t missing,
		      const struct decide_move *moves, unsigned int count)
{
	struct json_object *out = json_object_new_object(), *vms = json_object_new_array();

	json_object_object_add(out, "name", json_object_new_string(name));
	put(out, "memory", memory);
	put(out, "host_spare", spare());
	put(out, "needed", need);
	put(out, "missing", missing);
	for (unsigned int i = 0; i < host.count; i++) {
		const struct decide_guest *guest = &host.guests[i];
		struct json_object *vm = json_object_new_object();

		json_object_object_add(vm, "name", json_object_new_string(host.vms[i].name));
		put(vm, "memory", guest->memory);
		put(vm, "balloon", guest->held);
		if (guest->usable) {
			put(vm, "available", guest->available);
			put(vm, "floor", guest->floor);
		}
		put(vm, "gives", gives(i, moves, count));
		json_object_array_add(vms, vm);
	}
	json_object_object_add(out, "vms", vms);
	tell("%s\n", json_object_to_json_string_ext(out, JSON_C_TO_STRING_PLAIN |
						      JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(out);
}

static void show(const char *name, uint64_t memory, uint64_t need,
		 const struct decide_move *moves, unsigned int count)
{
	tell("%s wants %llu MiB; the host has %llu MiB to give, %llu MiB more are needed\n", name,
	       MIB(memory), MIB(spare()), MIB(need));
	if (!need)
		return;
	tell("%-16s %8s %8s %9s %7s %7s\n", "VM (MiB)", "memory", "balloon", "available",
	       "floor", "gives");
	for (unsigned int i = 0; i < host.count; i++) {
		const struct decide_guest *guest = &host.guests[i];

		tell("%-16s %8llu %8llu", host.vms[i].name, MIB(guest->memory), MIB(guest->held));
		if (guest->usable)
			tell(" %9llu %7llu %7llu\n", MIB(guest->available), MIB(guest->floor),
			       MIB(gives(i, moves, count)));
		else
			tell(" %9s %7s %7s  (%s)\n", "-", "-", "0", host.vms[i].asked ?
			       "it tells no statistics" : "it has no balloon");
	}
}

static bool refuse(const char *name, uint64_t missing, struct error *error)
{
	return error_set(error, EXIT_CODE_MEMORY,
			 "%s cannot be started: %llu MiB of memory are missing, the running VMs cannot spare more",
			 name, MIB(missing));
}

static void give_back(const uint64_t *before)
{
	for (unsigned int i = 0; i < host.count; i++) {
		struct guest_request request = { .size = before[i], .floor = host.guests[i].floor };

		if (host.vms[i].asked && host.guests[i].held > before[i])
			guest_ask(&host.vms[i].guest, &request);
	}
}

/* Ask, wait, check again: a guest may have less than it said. */
static bool take(const char *name, uint64_t memory, struct error *error)
{
	struct decide_move moves[DECIDE_MAX_GUESTS];
	uint64_t before[DECIDE_MAX_GUESTS], missing, need = needed(memory);
	char names[DECIDE_MAX_GUESTS][32];
	unsigned int known = host.count;

	for (unsigned int i = 0; i < known; i++) {
		before[i] = host.guests[i].held;
		snprintf(names[i], sizeof(names[i]), "%s", host.vms[i].name);
	}
	for (int round = 0; round < 3 && need; round++) {
		unsigned int count = decide_take(host.guests, host.count, need, moves, &missing);

		if (missing)
			break;
		for (unsigned int i = 0; i < count; i++) {
			struct host_vm *vm = &host.vms[moves[i].guest];

			say("%s: %llu MiB more into its balloon: %s is to be started", vm->name,
			    MIB(moves[i].held - host.guests[moves[i].guest].held), name);
			if (host_move(&host, &moves[i], PATIENCE_S * 1000))
				say("%s: %s", vm->name, vm->guest.error);
		}
		host_wait(&host, PATIENCE_S);
		host_forget(&host);
		if (!host_look(&host, name, 0, error))
			return false;
		need = needed(memory);
	}
	if (!need)
		return true;
	decide_take(host.guests, host.count, need, moves, &missing);
	refuse(name, missing ? missing : need, error);
	/* Ignore VMs that started or ended meanwhile. */
	if (known == host.count)
		give_back(before);
	return false;
}

bool room_make(const char *name, uint64_t memory, enum room_preview preview, struct error *error)
{
	struct decide_move moves[DECIDE_MAX_GUESTS];
	uint64_t need, missing = 0;
	unsigned int count = 0;
	bool enough = true;
	int turn = -1;

	if (!host_look(&host, name, 0, error))
		return false;
	if (!preview && needed(memory)) {
		host_forget(&host);
		turn = take_turn();
		enough = host_look(&host, name, 0, error);
	}
	need = enough ? needed(memory) : 0;
	if (preview) {
		if (need)
			count = decide_take(host.guests, host.count, need, moves, &missing);
		if (preview == ROOM_SAY_JSON)
			show_json(name, memory, need, missing, moves, count);
		else
			show(name, memory, need, moves, count);
		if (missing)
			enough = refuse(name, missing, error);
	} else if (need) {
		enough = take(name, memory, error);
	}
	host_forget(&host);
	if (turn >= 0)
		close(turn);
	return enough;
}
