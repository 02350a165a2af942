/* SPDX-License-Identifier: GPL-2.0-only */
/* Shows the contents of a guest's processors, page tables and interrupt controllers. */
#ifndef INSPECT_INSPECT_H
#define INSPECT_INSPECT_H

/** inspect_add_commands() - add the control socket's "inspect"; before control_open() */
void inspect_add_commands(void);

/** metrics_add_commands() - likewise "metrics" */
void metrics_add_commands(void);

#endif
