/* SPDX-License-Identifier: GPL-2.0-only */
/* Atomic exchange with the launcher's memory. */
#ifndef GONDOLA_HOST_UACCESS_H
#define GONDOLA_HOST_UACCESS_H

#include <linux/types.h>
#include <linux/uaccess.h>
#ifdef CONFIG_UML
#include <asm/futex.h>
#endif

/**
 * gondola_try_cmpxchg_user() - set @word to @new if it is *@old
 *
 * 0; 1: it was another value, now in *@old; -EFAULT.  An access has checked @word before.
 */
static inline int gondola_try_cmpxchg_user(u32 __user *word, u32 *old, u32 new)
{
#ifdef CONFIG_UML
	u32 expected = *old;
	int err = futex_atomic_cmpxchg_inatomic(old, word, expected, new);

	return err ? err : *old != expected;
#else
	return __try_cmpxchg_user(word, old, new, fault);
#endif
}

#endif
