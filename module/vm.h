/* SPDX-License-Identifier: GPL-2.0-only */
/* The VM object.  Its lifetime and ioctls are in vm/vm.c. */
#ifndef GONDOLA_VM_H
#define GONDOLA_VM_H

#include <linux/atomic.h>
#include <linux/errno.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/nospec.h>
#include <linux/types.h>
#include <asm/barrier.h>
#include <uapi/linux/gondola.h>
#include "clock.h"
#include "engine.h"
#include "mmu/mmu.h"

struct mm_struct;
struct gondola_eventfds;
struct gondola_irqchip;
struct gondola_vcpu;
struct gondola_xen;

/**
 * struct gondola_vm - a virtual machine
 * @id: unique while the module is loaded
 * @name: from the launcher
 * @pid: the launcher's, for tools
 * @engine: executes its vCPUs
 * @mm: the launcher's address space; every ioctl must come from it (-EIO otherwise)
 * @lock: serialises configuration: slots, creation of vCPUs
 * @refs: one for the VM's descriptor, one for each vCPU's
 * @vcpus: by id; an entry is set once and stays until the VM ends (smp_load_acquire)
 * @mmu: guest memory and shadow tables; has its own lock (mmu.lock, a spinlock, inside @lock)
 * @memory_pages: number of pages in all slots; written under @lock
 * @irqchip: PIC, I/O APIC and PIT; has its own locks
 * @eventfds: see eventfd.c; NULL until one is registered (smp_load_acquire)
 * @clock: its time; has its own lock
 * @xen: its personality, see xen/guest.h; NULL: it is a machine
 * @phase, @round: the launcher's marks, copied to events
 * @devices: names of the launcher's devices, for events; under @lock
 * @dead: set after an impossible event; all vCPUs leave with -EIO
 */
struct gondola_vm {
	u32 id;
	char name[GONDOLA_NAME_LEN];
	pid_t pid;
	const struct gondola_engine_ops *engine;
	struct mm_struct *mm;
	struct mutex lock;
	u64 memory_pages;
	struct kref refs;
	struct list_head link;
	struct gondola_vcpu *vcpus[GONDOLA_MAX_VCPUS];
	atomic_t nr_vcpus;
	struct gondola_vm_mmu mmu;
	struct gondola_irqchip *irqchip;
	struct gondola_eventfds *eventfds;
	struct gondola_clock clock;
	struct gondola_xen *xen;
	u32 phase;
	u32 round;
	char devices[GONDOLA_MAX_DEVICES][GONDOLA_DEVICE_NAME_LEN];
	bool ran;
	bool dead;
};

/** gondola_vcpu_by_id() - find a vCPU, or NULL; needs no lock */
static inline struct gondola_vcpu *gondola_vcpu_by_id(struct gondola_vm *vm, u32 id)
{
	id = array_index_nospec(id, GONDOLA_MAX_VCPUS);
	/* Pairs with the release that published the complete vCPU. */
	return smp_load_acquire(&vm->vcpus[id]);
}

static inline struct gondola_vcpu *gondola_next_vcpu(struct gondola_vm *vm, unsigned int *id)
{
	struct gondola_vcpu *vcpu = NULL;

	while (*id < GONDOLA_MAX_VCPUS && !(vcpu = gondola_vcpu_by_id(vm, *id)))
		(*id)++;
	return vcpu;
}

/* For every existing vCPU, by ascending id. */
#define gondola_for_each_vcpu(vcpu, vm, i)				\
	for ((i) = 0; ((vcpu) = gondola_next_vcpu(vm, &(i))); (i)++)

/** gondola_refuse() - note the field that is wrong */
static inline int gondola_refuse(u32 *bad, u32 offset)
{
	*bad = offset;
	return -EINVAL;
}

/** gondola_refuse_for() - the same because of @err; but -EAGAIN is missing memory, no refusal */
static inline int gondola_refuse_for(int err, u32 *bad, u32 offset)
{
	return err == -EAGAIN ? err : gondola_refuse(bad, offset);
}

#endif
