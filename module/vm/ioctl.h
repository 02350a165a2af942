/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lifetime of the two objects, from main.c down to vCPUs, and how an ioctl's
 * argument is taken in.
 */
#ifndef GONDOLA_IOCTL_H
#define GONDOLA_IOCTL_H

#include <linux/atomic.h>
#include <linux/types.h>
#include <linux/uaccess.h>
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
/** gondola_state_ioctl() - GONDOLA_GET_STATE, GONDOLA_SET_STATE; @vcpu NULL: of the VM */
long gondola_state_ioctl(struct gondola_vm *vm, struct gondola_vcpu *vcpu, bool set,
			 void __user *uarg);

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

/**
 * gondola_copy_args() - copy an ioctl's argument in and check its head
 * @args: a structure that starts with size and flags
 * @flags: those that are known
 */
static inline int gondola_copy_args(void *args, const void __user *uarg, u32 size, u32 flags)
{
	const u32 *head = args;

	if (copy_from_user(args, uarg, size))
		return -EFAULT;
	return head[0] == size && !(head[1] & ~flags) ? 0 : -EINVAL;
}

#endif
