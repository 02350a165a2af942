/* SPDX-License-Identifier: GPL-2.0-only */
/* A debugger's access to registers and memory of stopped vCPUs. */
#ifndef DEBUG_TARGET_H
#define DEBUG_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "registers.h"

struct vm;

/** target_get() - read the registers; false: the module refuses */
bool target_get(const struct vm *vm, unsigned int vcpu, struct registers *registers);
/** target_set() - write them; false: the module refused some, though others may have changed */
bool target_set(const struct vm *vm, unsigned int vcpu, const struct registers *registers);
/** target_is_long() - were they read in long mode? */
bool target_is_long(const struct registers *registers);
#define TARGET_PHYSICAL	-1
/**
 * target_read() - read memory at a virtual address of vCPU @space, or at a physical one; returns
 * the size read
 */
size_t target_read(const struct vm *vm, int space, uint64_t address, void *to,
		   size_t bytes);
/** target_write() - write likewise; writes nothing if a part does not exist */
bool target_write(struct vm *vm, int space, uint64_t address, const void *from,
		  size_t bytes);
/** target_translate() - translate a virtual address to a physical one; false: there is no memory */
bool target_translate(const struct vm *vm, unsigned int vcpu, uint64_t address, uint64_t *gpa);
#endif
