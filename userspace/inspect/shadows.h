/* SPDX-License-Identifier: GPL-2.0-only */
/* All shadow tables of a VM, counted, as JSON. */
#ifndef INSPECT_SHADOWS_H
#define INSPECT_SHADOWS_H

#include <json-c/json.h>
#include <linux/gondola.h>

/** show_shadows() - adds the kinds of which there are tables, the mapped pages, and what it all costs */
void show_shadows(struct json_object *to, const struct gondola_shadows *shadows);

#endif
