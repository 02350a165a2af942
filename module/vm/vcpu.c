// SPDX-License-Identifier: GPL-2.0-only
/* The vCPU object: lifetime, its descriptor and run page, its ioctls, kicks. */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include "run/run.h"
#include "host/compat.h"
#include "host/run.h"
#include "ioctl.h"
#include "irq/irq.h"
#include "vcpu.h"
#include "host/vcpu_host.h"
#include "x86/control.h"
#include "xen/guest.h"

static_assert(sizeof(struct gondola_run) <= GONDOLA_RUN_IO_OFFSET);
static_assert(GONDOLA_REASON_COUNT <= GONDOLA_MAX_REASONS);
static_assert(GONDOLA_COUNTER_COUNT <= GONDOLA_MAX_COUNTERS);
/* The engines' entry assembly expects the registers at the start. */
static_assert(offsetof(struct gondola_vcpu, regs) == 0);

/* ---- kicks --------------------------------------------------------------------- */

void gondola_vcpu_kick(struct gondola_vcpu *vcpu)
{
	int cpu;

	/* The request must be visible before we check whether the vCPU sleeps. */
	if (wq_has_sleeper(&vcpu->host->wait))
		wake_up(&vcpu->host->wait);
	cpu = READ_ONCE(vcpu->cpu);
	/* It cannot be in the guest on this processor, since we run here. */
	if (READ_ONCE(vcpu->mode) == GONDOLA_IN_GUEST && cpu >= 0 && cpu != raw_smp_processor_id())
		arch_smp_send_reschedule(cpu);
}

bool gondola_vcpu_yield_to(struct gondola_vcpu *vcpu)
{
	struct task_struct *task;
	struct pid *pid;
	bool yielded = false;

	rcu_read_lock();
	pid = rcu_dereference(vcpu->host->pid);
	task = pid ? get_pid_task(pid, PIDTYPE_PID) : NULL;
	rcu_read_unlock();
	if (!task)
		return false;
	if (task != current)
		yielded = yield_to(task, true) > 0;
	put_task_struct(task);
	return yielded;
}

void gondola_vcpu_spins(struct gondola_vcpu *spinner)
{
	struct gondola_vcpu *vcpu;
	unsigned int i;

	/* Start after the spinner, so that two spinners choose different vCPUs. */
	for (i = 1; i < GONDOLA_MAX_VCPUS; i++) {
		vcpu = gondola_vcpu_by_id(spinner->vm, (spinner->id + i) % GONDOLA_MAX_VCPUS);
		if (vcpu && READ_ONCE(vcpu->preempted) && gondola_vcpu_yield_to(vcpu))
			return;
	}
	cond_resched();
}

static void look_up(void *info)
{
}

void gondola_kick_all_and_wait(struct gondola_vm *vm, enum gondola_request req)
{
	struct gondola_vcpu *vcpu;
	unsigned int i;
	int cpu;

	lockdep_assert_held(&vm->mmu.lock);
	gondola_for_each_vcpu(vcpu, vm, i)
		gondola_request(vcpu, req);
	/* A vCPU outside of the guest finds the request before it enters; one inside leaves first. */
	gondola_for_each_vcpu(vcpu, vm, i) {
		if (READ_ONCE(vcpu->mode) != GONDOLA_IN_GUEST)
			continue;
		cpu = READ_ONCE(vcpu->cpu);
		if (cpu < 0)
			continue;
		smp_call_function_single(cpu, look_up, NULL, 1);
		/* We are not its thread: the MMU lock makes this safe. */
		if (req == GONDOLA_REQ_TLB_FLUSH)
			gondola_count(vcpu, GONDOLA_COUNTER_TLB_FLUSHES_REMOTE);
	}
}

/* ---- ioctls ---------------------------------------------------------------------- */

/* Find a vCPU to yield to; mutex held. */
static void note_thread(struct gondola_vcpu_host *host)
{
	struct pid *old = rcu_replace_pointer(host->pid, get_task_pid(current, PIDTYPE_PID),
					      lockdep_is_held(&host->mutex));

	if (old) {
		synchronize_rcu();
		put_pid(old);
	}
}

static long run(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *unused)
{
	if (READ_ONCE(vcpu->run->flags))
		return -EINVAL;
	if (gondola_clock_held(vm))
		return -EBUSY;
	if (!vcpu->ran) {
		if (!vcpu->cpuid || !vm_has_memory(vm))
			return -ENOEXEC;
		vcpu->ran = true;
		WRITE_ONCE(vm->ran, true);
	}
	if (unlikely(rcu_access_pointer(vcpu->host->pid) != task_pid(current)))
		note_thread(vcpu->host);
	return gondola_vcpu_run(vcpu);
}

/* Copy the list in.  Returns memory for kfree(), or ERR_PTR(). */
static struct gondola_cpuid_entry *fetch_cpuid(const struct gondola_cpuid *args)
{
	if (args->engine || !args->count || args->count > GONDOLA_MAX_CPUID)
		return ERR_PTR(-EINVAL);
	return memdup_user(u64_to_user_ptr(args->entries),
			   args->count * sizeof(struct gondola_cpuid_entry));
}

static long set_cpuid(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *arg)
{
	const struct gondola_cpuid *args = arg;
	struct gondola_cpuid_entry *entries;
	int err;

	/* State may have been set that depends on it. */
	if (vcpu->cpuid)
		return -EBUSY;
	entries = fetch_cpuid(args);
	if (IS_ERR(entries))
		return PTR_ERR(entries);
	err = gondola_vcpu_load(vcpu);
	if (!err) {
		err = gondola_set_cpuid(vcpu, entries, args->count);
		gondola_vcpu_unload(vcpu);
	}
	kfree(entries);
	return err;
}

static long nmi(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *unused)
{
	gondola_request(vcpu, GONDOLA_REQ_NMI);
	gondola_vcpu_kick(vcpu);
	return 0;
}

static long get_stats(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *arg)
{
	struct gondola_stats *stats = arg;

	memcpy(stats->exits, vcpu->exits, sizeof(stats->exits));
	memcpy(stats->counters, vcpu->counters, sizeof(stats->counters));
	return 0;
}

/* Copy the newest entries, which may wrap in the ring. */
static long get_history(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *arg)
{
	struct gondola_history_entry __user *to;
	struct gondola_history *args = arg;
	u32 count, first, until_end;

	if (args->pad)
		return -EINVAL;
	count = min_t(u64, min_t(u32, args->count, GONDOLA_HISTORY_LEN), vcpu->nr_exits);
	first = (vcpu->nr_exits - count + 1) % GONDOLA_HISTORY_LEN;
	until_end = min_t(u32, count, GONDOLA_HISTORY_LEN - first);
	to = u64_to_user_ptr(args->entries);
	if (copy_to_user(to, &vcpu->history[first], until_end * sizeof(*to)) ||
	    copy_to_user(to + until_end, vcpu->history, (count - until_end) * sizeof(*to)))
		return -EFAULT;
	args->count = count;
	args->total = vcpu->nr_exits;
	return 0;
}

static long set_debug(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *arg)
{
	const struct gondola_debug *args = arg;

	return gondola_vcpu_set_debug(vcpu, args);
}

static long get_shadow(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *arg)
{
	gondola_mmu_look(vcpu, arg);
	return 0;
}

static const struct ioctl_row calls[] = {
	{ GONDOLA_RUN, 0, IOCTL_VCPU, run },
	{ GONDOLA_NMI, 0, IOCTL_UNLOCKED, nmi },
	{ GONDOLA_GET_STATS, 0, IOCTL_UNLOCKED, get_stats },
	{ GONDOLA_GET_HISTORY, 0, IOCTL_VCPU, get_history },
	{ GONDOLA_SET_DEBUG,
	  GONDOLA_DEBUG_BREAKPOINTS | GONDOLA_DEBUG_STEP | GONDOLA_DEBUG_HARDWARE, IOCTL_VCPU,
	  set_debug },
	{ GONDOLA_GET_SHADOW, 0, IOCTL_VCPU, get_shadow },
	{ GONDOLA_SET_CPUID, 0, IOCTL_VCPU, set_cpuid },
	{ GONDOLA_GET_STATE, 0, IOCTL_VCPU, vm_get_state },
	{ GONDOLA_SET_STATE, 0, IOCTL_VCPU, vm_set_state },
};

static long vcpu_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct gondola_vcpu *vcpu = file->private_data;

	return ioctl_make(calls, ARRAY_SIZE(calls), vcpu->vm, vcpu, cmd, arg);
}

static int vcpu_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct gondola_vcpu *vcpu = file->private_data;
	unsigned long at;
	int err = 0;

	if (current->mm != vcpu->vm->mm)
		return -EIO;
	if (vma->vm_pgoff || vma->vm_end - vma->vm_start != GONDOLA_RUN_SIZE ||
	    !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
	for (at = 0; at < GONDOLA_RUN_SIZE && !err; at += PAGE_SIZE)
		err = vm_insert_page(vma, vma->vm_start + at,
				     virt_to_page((void *)vcpu->run + at));
	return err;
}

static int vcpu_release(struct inode *inode, struct file *file)
{
	struct gondola_vcpu *vcpu = file->private_data;

	vm_put(vcpu->vm);
	return 0;
}

void vcpus_unlock(struct gondola_vm *vm, const struct gondola_vcpu *end)
{
	struct gondola_vcpu *vcpu;
	unsigned int i;

	gondola_for_each_vcpu(vcpu, vm, i) {
		if (vcpu == end)
			return;
		mutex_unlock(&vcpu->host->mutex);
	}
}

int vcpus_trylock(struct gondola_vm *vm)
{
	struct gondola_vcpu *vcpu;
	unsigned int i;

	/* No vCPU can be added meanwhile. */
	lockdep_assert_held(&vm->lock);
	gondola_for_each_vcpu(vcpu, vm, i) {
		if (mutex_trylock(&vcpu->host->mutex))
			continue;
		vcpus_unlock(vm, vcpu);
		return -EBUSY;
	}
	return 0;
}

static const struct file_operations vcpu_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = vcpu_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = vcpu_mmap,
	.release = vcpu_release,
	.llseek = noop_llseek,
};

/* ---- lifetime -------------------------------------------------------------------- */

static struct gondola_vcpu *vcpu_alloc(struct gondola_vm *vm, u32 id)
{
	struct gondola_vcpu *vcpu = kzalloc(sizeof(*vcpu), GFP_KERNEL_ACCOUNT);
	struct gondola_vcpu_host *host = kzalloc(sizeof(*host), GFP_KERNEL_ACCOUNT);
	struct gondola_run *page = alloc_pages_exact(GONDOLA_RUN_SIZE,
						     GFP_KERNEL_ACCOUNT | __GFP_ZERO);

	if (!vcpu || !host || !page) {
		if (page)
			free_pages_exact(page, GONDOLA_RUN_SIZE);
		kfree(host);
		kfree(vcpu);
		return NULL;
	}
	host->vcpu = vcpu;
	host->window = GONDOLA_WINDOW_UNKNOWN;
	mutex_init(&host->mutex);
	init_waitqueue_head(&host->wait);
	page->size = GONDOLA_RUN_SIZE;

	vcpu->vm = vm;
	vcpu->engine = vm->engine;
	vcpu->id = id;
	vcpu->cpu = -1;
	vcpu->mode = GONDOLA_OUTSIDE;
	vcpu->host = host;
	gondola_thread_init(vcpu);
	vcpu->run = page;
	gondola_vcpu_reset_registers(vcpu);
	return vcpu;
}

static void vcpu_free(struct gondola_vcpu *vcpu)
{
	mutex_destroy(&vcpu->host->mutex);
	put_pid(rcu_access_pointer(vcpu->host->pid));
	free_pages_exact(vcpu->run, GONDOLA_RUN_SIZE);
	kfree(vcpu->host);
	kvfree(vcpu->cpuid);
	kfree(vcpu);
}

/* Set up hardware and MMU by the registers for the first time. */
static int settle(struct gondola_vcpu *vcpu)
{
	int err = gondola_vcpu_load(vcpu);

	if (err)
		return err;
	vcpu->engine->set_tsc_offset(vcpu);
	vcpu->engine->update_control(vcpu);
	gondola_update_dr7(vcpu);
	gondola_mmu_mode_changed(vcpu);
	gondola_vcpu_unload(vcpu);
	return 0;
}

static int vcpu_init(struct gondola_vcpu *vcpu)
{
	int err = gondola_vcpu_fpu_create(vcpu);

	if (err)
		return err;
	err = gondola_xen_vcpu_create(vcpu);
	if (err)
		goto no_xen;
	err = gondola_mmu_init_vcpu(vcpu);
	if (err)
		goto no_mmu;
	err = gondola_lapic_create(vcpu);
	if (err)
		goto no_lapic;
	err = gondola_emulator_create(vcpu);
	if (err)
		goto no_emulator;
	err = vcpu->engine->vcpu_create(vcpu);
	if (err)
		goto no_engine;
	err = settle(vcpu);
	if (!err)
		return 0;

	vcpu->engine->vcpu_destroy(vcpu);
no_engine:
	gondola_emulator_destroy(vcpu);
no_emulator:
	gondola_lapic_destroy(vcpu);
no_lapic:
	gondola_mmu_destroy_vcpu(vcpu);
no_mmu:
	gondola_xen_vcpu_destroy(vcpu);
no_xen:
	gondola_vcpu_fpu_destroy(vcpu);
	return err;
}

void vcpu_destroy(struct gondola_vcpu *vcpu)
{
	/* Stop timers first, since they kick. */
	gondola_xen_vcpu_destroy(vcpu);
	gondola_lapic_destroy(vcpu);
	/* After a shutdown there is no engine that could take the vCPU back. */
	if (!gondola_host_begin()) {
		vcpu->engine->vcpu_destroy(vcpu);
		gondola_host_end();
	}
	gondola_emulator_destroy(vcpu);
	gondola_mmu_destroy_vcpu(vcpu);
	gondola_vcpu_fpu_destroy(vcpu);
	vcpu_free(vcpu);
	atomic_dec(&vcpu_count);
}

int vcpu_create(struct gondola_vm *vm, u32 id)
{
	struct gondola_vcpu *vcpu;
	struct file *file;
	int fd, err;

	lockdep_assert_held(&vm->lock);
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	vcpu = vcpu_alloc(vm, id);
	err = -ENOMEM;
	if (!vcpu)
		goto no_vcpu;
	err = vcpu_init(vcpu);
	if (err)
		goto no_init;
	atomic_inc(&vcpu_count);
	file = anon_inode_getfile("gondola-vcpu", &vcpu_fops, vcpu, O_RDWR);
	if (IS_ERR(file)) {
		err = PTR_ERR(file);
		vcpu_destroy(vcpu);
		goto no_vcpu;
	}
	vm_get(vm);
	atomic_inc(&vm->nr_vcpus);
	/* Publish the complete vCPU; pairs with the acquire of gondola_for_each_vcpu(). */
	smp_store_release(&vm->vcpus[id], vcpu);
	fd_install(fd, file);
	return fd;

no_init:
	vcpu_free(vcpu);
no_vcpu:
	put_unused_fd(fd);
	return err;
}
