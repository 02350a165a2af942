/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The newer kernels' interface of shrinkers: allocate, fill in, register.  The guest's balloon
 * driver uses this too.
 */
#ifndef GONDOLA_HOST_COMPAT_SHRINKER_H
#define GONDOLA_HOST_COMPAT_SHRINKER_H

#include <linux/atomic.h>
#include <linux/printk.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include "compat-features.h"

#ifdef COMPAT_SHRINKER_ALLOC
#define compat_shrinker_data(s)	((s)->private_data)
#else
#define compat_shrinker_data(s)	(container_of(s, struct compat_shrinker, shrinker)->data)

struct compat_shrinker {
	struct shrinker shrinker;
	const char *name;
	void *data;
};

static inline struct shrinker *shrinker_alloc(unsigned int flags, const char *name)
{
	struct compat_shrinker *compat = kzalloc(sizeof(*compat), GFP_KERNEL);

	if (!compat)
		return NULL;
	compat->shrinker.flags = flags;
	compat->name = name;
	return &compat->shrinker;
}

static inline void shrinker_register(struct shrinker *shrinker)
{
	const char *name = container_of(shrinker, struct compat_shrinker, shrinker)->name;

	/* Without the shrinker the kernel cannot ask for memory back, but all else works. */
	if (register_shrinker(shrinker, "%s", name))
		pr_warn("%s: no memory for the shrinker\n", name);
}

static inline void shrinker_free(struct shrinker *shrinker)
{
	unregister_shrinker(shrinker);
	kfree(container_of(shrinker, struct compat_shrinker, shrinker));
}
#endif

#endif
