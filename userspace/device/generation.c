// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VM's generation ID, by which a guest learns that it is a copy.  It is in guest memory, and its line is
 * one of the I/O APIC, so that it has no state of its own to save.
 */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/error.h"
#include "device.h"
#include "vm/vm.h"

#define ID_BYTES	16

bool generation_renew(const struct vm *vm, struct error *error)
{
	uint8_t *at = memory_at(&vm->memory, GENERATION_GPA, ID_BYTES);

	/* So few bytes come at once. */
	return getrandom(at, ID_BYTES, 0) == ID_BYTES ||
	       error_set(error, EXIT_CODE_ERROR, "no random numbers: %s", strerror(errno));
}

void generation_notify(struct vm *vm)
{
	struct irq_line line = { .vm = vm, .gsi = GENERATION_IRQ };

	irq_line_restore(&line, 1);
	irq_line_restore(&line, 0);
}
