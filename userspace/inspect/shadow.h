/* SPDX-License-Identifier: GPL-2.0-only */
/* The shadow tables beside the guest's: why an entry is not what the guest's says. */
#ifndef INSPECT_SHADOW_H
#define INSPECT_SHADOW_H

#include <linux/gondola.h>

struct walk;

/**
 * shadow_why() - why entry @i of @shadow is empty, or grants other rights than the guest's
 * @walk: of the same address; @shadow was asked about the page that it leads to
 *
 * Words without an end; NULL: it is what the guest's entry says.
 */
const char *shadow_why(const struct walk *walk, const struct gondola_shadow *shadow,
		       unsigned int i);

#endif
