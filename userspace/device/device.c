// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "device.h"
#include "base/fail.h"
#include "vm/vm.h"

void *device_alloc(unsigned long bytes)
{
	void *device = calloc(1, bytes);

	if (!device)
		fail(EXIT_CODE_ERROR, "out of memory");
	return device;
}

void irq_line_set(struct irq_line *line, int level)
{
	if (line->level != !!level)
		irq_line_restore(line, level);
}

void irq_line_restore(struct irq_line *line, int level)
{
	line->level = !!level;
	gondola_irq_line(line->vm->fd, line->gsi, line->level);
}
