/* SPDX-License-Identifier: GPL-2.0-only */
/* Inspecting: what a guest's processors, page tables and interrupt controllers hold. */
#ifndef INSPECT_INSPECT_H
#define INSPECT_INSPECT_H

/** inspect_add_commands() - "inspect" of the control socket; before control_open() */
void inspect_add_commands(void);

/** metrics_add_commands() - likewise "metrics" */
void metrics_add_commands(void);

#endif
