// SPDX-License-Identifier: GPL-2.0-only
/* The way of an ioctl: copy its argument in, lock, call, copy the answer out. */
#include <linux/errno.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "host/vcpu_host.h"
#include "ioctl.h"
#include "vcpu.h"
#include "vm.h"

/* Longer arguments are allocated. */
#define SMALL_ARGS	128

/* All arguments start with this. */
struct head {
	u32 size;
	u32 flags;
};

static long call_locked(const struct ioctl_row *row, struct gondola_vm *vm,
			struct gondola_vcpu *vcpu, void *args)
{
	struct mutex *lock = NULL;
	long ret;

	if (row->lock == IOCTL_VM)
		lock = &vm->lock;
	else if (row->lock == IOCTL_VCPU)
		lock = &vcpu->host->mutex;
	if (row->lock == IOCTL_VM)
		mutex_lock(lock);
	/* The wait for another thread's GONDOLA_RUN can be interrupted. */
	else if (lock && mutex_lock_interruptible(lock))
		return -EINTR;
	ret = row->call(vm, vcpu, args);
	if (lock)
		mutex_unlock(lock);
	return ret;
}

/* @args: a buffer of @bytes for the argument. */
static long call_with_args(const struct ioctl_row *row, struct gondola_vm *vm,
			   struct gondola_vcpu *vcpu, void __user *uarg, void *args, u32 bytes)
{
	const struct head *head = args;
	long ret;

	if (copy_from_user(args, uarg, bytes))
		return -EFAULT;
	if (head->size != bytes || (head->flags & ~row->flags))
		return -EINVAL;
	ret = call_locked(row, vm, vcpu, args);
	if ((_IOC_DIR(row->cmd) & _IOC_READ) && copy_to_user(uarg, args, bytes))
		ret = -EFAULT;
	return ret;
}

static long make_call(const struct ioctl_row *row, struct gondola_vm *vm,
		      struct gondola_vcpu *vcpu, void __user *uarg)
{
	u64 small[SMALL_ARGS / sizeof(u64)];
	u32 bytes = _IOC_SIZE(row->cmd);
	void *args = small;
	long ret;

	if (!bytes)
		return call_locked(row, vm, vcpu, NULL);
	if (bytes > SMALL_ARGS)
		args = kmalloc(bytes, GFP_KERNEL_ACCOUNT);
	if (!args)
		return -ENOMEM;
	ret = call_with_args(row, vm, vcpu, uarg, args, bytes);
	if (args != small)
		kfree(args);
	return ret;
}

long ioctl_make(const struct ioctl_row *calls, size_t count, struct gondola_vm *vm,
		struct gondola_vcpu *vcpu, unsigned int cmd, unsigned long arg)
{
	const struct ioctl_row *row;

	/* Slots have addresses of one address space, and a forked child has another. */
	if (vm && current->mm != vm->mm)
		return -EIO;
	for (row = calls; row < calls + count; row++)
		if (row->cmd == cmd)
			return make_call(row, vm, vcpu, (void __user *)arg);
	return -ENOTTY;
}
