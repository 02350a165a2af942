// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "member.h"

/* json-c 0.18 refuses each byte above 0x7f when it is strict (its issue 892). */
#define TAKES_ASCII_ALONE	(18 << 8)

struct json_tokener *member_tokener(int depth, int flags)
{
	struct json_tokener *tokener = json_tokener_new_ex(depth);

	if (tokener)
		json_tokener_set_flags(tokener, flags | JSON_TOKENER_VALIDATE_UTF8 |
				       (json_c_version_num() == TAKES_ASCII_ALONE ? 0 :
					JSON_TOKENER_STRICT));
	return tokener;
}

static struct json_object *find(struct json_object *object, const char *name, json_type type)
{
	struct json_object *value;

	return json_object_is_type(object, json_type_object) &&
	       json_object_object_get_ex(object, name, &value) &&
	       json_object_is_type(value, type) ? value : NULL;
}

const char *member_string(struct json_object *object, const char *name, const char *otherwise)
{
	struct json_object *value = find(object, name, json_type_string);

	if (!value || strlen(json_object_get_string(value)) !=
		      (size_t)json_object_get_string_len(value))
		return otherwise;
	return json_object_get_string(value);
}

int64_t member_number(struct json_object *object, const char *name, int64_t otherwise)
{
	struct json_object *value = find(object, name, json_type_int);

	return value ? json_object_get_int64(value) : otherwise;
}

uint64_t member_count(struct json_object *object, const char *name)
{
	struct json_object *value = find(object, name, json_type_int);

	return value && json_object_get_int64(value) >= 0 ? json_object_get_uint64(value) : 0;
}

bool member_flag(struct json_object *object, const char *name, bool otherwise)
{
	struct json_object *value = find(object, name, json_type_boolean);

	return value ? json_object_get_boolean(value) : otherwise;
}

struct json_object *member_object(struct json_object *object, const char *name)
{
	return find(object, name, json_type_object);
}

struct json_object *member_array(struct json_object *object, const char *name)
{
	return find(object, name, json_type_array);
}
