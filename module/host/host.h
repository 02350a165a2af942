/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The machine underneath: switches an engine on, on every processor, while
 * VMs of it exist, through hotplug, suspend, reboot and crash; finds conflicts.
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
 * Returns enum gondola_preflight_reason. For GONDOLA_ENGINE_ANY, *@id becomes
 * the engine that would be chosen.
 */
u32 gondola_engine_preflight(u32 *id, char *detail);
/** gondola_engine_of() - the engine with this id, for ANY the one that would be chosen; or NULL */
const struct gondola_engine_ops *gondola_engine_of(u32 id);
/**
 * gondola_engine_get() - a VM is made: the first of an engine switches it on everywhere
 * @ops: out
 *
 * 0, -ENODEV or -EBUSY (see preflight), -ENOMEM.  gondola_engine_put() undoes
 * it; the last switches it off.
 */
int gondola_engine_get(u32 id, const struct gondola_engine_ops **ops);
void gondola_engine_put(const struct gondola_engine_ops *ops);

#endif
