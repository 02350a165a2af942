// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <json-c/json.h>

#include "cmd.h"
#include "base/fail.h"

/* An argument "--name" or "--name=value"; NULL if it is another. */
static const struct option_spec *match(const struct option_spec *specs, const char *argument,
				       const char **value)
{
	for (; specs->name; specs++) {
		size_t length = strlen(specs->name);

		/* An argument without a name: anything but an option. */
		if (specs->name[0] != '-' && argument[0] != '-') {
			*value = argument;
			return specs;
		}
		if (specs->name[0] != '-')
			continue;
		if (strncmp(argument, specs->name, length))
			continue;
		if (argument[length] == '=') {
			*value = argument + length + 1;
			return specs;
		}
		if (!argument[length]) {
			*value = NULL;
			return specs;
		}
	}
	return NULL;
}

static void store_number(const struct option_spec *spec, void *to, uint64_t value)
{
	if (spec->member)
		json_object_object_add(*(struct json_object **)to, spec->member,
				       json_object_new_uint64(value));
	else if (spec->bytes == 2)
		*(uint16_t *)to = value;
	else if (spec->bytes == 4)
		*(uint32_t *)to = value;
	else
		*(uint64_t *)to = value;
}

static void store_flag(const struct option_spec *spec, void *to, bool value)
{
	if (spec->member)
		json_object_object_add(*(struct json_object **)to, spec->member,
				       json_object_new_boolean(value));
	else
		*(bool *)to = value;
}

static void store(const struct option_spec *spec, void *to, const char *value)
{
	void *at = (char *)to + spec->at;

	switch (spec->kind) {
	case OPTION_CALL:
	case OPTION_CALL_FLAG:
		spec->take(to, spec->name, value);
		break;
	case OPTION_FLAG:
		store_flag(spec, at, true);
		break;
	case OPTION_SWITCH:
		if (strcmp(value, "on") && strcmp(value, "off"))
			fail(EXIT_CODE_USAGE, "%s: \"%s\" is neither on nor off", spec->name, value);
		store_flag(spec, at, !strcmp(value, "on"));
		break;
	case OPTION_TEXT:
		*(const char **)at = value;
		break;
	case OPTION_NUMBER:
		store_number(spec, at, parse_number(spec->name, value, spec->min, spec->max));
		break;
	case OPTION_SIZE:
		store_number(spec, at, parse_size(spec->name, value));
		break;
	}
}

void parse_options(const struct command *command, int argc, char **argv,
		   const struct option_spec *specs, void *to)
{
	for (int i = 1; i < argc; i++) {
		const struct option_spec *spec;
		const char *value;
		bool flag;

		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			fputs(command->help, stdout);
			exit(EXIT_CODE_OK);
		}
		spec = match(specs, argv[i], &value);
		if (!spec)
			fail(EXIT_CODE_USAGE, "%s: \"%s\" is not an option (see gondola help %s)",
			     command->name, argv[i], command->name);
		flag = spec->kind == OPTION_FLAG || spec->kind == OPTION_CALL_FLAG;
		if (flag && value)
			fail(EXIT_CODE_USAGE, "%s: %s takes no value", command->name, spec->name);
		if (!flag && !value && i + 1 == argc)
			fail(EXIT_CODE_USAGE, "%s: %s needs a value", command->name, spec->name);
		store(spec, to, flag || value ? value : argv[++i]);
	}
}

/* The number at the start of @value; @end: what follows. False if there is none. */
static int number(const char *value, uint64_t *out, const char **end)
{
	char *rest;

	if (!isdigit((unsigned char)*value))
		return 0;
	errno = 0;
	/* A leading 0 does not mean octal to people. */
	*out = strtoull(value, &rest, !strncasecmp(value, "0x", 2) ? 16 : 10);
	*end = rest;
	return !errno;
}

uint64_t parse_number(const char *option, const char *value, uint64_t min, uint64_t max)
{
	const char *end;
	uint64_t out;

	if (!number(value, &out, &end) || *end || out < min || out > max)
		fail(EXIT_CODE_USAGE, "%s: \"%s\" is not a number from %llu to %llu", option, value,
		     (unsigned long long)min, (unsigned long long)max);
	return out;
}

uint64_t parse_size(const char *option, const char *value)
{
	const char *end;
	unsigned int shift = 0;
	uint64_t out;

	if (!number(value, &out, &end))
		goto bad;
	switch (*end) {
	case 'k':
	case 'K':
		shift = 10;
		break;
	case 'm':
	case 'M':
		shift = 20;
		break;
	case 'g':
	case 'G':
		shift = 30;
		break;
	case 0:
		return out;
	default:
		goto bad;
	}
	if (end[1] || out > UINT64_MAX >> shift)
		goto bad;
	return out << shift;
bad:
	fail(EXIT_CODE_USAGE, "%s: \"%s\" is not a size like 512M or 2G", option, value);
}
