// SPDX-License-Identifier: GPL-2.0-only
#include "shadows.h"

/* By enum gondola_shadow_format. */
static const char *const formats[] = { "no table", "two levels", "PAE", "long mode" };

_Static_assert(sizeof(formats) / sizeof(formats[0]) == GONDOLA_SHADOW_FORMATS, "a name for each");

static void put(struct json_object *to, const char *name, uint64_t value)
{
	json_object_object_add(to, name, json_object_new_uint64(value));
}

static void put_kind(struct json_object *to, unsigned int level, unsigned int format,
		     const struct gondola_shadow_kind *kind)
{
	struct json_object *one = json_object_new_object();

	put(one, "level", level);
	json_object_object_add(one, "format", json_object_new_string(formats[format]));
	put(one, "tables", kind->tables);
	put(one, "unsync", kind->unsync);
	put(one, "roots", kind->roots);
	put(one, "entries", kind->entries);
	json_object_array_add(to, one);
}

void show_shadows(struct json_object *to, const struct gondola_shadows *shadows)
{
	struct json_object *kinds = json_object_new_array(), *mapped = json_object_new_array();
	uint64_t tables = 0;

	for (unsigned int level = GONDOLA_SHADOW_LEVELS; level; level--)
		for (unsigned int format = 0; format < GONDOLA_SHADOW_FORMATS; format++) {
			const struct gondola_shadow_kind *kind = &shadows->kind[level - 1][format];

			tables += kind->tables;
			if (kind->tables)
				put_kind(kinds, level, format, kind);
		}
	for (unsigned int i = 0; i < GONDOLA_SHADOW_LENGTHS; i++) {
		struct json_object *one = json_object_new_object();

		put(one, "entries", i ? 1u << (i - 1) : 0);
		put(one, "pages", shadows->mapped[i]);
		json_object_array_add(mapped, one);
	}
	put(to, "tables", tables);
	put(to, "max_tables", shadows->max_tables);
	json_object_object_add(to, "kinds", kinds);
	json_object_object_add(to, "mapped", mapped);
	put(to, "table_bytes", shadows->table_bytes);
	put(to, "rmap_bytes", shadows->rmap_bytes);
	put(to, "frame_bytes", shadows->frame_bytes);
}
