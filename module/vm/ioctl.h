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
extern atomic_t vm_count;
extern atomic_t vcpu_count;

/** vm_create() - a VM and its descriptor; -errno */
int vm_create(const struct gondola_create_vm *args);
void vm_get(struct gondola_vm *vm);
void vm_put(struct gondola_vm *vm);
/** vm_audit_all() - gondola_mmu_audit() of every VM; slow; the number of violations */
u64 vm_audit_all(void);
/** vm_list() - a line for each VM: id, pid, vCPUs, pages of memory, phase, round, name */
void vm_list(struct seq_file *out);
/** vm_has_memory() - has any slot been set? */
bool vm_has_memory(const struct gondola_vm *vm);

/** vcpu_create() - a vCPU and its descriptor; vm->lock held; -errno */
int vcpu_create(struct gondola_vm *vm, u32 id);
/** vcpu_destroy() - the VM dies: nothing runs or refers to it any more */
void vcpu_destroy(struct gondola_vcpu *vcpu);

/** vcpus_trylock() - keep all threads out of the vCPUs; -EBUSY: one uses one; vm->lock held */
int vcpus_trylock(struct gondola_vm *vm);
/** vcpus_unlock() - of all vCPUs, or those before @end */
void vcpus_unlock(struct gondola_vm *vm, const struct gondola_vcpu *end);

/** vm_get_state(), vm_set_state() - the calls of that name; @vcpu NULL: of the VM */
long vm_get_state(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *args);
long vm_set_state(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *args);

enum ioctl_lock {
	IOCTL_UNLOCKED,
	IOCTL_VM,	/* vm->lock */
	IOCTL_VCPU,	/* the vCPU's mutex, for which a signal ends the wait */
};

/**
 * struct ioctl_row - one call
 * @cmd: its number, which says how long the argument is and whether it is written back
 * @flags: those that the argument may have
 * @lock: is held around @call, but not while the argument is copied: a page that
 *	userfaultfd or FUSE does not give would hold up all who want the lock
 * @call: gets a copy of the argument, whose size and flags are checked
 */
struct ioctl_row {
	unsigned int cmd;
	u32 flags;
	enum ioctl_lock lock;
	long (*call)(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *args);
};

/**
 * ioctl_make() - find a call in its table and make it
 * @calls: the @count calls that the descriptor knows
 * @vm: NULL for /dev/gondola
 * @vcpu: NULL for these and a VM's descriptor
 */
long ioctl_make(const struct ioctl_row *calls, size_t count, struct gondola_vm *vm,
		struct gondola_vcpu *vcpu, unsigned int cmd, unsigned long arg);

/**
 * vm_name_ok() - does @name end within its @room, and can a terminal print it as it is?
 *
 * Names of VMs and devices reach terminals by way of debugfs and tracepoints: an escape sequence
 * in one would be obeyed there.
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
