/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host's processors, for engines that take them: switched on for one engine
 * at a time, through hotplug, suspend, shutdown and crash.  User Mode Linux has
 * none to switch.
 */
#ifndef GONDOLA_HOST_PROCESSORS_H
#define GONDOLA_HOST_PROCESSORS_H

#include <linux/errno.h>
#include <linux/types.h>
#include "engine.h"

/* The words for enum gondola_preflight_reason (host.c). */
extern const char *const preflight_words[];

#ifdef CONFIG_UML

static inline int processors_init(void)
{
	return 0;
}

static inline void processors_exit(void)
{
}

static inline u32 processors_probe(const struct gondola_engine_ops *ops, char *detail)
{
	return GONDOLA_PF_ABSENT;
}

static inline u32 processors_kernel(const struct gondola_engine_ops *ops, char *detail)
{
	return GONDOLA_PF_OK;
}

static inline int processors_on(const struct gondola_engine_ops *ops)
{
	return -ENODEV;
}

static inline void processors_off(const struct gondola_engine_ops *ops)
{
}

static inline void processors_kick(void)
{
}

static inline void processors_stop(void)
{
}

#else

/** processors_init() - register for hotplug and suspend; 0 or -errno */
int processors_init(void);
void processors_exit(void);
/**
 * processors_probe() - do all processors have what @ops needs, and does nobody else use it?
 * @detail: 64 bytes
 *
 * Returns enum gondola_preflight_reason.  The engine lock is held, here and below.
 */
u32 processors_probe(const struct gondola_engine_ops *ops, char *detail);
/**
 * processors_kernel() - does the running kernel allow the use of @ops?
 * @detail: 64 bytes
 *
 * GONDOLA_PF_OK or GONDOLA_PF_KERNEL.
 */
u32 processors_kernel(const struct gondola_engine_ops *ops, char *detail);
/** processors_on() - switch them on for @ops; 0 or -errno */
int processors_on(const struct gondola_engine_ops *ops);
void processors_off(const struct gondola_engine_ops *ops);
/** processors_kick() - interrupt all of them, which ends guests' runs */
void processors_kick(void);
/** processors_stop() - switch them off although they may be in use: the machine goes down */
void processors_stop(void);

#endif

#endif
