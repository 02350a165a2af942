/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory for a VM that is about to be started: from the host, else from other VMs' balloons. */
#ifndef POLICY_ROOM_H
#define POLICY_ROOM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum room_preview { ROOM_DO, ROOM_SAY, ROOM_SAY_JSON };

/**
 * room_make() - see to it that the host has @memory for @name
 * @preview: only say what would be done, in words or as JSON
 *
 * Prints its decisions on stderr (a preview's on stdout).  Returns true if there is, or would be,
 * enough; else @error says how much is missing, and what was taken is given back.
 */
bool room_make(const char *name, uint64_t memory, enum room_preview preview, struct error *error);

#endif
