/* SPDX-License-Identifier: GPL-2.0-only */
/* Eventfds instead of exits to the launcher (ioeventfd), and instead of its calls (irqfd). */
#ifndef GONDOLA_EVENTFD_H
#define GONDOLA_EVENTFD_H

#include <linux/types.h>
#include <asm/barrier.h>
#include "vm.h"

/* vm->lock held.  Both return 0 or -errno. */
int gondola_ioeventfd(struct gondola_vm *vm, const struct gondola_ioeventfd *args);
int gondola_irqfd(struct gondola_vm *vm, const struct gondola_irqfd *args);
/** gondola_eventfds_destroy() - called when the VM ends, before its interrupt chips are destroyed */
void gondola_eventfds_destroy(struct gondola_vm *vm);

bool gondola_ioeventfd_lookup(struct gondola_vm *vm, bool pio, u64 address, unsigned int bytes,
			      const void *data);

/**
 * gondola_ioeventfd_write() - offer a guest's write, which nothing in the module has taken
 *
 * In a vCPU's thread; may sleep.  Returns true if an ioeventfd took it.
 */
static inline bool gondola_ioeventfd_write(struct gondola_vm *vm, bool pio, u64 address,
					   unsigned int bytes, const void *data)
{
	/* Pairs with the release at the first registration. */
	if (!smp_load_acquire(&vm->eventfds))
		return false;
	return gondola_ioeventfd_lookup(vm, pio, address, bytes, data);
}

#endif
