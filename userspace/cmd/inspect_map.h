/* SPDX-License-Identifier: GPL-2.0-only */
/* "inspect map": where a guest's memory is, in words and as a picture. */
#ifndef CMD_INSPECT_MAP_H
#define CMD_INSPECT_MAP_H

#include <stdbool.h>
#include <json-c/json.h>

/** inspect_map_tell() - a table on stdout; @answer comes from a process that is not trusted */
void inspect_map_tell(struct json_object *answer);
/** inspect_map_draw() - an SVG picture at @path; false with errno */
bool inspect_map_draw(struct json_object *answer, const char *name, const char *path);

#endif
