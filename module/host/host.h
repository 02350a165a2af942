/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host's processors.  An engine is on, on every one of them, while it has VMs; it is off during
 * suspend, reboot and crash, and follows hotplug.  Finds conflicts with other hypervisors.
 */
#ifndef GONDOLA_HOST_H
#define GONDOLA_HOST_H

#include <linux/types.h>
#include "engine.h"

int gondola_host_init(void);
void gondola_host_exit(void);

/**
 * gondola_engine_preflight() - may @id be used now?
 * @detail: 64 bytes
 *
 * Returns enum gondola_preflight_reason.  GONDOLA_ENGINE_ANY in *@id is replaced by the engine that
 * would be chosen.
 */
u32 gondola_engine_preflight(u32 *id, char *detail);
/** gondola_engine_of() - find the engine with this id, for ANY the one that would be chosen; or NULL */
const struct gondola_engine_ops *gondola_engine_of(u32 id);
/**
 * gondola_engine_get() - use an engine for a VM; the first VM switches all processors on
 * @ops: out
 *
 * 0, -ENODEV or -EBUSY (see preflight), -ENOMEM.  gondola_engine_put() undoes it; the last one
 * switches the engine off.
 */
int gondola_engine_get(u32 id, const struct gondola_engine_ops **ops);
void gondola_engine_put(const struct gondola_engine_ops *ops);

#endif
