// SPDX-License-Identifier: GPL-2.0-only
/* Descriptors: which there are, and the calls that make and end them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

struct world world;

/* One that is there, if a few looks find one. */
static int pick(struct random *r, atomic_int *of, unsigned int count)
{
	int fd = -1;

	for (unsigned int i = 0; i < 4 && fd < 0; i++)
		fd = atomic_load(&of[below(r, count)]);
	return fd;
}

int any_sys(struct random *r)
{
	return pick(r, world.sys, MAX_SYS);
}

int any_vm(struct random *r)
{
	return pick(r, world.vms, MAX_VMS);
}

struct slot *any_slot(struct random *r, int *fd, uint32_t *number)
{
	struct slot *slot;
	uint32_t vm;

	for (unsigned int i = 0; i < 24; i++) {
		vm = below(r, MAX_VMS);
		*number = below(r, MAX_SLOTS);
		*fd = atomic_load(&world.vms[vm]);
		slot = &world.slots[vm][*number];
		if (*fd >= 0 && slot->bytes)
			break;
	}
	return slot;
}

int any_event(struct random *r)
{
	return one_in(r, 16) ? (int)odd_value(r) : pick(r, world.events, MAX_EVENTS);
}

struct vcpu *any_vcpu(struct random *r)
{
	struct vcpu *vcpu;

	for (unsigned int i = 0; i < 6; i++) {
		vcpu = &world.vcpus[below(r, MAX_VCPUS)];
		if (atomic_load(&vcpu->fd) >= 0)
			break;
	}
	return vcpu;
}

/* A descriptor takes an empty place, or closes who has it. */
static void keep(atomic_int *place, int fd)
{
	int old;

	if (fd < 0)
		return;
	old = atomic_exchange(place, fd);
	if (old >= 0)
		close(old);
}

void call_create_vm(struct worker *w)
{
	struct random *r = &w->random;
	struct gondola_create_vm arg = { .size = sizeof(arg) };
	uint32_t place = below(r, MAX_VMS);
	long fd;

	if (one_in(r, 4))
		arg.engine = below(r, GONDOLA_ENGINE_COUNT + 1);
	if (one_in(r, 2))
		arg.shadow_pages = one_in(r, 4) ? odd_value(r) : 1 + below(r, 64);
	if (one_in(r, 4))
		fill(r, arg.name, sizeof(arg.name) - below(r, 2));
	if (one_in(r, 16))
		arg.flags = odd_value(r);
	fd = do_ioctl(w, any_sys(r), GONDOLA_CREATE_VM, &arg, sizeof(arg), "CREATE_VM");
	if (fd >= 0)
		memset(world.slots[place], 0, sizeof(world.slots[place]));
	keep(&world.vms[place], fd);
}

/* The vCPU's place in the world says nothing of its number. */
void call_create_vcpu(struct worker *w)
{
	struct random *r = &w->random;
	struct gondola_create_vcpu arg = { .size = sizeof(arg) };
	struct vcpu *vcpu = &world.vcpus[below(r, MAX_VCPUS)];
	int vm = below(r, MAX_VMS);
	long fd;

	arg.id = one_in(r, 16) ? odd_value(r) : below(r, 4);
	if (one_in(r, 32))
		arg.pad = 1;
	fd = do_ioctl(w, world.vms[vm], GONDOLA_CREATE_VCPU, &arg, sizeof(arg), "CREATE_VCPU");
	if (fd < 0)
		return;
	/* A vCPU whose run page is mapped stays: other threads write there. */
	if (atomic_load(&vcpu->fd) >= 0 && atomic_load(&vcpu->run)) {
		close(fd);
		return;
	}
	vcpu->vm = vm;
	keep(&vcpu->fd, fd);
}

void call_map_run(struct worker *w)
{
	struct random *r = &w->random;
	struct vcpu *vcpu = any_vcpu(r);
	size_t bytes = GONDOLA_RUN_SIZE;
	off_t offset = 0;
	int flags = MAP_SHARED;
	struct gondola_run *none = NULL;
	void *at;

	if (one_in(r, 8))
		bytes = PAGE * (1 + below(r, 4));
	if (one_in(r, 8))
		offset = PAGE * below(r, 4);
	if (one_in(r, 8))
		flags = MAP_PRIVATE;
	say(w, "mmap %zu bytes of vCPU %d at %ld, flags %d", bytes, vcpu->fd, (long)offset, flags);
	pthread_mutex_lock(&mappings);
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, vcpu->fd, offset);
	said(w, at == MAP_FAILED ? -errno : 0);
	if (at == MAP_FAILED) {
		pthread_mutex_unlock(&mappings);
		return;
	}
	if (bytes != GONDOLA_RUN_SIZE || offset || flags != MAP_SHARED ||
	    !atomic_compare_exchange_strong(&vcpu->run, &none, at)) {
		void *moved = mremap(at, bytes, bytes * (1 + below(r, 2)), MREMAP_MAYMOVE);

		if (moved == MAP_FAILED)
			munmap(at, bytes);
		else
			munmap(moved, bytes);
	}
	pthread_mutex_unlock(&mappings);
}

void call_close(struct worker *w)
{
	struct random *r = &w->random;
	atomic_int *place;
	int fd;

	switch (below(r, 6)) {
	case 0:
		place = &world.sys[below(r, MAX_SYS)];
		fd = open("/dev/gondola", O_RDWR | O_CLOEXEC);
		say(w, "open the device again");
		said(w, fd);
		keep(place, fd);
		return;
	case 1:
	case 2:
		place = &world.vms[below(r, MAX_VMS)];
		break;
	case 3:
		place = &world.events[below(r, MAX_EVENTS)];
		keep(place, eventfd(below(r, 3), EFD_CLOEXEC | EFD_NONBLOCK));
		return;
	default:
		place = &world.vcpus[below(r, MAX_VCPUS)].fd;
	}
	if (one_in(r, 3))
		return;
	fd = atomic_exchange(place, -1);
	if (fd < 0)
		return;
	say(w, "close %d", fd);
	said(w, close(fd));
}

void call_cpuid(struct worker *w)
{
	struct gondola_cpuid_entry *entries = (void *)w->args;
	struct gondola_cpuid list = { .size = sizeof(list), .count = GONDOLA_MAX_CPUID };
	struct random *r = &w->random;

	list.entries = (uintptr_t)entries;
	if (one_in(r, 8))
		list.engine = below(r, GONDOLA_ENGINE_COUNT + 1);
	if (one_in(r, 8))
		list.count = odd_value(r);
	if (one_in(r, 12))
		list.entries = memory_any(r);
	do_ioctl(w, any_sys(r), GONDOLA_GET_SUPPORTED_CPUID, &list, sizeof(list),
		 "GET_SUPPORTED_CPUID");
	/* The list comes back where do_ioctl() put it: it may be anything by now. */
	list = (struct gondola_cpuid){ .size = sizeof(list), .entries = (uintptr_t)entries };
	list.count = one_in(r, 4) ? below(r, GONDOLA_MAX_CPUID + 2) : 12 + below(r, 20);
	for (uint32_t i = below(r, 4) ? 0 : 1 + below(r, 3); i; i--) {
		uint32_t *word = (uint32_t *)&entries[below(r, GONDOLA_MAX_CPUID)] + below(r, 8);

		*word = one_in(r, 2) ? odd_value(r) : *word ^ 1u << below(r, 32);
	}
	do_ioctl(w, any_vcpu(r)->fd, GONDOLA_SET_CPUID, &list, sizeof(list), "SET_CPUID");
}
