/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * JSON from another process.  Any member of an object may be missing or have a wrong type;
 * @object may be NULL, or no object.
 */
#ifndef BASE_MEMBER_H
#define BASE_MEMBER_H

#include <stdbool.h>
#include <stdint.h>
#include <json-c/json.h>

/**
 * member_tokener() - a strict parser of UTF-8, or NULL without memory
 * @depth: how many objects and arrays may stand in one another
 * @flags: further ones, as JSON_TOKENER_ALLOW_TRAILING_CHARS
 */
struct json_tokener *member_tokener(int depth, int flags);
/** member_string() - get a string without a NUL in it, or @otherwise */
const char *member_string(struct json_object *object, const char *name, const char *otherwise);
/** member_number() - get a whole number, or @otherwise */
int64_t member_number(struct json_object *object, const char *name, int64_t otherwise);
/** member_count() - get a whole number that is not negative, or 0 */
uint64_t member_count(struct json_object *object, const char *name);
bool member_flag(struct json_object *object, const char *name, bool otherwise);
/** member_object(), member_array() - get an object or array, without a reference; or NULL */
struct json_object *member_object(struct json_object *object, const char *name);
struct json_object *member_array(struct json_object *object, const char *name);

#endif
