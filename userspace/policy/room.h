/* SPDX-License-Identifier: GPL-2.0-only */
/* Gets memory for a VM that will be started: from the host, else from other VMs' balloons. */
#ifndef POLICY_ROOM_H
#define POLICY_ROOM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum room_preview { ROOM_DO, ROOM_SAY, ROOM_SAY_JSON };

/**
 * room_make() - make sure that the host has @memory for @name
 * @preview: only print the decisions, in words or as JSON
 *
 * Prints its decisions on stderr (a preview's on stdout).  True if there is, or would be, enough
 * memory; else @error has the shortfall, and guests get their memory back.
 */
bool room_make(const char *name, uint64_t memory, enum room_preview preview, struct error *error);

#endif
