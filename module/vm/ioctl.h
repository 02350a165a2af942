/* SPDX-License-Identifier: GPL-2.0-only */
/* The lifetime of VMs and vCPUs, and the dispatch of ioctls to them. */
#ifndef GONDOLA_IOCTL_H
#define GONDOLA_IOCTL_H

#include <linux/atomic.h>
#include <linux/types.h>
#include <uapi/linux/gondola.h>

struct gondola_vm;
struct seq_file;
struct gondola_vcpu;

/* Numbers of objects, for debugfs. */
extern atomic_t vm_count;
extern atomic_t vcpu_count;

/** vm_create() - create a VM; returns its descriptor or -errno */
int vm_create(const struct gondola_create_vm *args);
void vm_get(struct gondola_vm *vm);
void vm_put(struct gondola_vm *vm);
/** vm_audit_all() - call gondola_mmu_audit() for each VM; returns the number of violations; slow */
u64 vm_audit_all(void);
/** vm_list() - print a line for each VM: id, pid, vCPUs, pages of memory, phase, round, name */
void vm_list(struct seq_file *out);
/** vm_has_memory() - has any slot been set? */
bool vm_has_memory(const struct gondola_vm *vm);

/** vcpu_create() - create a vCPU; returns its descriptor or -errno; vm->lock held */
int vcpu_create(struct gondola_vm *vm, u32 id);
/** vcpu_destroy() - destroy a vCPU of a VM that ends: nothing runs or refers to it */
void vcpu_destroy(struct gondola_vcpu *vcpu);

/** vcpus_trylock() - lock all vCPUs; -EBUSY if one is in use; vm->lock held */
int vcpus_trylock(struct gondola_vm *vm);
/** vcpus_unlock() - unlock all vCPUs, or those before @end */
void vcpus_unlock(struct gondola_vm *vm, const struct gondola_vcpu *end);

/** vm_get_state(), vm_set_state() - do the ioctl of that name, for a vCPU or, if NULL, for the VM */
long vm_get_state(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *args);
long vm_set_state(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *args);

enum ioctl_lock {
	IOCTL_UNLOCKED,
	IOCTL_VM,	/* vm->lock */
	IOCTL_VCPU,	/* the vCPU's mutex; a signal ends the wait for it */
};

/**
 * struct ioctl_row - an ioctl
 * @cmd: its number, which has the argument's size, and whether it is written back
 * @flags: the flags that the argument may have
 * @lock: held around @call, but not while the argument is copied: a page that userfaultfd or FUSE
 *	holds back would block all who need the lock
 * @call: gets a copy of the argument, whose size and flags are checked
 */
struct ioctl_row {
	unsigned int cmd;
	u32 flags;
	enum ioctl_lock lock;
	long (*call)(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *args);
};

/**
 * ioctl_make() - find a call in its table and do it
 * @calls: the descriptor's @count calls
 * @vm: NULL for /dev/gondola
 * @vcpu: NULL for /dev/gondola and a VM's descriptor
 */
long ioctl_make(const struct ioctl_row *calls, size_t count, struct gondola_vm *vm,
		struct gondola_vcpu *vcpu, unsigned int cmd, unsigned long arg);

/**
 * vm_name_ok() - does @name end within its @room, and can a terminal print it as it is?
 *
 * Names of VMs and devices reach terminals through debugfs and tracepoints, where an escape
 * sequence would take effect.
 */
static inline bool vm_name_ok(const char *name, unsigned int room)
{
	unsigned int i;

	for (i = 0; i < room && name[i]; i++)
		if (name[i] < ' ' || name[i] > '~')
			return false;
	return i < room;
}

#endif
