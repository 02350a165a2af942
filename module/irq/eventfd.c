// SPDX-License-Identifier: GPL-2.0-only
/*
 * ioeventfd: a guest's write to an address signals an eventfd, and the vCPU goes on.  irqfd: a
 * write to an eventfd interrupts the guest, without a call.
 */
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/list.h>
#include <linux/poll.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/uaccess.h>
#include <linux/wait.h>
#include "eventfd.h"
#include "host/compat.h"
#include "host/uaccess.h"
#include "irqchip.h"

#define MAX_OF_EACH	256

/**
 * struct gondola_eventfds - the eventfds of a VM; created with the first
 * @srcu: protects readers of @io, which may fault on the launcher's memory
 * @io: struct ioeventfd, changed under vm->lock
 * @irq: struct irqfd, under vm->lock
 * @nr_io: number of @io
 * @nr_irq: number of @irq
 */
struct gondola_eventfds {
	struct srcu_struct srcu;
	struct list_head io;
	struct list_head irq;
	unsigned int nr_io, nr_irq;
};

struct ioeventfd {
	struct list_head link;
	struct eventfd_ctx *ctx;	/* or NULL */
	u64 address;
	u64 datamatch;
	u32 __user *word;
	u32 bytes;
	u32 flags;
};

struct irqfd {
	struct list_head link;
	struct gondola_vm *vm;
	struct eventfd_ctx *ctx;
	wait_queue_entry_t wait;
	poll_table table;
	u32 gsi;
};

static int get_eventfds(struct gondola_vm *vm, struct gondola_eventfds **out)
{
	struct gondola_eventfds *fds = vm->eventfds;
	int err;

	lockdep_assert_held(&vm->lock);
	if (!fds) {
		fds = kzalloc(sizeof(*fds), GFP_KERNEL_ACCOUNT);
		if (!fds)
			return -ENOMEM;
		err = init_srcu_struct(&fds->srcu);
		if (err) {
			kfree(fds);
			return err;
		}
		INIT_LIST_HEAD(&fds->io);
		INIT_LIST_HEAD(&fds->irq);
		/* A vCPU that finds the pointer finds the struct complete. */
		smp_store_release(&vm->eventfds, fds);
	}
	*out = fds;
	return 0;
}

/* ---- ioeventfd ------------------------------------------------------------ */

/* Clear the bits that the guest wrote, in the launcher's memory. */
static bool clear_bits(u32 __user *word, u32 bits)
{
	u32 old;
	int ret;

	/* This checks the address too. */
	if (get_user(old, word))
		return false;
	do {
		if (!(old & bits))
			return true;
		/* 0: done; 1: somebody changed the word first, and @old has its new value. */
		ret = gondola_try_cmpxchg_user(word, &old, old & ~bits);
	} while (ret > 0);
	return !ret;
}

static bool matches(const struct ioeventfd *io, bool pio, u64 address, unsigned int bytes,
		    u64 value)
{
	return io->address == address && !!(io->flags & GONDOLA_IOEVENTFD_PIO) == pio &&
	       (!io->bytes || io->bytes == bytes) &&
	       (!(io->flags & GONDOLA_IOEVENTFD_DATAMATCH) || io->datamatch == value);
}

bool gondola_ioeventfd_lookup(struct gondola_vm *vm, bool pio, u64 address, unsigned int bytes,
			      const void *data)
{
	struct gondola_eventfds *fds = vm->eventfds;
	struct ioeventfd *io;
	bool taken = false;
	u64 value = 0;
	int idx;

	memcpy(&value, data, min_t(unsigned int, bytes, sizeof(value)));
	idx = srcu_read_lock(&fds->srcu);
	list_for_each_entry_srcu(io, &fds->io, link, srcu_read_lock_held(&fds->srcu)) {
		if (!matches(io, pio, address, bytes, value))
			continue;
		/* The word is not mapped any more: the launcher gets the write itself. */
		taken = !(io->flags & GONDOLA_IOEVENTFD_CLEAR) || clear_bits(io->word, value);
		if (taken && io->ctx)
			eventfd_signal(io->ctx);
		break;
	}
	srcu_read_unlock(&fds->srcu, idx);
	return taken;
}

static void free_io(struct ioeventfd *io)
{
	if (io->ctx)
		eventfd_ctx_put(io->ctx);
	kfree(io);
}

static bool same(const struct ioeventfd *a, const struct ioeventfd *b)
{
	return a->address == b->address && a->bytes == b->bytes && a->flags == b->flags &&
	       a->datamatch == b->datamatch;
}

/* Could one write match both? */
static bool overlap(const struct ioeventfd *a, const struct ioeventfd *b)
{
	return a->address == b->address &&
	       !((a->flags ^ b->flags) & GONDOLA_IOEVENTFD_PIO) &&
	       (!a->bytes || !b->bytes || a->bytes == b->bytes) &&
	       (!(a->flags & b->flags & GONDOLA_IOEVENTFD_DATAMATCH) ||
		a->datamatch == b->datamatch);
}

static int add_io(struct gondola_eventfds *fds, struct ioeventfd *new)
{
	struct ioeventfd *io;

	if (fds->nr_io == MAX_OF_EACH)
		return -ENOSPC;
	list_for_each_entry(io, &fds->io, link)
		if (overlap(io, new))
			return -EEXIST;
	list_add_tail_rcu(&new->link, &fds->io);
	fds->nr_io++;
	return 0;
}

static int remove_io(struct gondola_eventfds *fds, const struct ioeventfd *which)
{
	struct ioeventfd *io;

	list_for_each_entry(io, &fds->io, link) {
		if (!same(io, which) || io->ctx != which->ctx)
			continue;
		list_del_rcu(&io->link);
		fds->nr_io--;
		synchronize_srcu(&fds->srcu);
		free_io(io);
		return 0;
	}
	return -ENOENT;
}

static int check_io(const struct gondola_ioeventfd *args)
{
	u32 flags = args->flags;
	bool port = flags & GONDOLA_IOEVENTFD_PIO;

	if (args->bytes > 8 || (args->bytes & (args->bytes - 1)) ||
	    args->address + args->bytes < args->address)
		return -EINVAL;
	if (port && (args->bytes > 4 || args->address > 0xffff))
		return -EINVAL;
	if (!(flags & GONDOLA_IOEVENTFD_DATAMATCH) ? args->datamatch != 0 :
	    !args->bytes || (args->bytes < 8 && args->datamatch >> (8 * args->bytes)))
		return -EINVAL;
	if (!(flags & GONDOLA_IOEVENTFD_CLEAR))
		return args->word ? -EINVAL : 0;
	return args->bytes != 4 || args->word % 4 ? -EINVAL : 0;
}

int gondola_ioeventfd(struct gondola_vm *vm, const struct gondola_ioeventfd *args)
{
	struct gondola_eventfds *fds;
	struct ioeventfd *io;
	int err = check_io(args);

	if (!err)
		err = get_eventfds(vm, &fds);
	if (err)
		return err;
	io = kzalloc(sizeof(*io), GFP_KERNEL_ACCOUNT);
	if (!io)
		return -ENOMEM;
	io->address = args->address;
	io->bytes = args->bytes;
	io->datamatch = args->datamatch;
	io->word = u64_to_user_ptr(args->word);
	io->flags = args->flags & ~GONDOLA_IOEVENTFD_REMOVE;
	/* A write that only clears bits needs no eventfd. */
	if (args->fd != -1 || !(args->flags & GONDOLA_IOEVENTFD_CLEAR)) {
		io->ctx = eventfd_ctx_fdget(args->fd);
		if (IS_ERR(io->ctx)) {
			err = PTR_ERR(io->ctx);
			kfree(io);
			return err;
		}
	}
	if (args->flags & GONDOLA_IOEVENTFD_REMOVE) {
		err = remove_io(fds, io);
		free_io(io);
		return err;
	}
	err = add_io(fds, io);
	if (err)
		free_io(io);
	return err;
}

/* ---- irqfd ---------------------------------------------------------------- */

/* Called in any context, with the eventfd's lock held and interrupts off. */
static void pulse(struct irqfd *irqfd)
{
	irq_pulse(irqfd->vm, irqfd->gsi, GONDOLA_IRQ_EVENTFD);
}

static int on_wake(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	struct irqfd *irqfd = container_of(wait, struct irqfd, wait);
	u64 count;

	/* A hang-up: the last descriptor was closed.  We hold the context, so do nothing. */
	if (key_to_poll(key) & EPOLLIN) {
		eventfd_ctx_do_read(irqfd->ctx, &count);
		pulse(irqfd);
	}
	return 0;
}

static void on_queue(struct file *file, wait_queue_head_t *head, poll_table *table)
{
	struct irqfd *irqfd = container_of(table, struct irqfd, table);

	add_wait_queue(head, &irqfd->wait);
}

static void free_irqfd(struct irqfd *irqfd)
{
	u64 count;

	eventfd_ctx_remove_wait_queue(irqfd->ctx, &irqfd->wait, &count);
	eventfd_ctx_put(irqfd->ctx);
	kfree(irqfd);
}

static int remove_irqfd(struct gondola_eventfds *fds, const struct gondola_irqfd *args)
{
	struct eventfd_ctx *ctx = eventfd_ctx_fdget(args->fd);
	struct irqfd *irqfd;
	int err = -ENOENT;

	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	list_for_each_entry(irqfd, &fds->irq, link) {
		if (irqfd->ctx != ctx || irqfd->gsi != args->gsi)
			continue;
		list_del(&irqfd->link);
		fds->nr_irq--;
		free_irqfd(irqfd);
		err = 0;
		break;
	}
	eventfd_ctx_put(ctx);
	return err;
}

static int add_irqfd(struct gondola_vm *vm, struct gondola_eventfds *fds,
		     const struct gondola_irqfd *args)
{
	struct irqfd *irqfd, *other;
	struct file *file;
	int err;

	if (fds->nr_irq == MAX_OF_EACH)
		return -ENOSPC;
	irqfd = kzalloc(sizeof(*irqfd), GFP_KERNEL_ACCOUNT);
	if (!irqfd)
		return -ENOMEM;
	file = eventfd_fget(args->fd);
	if (IS_ERR(file)) {
		err = PTR_ERR(file);
		goto no_file;
	}
	irqfd->ctx = eventfd_ctx_fileget(file);
	err = -EBUSY;
	/* Two irqfds of one eventfd would each miss the events that the other takes. */
	list_for_each_entry(other, &fds->irq, link)
		if (other->ctx == irqfd->ctx)
			goto taken;
	irqfd->vm = vm;
	irqfd->gsi = args->gsi;
	init_waitqueue_func_entry(&irqfd->wait, on_wake);
	init_poll_funcptr(&irqfd->table, on_queue);
	list_add_tail(&irqfd->link, &fds->irq);
	fds->nr_irq++;
	/* Writes before the registration count too. */
	if (vfs_poll(file, &irqfd->table) & EPOLLIN)
		pulse(irqfd);
	fput(file);
	return 0;

taken:
	eventfd_ctx_put(irqfd->ctx);
	fput(file);
no_file:
	kfree(irqfd);
	return err;
}

int gondola_irqfd(struct gondola_vm *vm, const struct gondola_irqfd *args)
{
	struct gondola_eventfds *fds;
	int err;

	if (args->gsi >= GONDOLA_NR_GSI)
		return -EINVAL;
	err = get_eventfds(vm, &fds);
	if (err)
		return err;
	return args->flags & GONDOLA_IRQFD_REMOVE ? remove_irqfd(fds, args) :
	       add_irqfd(vm, fds, args);
}

void gondola_eventfds_destroy(struct gondola_vm *vm)
{
	struct gondola_eventfds *fds = vm->eventfds;
	struct ioeventfd *io, *next_io;
	struct irqfd *irqfd, *next_irqfd;

	if (!fds)
		return;
	list_for_each_entry_safe(irqfd, next_irqfd, &fds->irq, link)
		free_irqfd(irqfd);
	list_for_each_entry_safe(io, next_io, &fds->io, link)
		free_io(io);
	cleanup_srcu_struct(&fds->srcu);
	kfree(fds);
	vm->eventfds = NULL;
}
