// SPDX-License-Identifier: GPL-2.0-only
/* The VM object: lifetime, its descriptor, its ioctls. */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "irq/eventfd.h"
#include "host/host.h"
#include "ioctl.h"
#include "run/run.h"
#include "irq/irq.h"
#include "state.h"
#include "trace.h"
#include "vcpu.h"
#include "vm.h"
#include "xen/guest.h"

/* More than the records of any VM or vCPU need. */
#define STATE_LIMIT	(4u << 20)

/* A limit, since some of a VM's memory cannot be charged to the process that creates it. */
static unsigned int max_vms = 256;
module_param(max_vms, uint, 0644);
MODULE_PARM_DESC(max_vms, "VMs at the same time, of all users (default 256)");

static atomic_t last_id = ATOMIC_INIT(0);

/* All VMs, for the audit and the list. */
static LIST_HEAD(vms);
static DEFINE_MUTEX(vms_lock);

static void vm_free(struct kref *refs)
{
	struct gondola_vm *vm = container_of(refs, struct gondola_vm, refs);
	struct gondola_vcpu *gone[GONDOLA_MAX_VCPUS];
	int i;

	mutex_lock(&vms_lock);
	list_del(&vm->link);
	mutex_unlock(&vms_lock);
	trace_gondola_vm(vm->id, vm->pid, false);
	gondola_eventfds_destroy(vm);
	/* The PIT's timer uses LAPICs. */
	gondola_irqchip_destroy(vm);
	/* An MMU notifier uses vCPUs, under this lock, until it is detached. */
	spin_lock(&vm->mmu.lock);
	for (i = 0; i < GONDOLA_MAX_VCPUS; i++) {
		gone[i] = vm->vcpus[i];
		WRITE_ONCE(vm->vcpus[i], NULL);
	}
	spin_unlock(&vm->mmu.lock);
	for (i = 0; i < GONDOLA_MAX_VCPUS; i++)
		if (gone[i])
			vcpu_destroy(gone[i]);
	gondola_xen_destroy(vm);
	gondola_mmu_destroy_vm(vm);
	gondola_engine_put(vm->engine);
	mmdrop(vm->mm);
	mutex_destroy(&vm->lock);
	kfree(vm);
	atomic_dec(&vm_count);
}

void vm_get(struct gondola_vm *vm)
{
	kref_get(&vm->refs);
}

void vm_put(struct gondola_vm *vm)
{
	kref_put(&vm->refs, vm_free);
}

u64 vm_audit_all(void)
{
	struct gondola_vm *vm;
	u64 bad = 0;

	mutex_lock(&vms_lock);
	list_for_each_entry(vm, &vms, link)
		bad += gondola_mmu_audit(vm);
	mutex_unlock(&vms_lock);
	return bad;
}

/* The list and the first RUN read the sum; vm->lock held. */
static void count_memory(struct gondola_vm *vm)
{
	u64 pages = 0;
	int i;

	for (i = 0; i < GONDOLA_MAX_SLOTS; i++)
		pages += vm->mmu.slots[i].pages;
	WRITE_ONCE(vm->memory_pages, pages);
}

/* Take no VM's own lock under the global one: it may be held for long. */
void vm_list(struct seq_file *out)
{
	struct gondola_vm *vm;

	mutex_lock(&vms_lock);
	list_for_each_entry(vm, &vms, link)
		seq_printf(out, "%u %d %d %llu %u %u %s\n", vm->id, vm->pid,
			   atomic_read(&vm->nr_vcpus), READ_ONCE(vm->memory_pages),
			   READ_ONCE(vm->phase), READ_ONCE(vm->round), vm->name);
	mutex_unlock(&vms_lock);
}

bool vm_has_memory(const struct gondola_vm *vm)
{
	return READ_ONCE(vm->memory_pages);
}

/* ---- ioctls --------------------------------------------------------------- */

static long set_memory(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *arg)
{
	const struct gondola_memory_slot *args = arg;
	int err;

	if (args->pad || args->slot >= GONDOLA_MAX_SLOTS)
		return -EINVAL;
	err = gondola_mmu_set_slot(vm, args);
	count_memory(vm);
	return err;
}

static long create_vcpu(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *arg)
{
	const struct gondola_create_vcpu *args = arg;
	u32 id;

	if (args->pad || args->id >= GONDOLA_MAX_VCPUS)
		return -EINVAL;
	id = array_index_nospec(args->id, GONDOLA_MAX_VCPUS);
	return vm->vcpus[id] ? -EEXIST : vcpu_create(vm, id);
}

static long irq_line(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *arg)
{
	const struct gondola_irq_line *args = arg;

	if (args->gsi >= GONDOLA_NR_GSI || args->level > 1)
		return -EINVAL;
	gondola_irq_set_line(vm, args->gsi, GONDOLA_IRQ_LAUNCHER, args->level);
	return 0;
}

static long ioeventfd(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *arg)
{
	return gondola_ioeventfd(vm, arg);
}

static long irqfd(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *arg)
{
	return gondola_irqfd(vm, arg);
}

static int write_dirty(struct gondola_vm *vm, const struct gondola_dirty_log *args, u64 *bitmap,
		       size_t words)
{
	int err;

	if (copy_from_user(bitmap, u64_to_user_ptr(args->bitmap), words * sizeof(*bitmap)))
		return -EFAULT;
	if (args->pages % 64 && bitmap[words - 1] >> (args->pages % 64))
		return -EINVAL;
	mutex_lock(&vm->lock);
	err = gondola_mmu_clear_dirty(vm, args->slot, args->first, args->pages, bitmap);
	mutex_unlock(&vm->lock);
	if (!err && copy_to_user(u64_to_user_ptr(args->bitmap), bitmap, words * sizeof(*bitmap)))
		err = -EFAULT;
	return err;
}

static int read_dirty(struct gondola_vm *vm, const struct gondola_dirty_log *args, u64 *bitmap,
		      size_t words)
{
	int err;

	mutex_lock(&vm->lock);
	err = gondola_mmu_get_dirty(vm, args->slot, args->first, args->pages, bitmap);
	mutex_unlock(&vm->lock);
	if (!err && copy_to_user(u64_to_user_ptr(args->bitmap), bitmap, words * sizeof(*bitmap)))
		err = -EFAULT;
	return err;
}

/* GET writes the bitmap; CLEAR reads it first.  Both copy without the lock. */
static long dirty_log(struct gondola_vm *vm, struct gondola_dirty_log *args, bool clear)
{
	u64 *bitmap;
	size_t words;
	int err;

	if (args->pad || args->slot >= GONDOLA_MAX_SLOTS || args->first % 64 || !args->pages)
		return -EINVAL;
	args->slot = array_index_nospec(args->slot, GONDOLA_MAX_SLOTS);
	/* This bounds the allocation; the slot is checked again under the lock. */
	if (args->pages > READ_ONCE(vm->memory_pages))
		return -EINVAL;
	words = DIV_ROUND_UP_ULL(args->pages, 64);
	bitmap = kvcalloc(words, sizeof(*bitmap), GFP_KERNEL_ACCOUNT);
	if (!bitmap)
		return -ENOMEM;
	err = clear ? write_dirty(vm, args, bitmap, words) : read_dirty(vm, args, bitmap, words);
	kvfree(bitmap);
	return err;
}

static long get_dirty(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *arg)
{
	return dirty_log(vm, arg, false);
}

static long clear_dirty(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *arg)
{
	return dirty_log(vm, arg, true);
}

static long mark_dirty(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *arg)
{
	const struct gondola_mark_dirty *args = arg;

	if (args->gpa + args->bytes < args->gpa || args->device > GONDOLA_MAX_DEVICES ||
	    (args->source != GONDOLA_DIRTY_DEVICE &&
	     (args->source != GONDOLA_DIRTY_HOST || args->device)))
		return -EINVAL;
	return gondola_mmu_mark_dirty(vm, args->gpa, args->bytes, args->source,
				      args->device ? vm->devices[args->device - 1] : "");
}

static long name_device(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *arg)
{
	const struct gondola_name_device *args = arg;

	if (args->pad || !args->device || args->device > GONDOLA_MAX_DEVICES ||
	    !vm_name_ok(args->name, sizeof(args->name)))
		return -EINVAL;
	strscpy(vm->devices[args->device - 1], args->name, sizeof(args->name));
	return 0;
}

static long mark(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *arg)
{
	const struct gondola_mark *args = arg;

	WRITE_ONCE(vm->phase, args->phase);
	WRITE_ONCE(vm->round, args->round);
	trace_gondola_mark(vm->id, args->phase, args->round);
	return 0;
}

/* A vCPU that begins to run waits for its mutex, and then finds the clock stopped. */
static int hold(struct gondola_vm *vm)
{
	int err = vcpus_trylock(vm);

	if (err)
		return err;
	if (!gondola_clock_held(vm))
		gondola_clock_hold(vm);
	vcpus_unlock(vm, NULL);
	return 0;
}

static long hold_clock(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *arg)
{
	struct gondola_hold_clock *args = arg;
	int err = 0;

	if (args->flags & GONDOLA_HOLD)
		err = hold(vm);
	else if (gondola_clock_held(vm))
		gondola_clock_release(vm);
	if (err)
		return err;
	args->held_ns = vm->clock.held_ns;
	args->lost_ns = vm->clock.lost_ns;
	return 0;
}

/*
 * The vCPU's mutex, which the caller holds, guards its state, which is partly in the engine;
 * vm->lock guards the VM's.  Do not access the launcher's memory here: it may never be given, and a
 * shutdown waits for loaded vCPUs.
 */
static int state_begin(struct gondola_vm *vm, struct gondola_vcpu *vcpu)
{
	if (vcpu)
		return gondola_vcpu_load(vcpu);
	mutex_lock(&vm->lock);
	return 0;
}

static void state_end(struct gondola_vm *vm, struct gondola_vcpu *vcpu)
{
	if (vcpu)
		gondola_vcpu_unload(vcpu);
	else
		mutex_unlock(&vm->lock);
}

/*
 * Wait for missing memory without locks, then start over.  A launcher that takes the memory away
 * each time blocks its own call, until it is killed.
 */
static bool state_again(struct gondola_vcpu *vcpu, int *err)
{
	if (*err != -EAGAIN)
		return false;
	*err = fatal_signal_pending(current) ? -EINTR : gondola_mmu_wait(vcpu);
	return !*err;
}

/* Returns the state in a new buffer of args->bytes, or ERR_PTR(). */
static void *read_state(struct gondola_vm *vm, struct gondola_vcpu *vcpu,
			struct gondola_state *args)
{
	size_t room = min_t(u64, args->bytes, STATE_LIMIT);
	void *buffer;
	int err;

	args->bytes = state_size(vm, vcpu);
	if (room < args->bytes)
		return ERR_PTR(-E2BIG);
	buffer = kvzalloc(args->bytes, GFP_KERNEL_ACCOUNT);
	if (!buffer)
		return ERR_PTR(-ENOMEM);
	err = state_get(vm, vcpu, buffer, args->bytes);
	if (!err)
		return buffer;
	kvfree(buffer);
	return ERR_PTR(err);
}

long vm_get_state(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *arg)
{
	struct gondola_state *args = arg;
	void *buffer;
	int err;

	args->bad_record = 0;
	args->bad_field = 0;
	do {
		err = state_begin(vm, vcpu);
		if (err)
			return err;
		buffer = read_state(vm, vcpu, args);
		state_end(vm, vcpu);
		err = PTR_ERR_OR_ZERO(buffer);
	} while (state_again(vcpu, &err));
	if (err)
		return err;
	if (copy_to_user(u64_to_user_ptr(args->buffer), buffer, args->bytes))
		err = -EFAULT;
	kvfree(buffer);
	return err;
}

long vm_set_state(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *arg)
{
	struct gondola_state *args = arg;
	void *buffer;
	int err;

	args->bad_record = 0;
	args->bad_field = 0;
	if (args->bytes > STATE_LIMIT)
		return -E2BIG;
	if (!args->bytes)
		return -EINVAL;
	buffer = vmemdup_user(u64_to_user_ptr(args->buffer), args->bytes);
	if (IS_ERR(buffer))
		return PTR_ERR(buffer);
	do {
		err = state_begin(vm, vcpu);
		if (err)
			break;
		err = state_set(vm, vcpu, buffer, args->bytes, &args->bad_record,
				&args->bad_field);
		state_end(vm, vcpu);
	} while (state_again(vcpu, &err));
	kvfree(buffer);
	return err;
}

static long get_shadows(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *arg)
{
	struct gondola_shadows *args = arg;

	if (args->pad)
		return -EINVAL;
	gondola_mmu_count(vm, args);
	return 0;
}

static long set_xen(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *arg)
{
	return gondola_xen_configure(vm, arg);
}

static long xen_raise(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *arg)
{
	const struct gondola_xen_raise *args = arg;

	return args->pad ? -EINVAL : gondola_xen_event(vm, args->port);
}

static long xen_unknown(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *arg)
{
	return gondola_xen_get_unknown(vm, arg);
}

static const struct ioctl_row calls[] = {
	{ GONDOLA_IRQ_LINE, 0, IOCTL_UNLOCKED, irq_line },
	{ GONDOLA_SET_MEMORY,
	  GONDOLA_MEM_READONLY | GONDOLA_MEM_LOG_DIRTY | GONDOLA_MEM_USERFAULT,
	  IOCTL_VM, set_memory },
	{ GONDOLA_CREATE_VCPU, 0, IOCTL_VM, create_vcpu },
	{ GONDOLA_IOEVENTFD,
	  GONDOLA_IOEVENTFD_REMOVE | GONDOLA_IOEVENTFD_PIO | GONDOLA_IOEVENTFD_DATAMATCH |
	  GONDOLA_IOEVENTFD_CLEAR, IOCTL_VM, ioeventfd },
	{ GONDOLA_IRQFD, GONDOLA_IRQFD_REMOVE, IOCTL_VM, irqfd },
	{ GONDOLA_GET_DIRTY, 0, IOCTL_UNLOCKED, get_dirty },
	{ GONDOLA_CLEAR_DIRTY, 0, IOCTL_UNLOCKED, clear_dirty },
	{ GONDOLA_MARK_DIRTY, 0, IOCTL_VM, mark_dirty },
	{ GONDOLA_MARK, 0, IOCTL_UNLOCKED, mark },
	{ GONDOLA_NAME_DEVICE, 0, IOCTL_VM, name_device },
	{ GONDOLA_HOLD_CLOCK, GONDOLA_HOLD, IOCTL_VM, hold_clock },
	{ GONDOLA_GET_SHADOWS, 0, IOCTL_VM, get_shadows },
	{ GONDOLA_SET_XEN, 0, IOCTL_VM, set_xen },
	{ GONDOLA_XEN_RAISE, 0, IOCTL_UNLOCKED, xen_raise },
	{ GONDOLA_XEN_UNKNOWN, 0, IOCTL_UNLOCKED, xen_unknown },
	{ GONDOLA_GET_STATE, 0, IOCTL_UNLOCKED, vm_get_state },
	{ GONDOLA_SET_STATE, 0, IOCTL_UNLOCKED, vm_set_state },
};

static long vm_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return ioctl_make(calls, ARRAY_SIZE(calls), file->private_data, NULL, cmd, arg);
}

static int vm_release(struct inode *inode, struct file *file)
{
	vm_put(file->private_data);
	return 0;
}

static const struct file_operations vm_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = vm_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = vm_release,
	.llseek = noop_llseek,
};

int vm_create(const struct gondola_create_vm *args)
{
	struct gondola_vm *vm;
	int err = -EUSERS;

	if (atomic_inc_return(&vm_count) > READ_ONCE(max_vms))
		goto no_vm;
	err = -ENOMEM;
	vm = kzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);
	if (!vm)
		goto no_vm;
	vm->id = atomic_inc_return(&last_id);
	strscpy(vm->name, args->name, sizeof(vm->name));
	vm->pid = task_tgid_nr(current);
	vm->mm = current->mm;
	gondola_clock_init(vm);
	mutex_init(&vm->lock);
	kref_init(&vm->refs);
	err = gondola_engine_get(args->engine, &vm->engine);
	if (err)
		goto no_engine;
	err = args->flags & GONDOLA_VM_XEN ? gondola_xen_create(vm) : 0;
	if (err)
		goto no_mmu;
	err = gondola_mmu_init_vm(vm, args->shadow_pages);
	if (err)
		goto no_mmu;
	err = gondola_irqchip_create(vm);
	if (err)
		goto no_irqchip;
	mmgrab(vm->mm);
	mutex_lock(&vms_lock);
	list_add_tail(&vm->link, &vms);
	mutex_unlock(&vms_lock);
	trace_gondola_vm(vm->id, vm->pid, true);

	err = anon_inode_getfd("gondola-vm", &vm_fops, vm, O_RDWR | O_CLOEXEC);
	if (err < 0)
		vm_put(vm);
	return err;

no_irqchip:
	gondola_mmu_destroy_vm(vm);
no_mmu:
	gondola_xen_destroy(vm);
	gondola_engine_put(vm->engine);
no_engine:
	kfree(vm);
no_vm:
	atomic_dec(&vm_count);
	return err;
}
