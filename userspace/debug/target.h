/* SPDX-License-Identifier: GPL-2.0-only */
/* The guest as a debugger sees it: registers and memory of vCPUs that stand still. */
#ifndef DEBUG_TARGET_H
#define DEBUG_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "registers.h"

struct vm;

/** target_get() - read the registers; false: the module does not give them */
bool target_get(const struct vm *vm, unsigned int vcpu, struct registers *registers);
/** target_set() - write them; false: the module refused some, and others may have changed */
bool target_set(const struct vm *vm, unsigned int vcpu, const struct registers *registers);
/** target_is_long() - were they read in long mode? */
bool target_is_long(const struct registers *registers);
#define TARGET_PHYSICAL	-1
/** target_read() - read memory at a virtual address of vCPU @space, or at a physical one; how much it read */
size_t target_read(const struct vm *vm, int space, uint64_t address, void *to,
		   size_t bytes);
/** target_write() - write likewise; if a part is absent, nothing is written */
bool target_write(struct vm *vm, int space, uint64_t address, const void *from,
		  size_t bytes);
/** target_translate() - the physical address of a virtual one; false: there is no memory */
bool target_translate(const struct vm *vm, unsigned int vcpu, uint64_t address, uint64_t *gpa);
#endif
