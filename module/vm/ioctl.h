/* SPDX-License-Identifier: GPL-2.0-only */
/* Lifetime of the two objects, from main.c down to vCPUs, and how an ioctl reaches them. */
#ifndef GONDOLA_IOCTL_H
#define GONDOLA_IOCTL_H

#include <linux/atomic.h>
#include <linux/types.h>
#include <uapi/linux/gondola.h>

struct gondola_vm;
struct seq_file;
struct gondola_vcpu;

/* Objects that exist, for debugfs. */
extern atomic_t gondola_nr_vms;
extern atomic_t gondola_nr_vcpus;

/** gondola_vm_create() - a VM and its descriptor; -errno */
int gondola_vm_create(const struct gondola_create_vm *args);
void gondola_vm_get(struct gondola_vm *vm);
void gondola_vm_put(struct gondola_vm *vm);
/** gondola_vm_audit_all() - gondola_mmu_audit() of every VM; slow; the number of violations */
u64 gondola_vm_audit_all(void);
/** gondola_vm_list() - a line for each VM: id, pid, vCPUs, pages of memory, phase, round, name */
void gondola_vm_list(struct seq_file *out);
/** gondola_vm_has_memory() - has any slot been set? */
bool gondola_vm_has_memory(const struct gondola_vm *vm);

/** gondola_vcpu_create() - a vCPU and its descriptor; vm->lock held; -errno */
int gondola_vcpu_create(struct gondola_vm *vm, u32 id);
/** gondola_vcpu_destroy() - the VM dies: nothing runs or refers to it any more */
void gondola_vcpu_destroy(struct gondola_vcpu *vcpu);

/** gondola_vcpus_trylock() - keep all threads out of the vCPUs; -EBUSY: one uses one; vm->lock held */
int gondola_vcpus_trylock(struct gondola_vm *vm);
/** gondola_vcpus_unlock() - of all vCPUs, or those before @end */
void gondola_vcpus_unlock(struct gondola_vm *vm, const struct gondola_vcpu *end);

/** gondola_cpuid_args() - fetch the list that a struct gondola_cpuid leads to; ERR_PTR() or kfree() it */
struct gondola_cpuid_entry *gondola_cpuid_args(const struct gondola_cpuid *args);
/** gondola_get_state(), gondola_set_state() - the calls of that name; @vcpu NULL: of the VM */
long gondola_get_state(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *args);
long gondola_set_state(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *args);

enum ioctl_lock {
	IOCTL_UNLOCKED,
	IOCTL_VM,	/* vm->lock */
	IOCTL_VCPU,	/* the vCPU's mutex, for which a signal ends the wait */
};

/**
 * struct gondola_ioctl - one call
 * @cmd: its number, which says how long the argument is and whether it is written back
 * @flags: those that the argument may have
 * @lock: is held around @call, but not while the argument is copied: a page that
 *	userfaultfd or FUSE does not give would hold up all who want the lock
 * @call: gets a copy of the argument, whose size and flags are checked
 */
struct gondola_ioctl {
	unsigned int cmd;
	u32 flags;
	enum ioctl_lock lock;
	long (*call)(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *args);
};

/**
 * gondola_ioctl() - find a call in its table and make it
 * @calls: the @count calls that the descriptor knows
 * @vm: NULL for /dev/gondola
 * @vcpu: NULL for these and a VM's descriptor
 */
long gondola_ioctl(const struct gondola_ioctl *calls, size_t count, struct gondola_vm *vm,
		   struct gondola_vcpu *vcpu, unsigned int cmd, unsigned long arg);

/**
 * gondola_name_ok() - does @name end within its @room, and can a terminal print it as it is?
 *
 * Names of VMs and devices reach terminals by way of debugfs and tracepoints: an escape sequence
 * in one would be obeyed there.
 */
static inline bool gondola_name_ok(const char *name, unsigned int room)
{
	unsigned int i;

	for (i = 0; i < room && name[i]; i++)
		if (name[i] < ' ' || name[i] > '~')
			return false;
	return i < room;
}

#endif
