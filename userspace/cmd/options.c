// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <json-c/json.h>

#include "cmd.h"
#include "base/closest.h"
#include "base/fail.h"
#include "base/tell.h"

#define MAX_OPTIONS	64

/* Find the row of "--name" or "--name=value"; NULL if there is none. */
static const struct option_spec *match(const struct option_spec *specs, const char *argument,
				       const char **value)
{
	for (; specs->name; specs++) {
		size_t length = strlen(specs->name);

		if (specs->kind == OPTION_HEADING)
			continue;
		/* An argument without a name: anything but an option. */
		if (specs->name[0] != '-') {
			*value = argument;
			if (argument[0] != '-')
				return specs;
		} else if (!strncmp(argument, specs->name, length) &&
			   (argument[length] == '=' || !argument[length])) {
			*value = argument[length] ? argument + length + 1 : NULL;
			return specs;
		}
	}
	return NULL;
}

/* Other monitors' names for our options. */
static const char *other_name(const char *argument, const char *const *names, size_t count)
{
	static const struct {
		const char *theirs;
		const char *ours;
	} others[] = {
		{ "m", "--mem" }, { "memory", "--mem" }, { "ram", "--mem" },
		{ "smp", "--cpus" }, { "vcpus", "--cpus" },
		{ "cmdline", "--append" }, { "params", "--append" },
		{ "initramfs", "--initrd" }, { "ramdisk", "--initrd" },
		{ "hda", "--disk" }, { "drive", "--disk" }, { "block", "--disk" },
		{ "nic", "--net" }, { "netdev", "--net" }, { "network", "--net" }, { "tap", "--net" },
		{ "serial", "--console" }, { "tty", "--console" },
		{ "qmp", "--control" }, { "api-socket", "--control" }, { "api-sock", "--control" },
		{ "s", "--gdb" },
	};
	const char *word = argument + strspn(argument, "-");
	size_t length = strcspn(word, "=");

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (strlen(others[i].theirs) != length || strncmp(word, others[i].theirs, length))
			continue;
		for (size_t j = 0; j < count; j++)
			if (!strcmp(names[j], others[i].ours))
				return names[j];
	}
	return NULL;
}

__attribute__((noreturn))
static void no_option(const struct command *command, const struct option_spec *specs,
		      const char *argument)
{
	const char *names[MAX_OPTIONS], *meant;
	size_t count = 0;

	for (; specs->name && count < MAX_OPTIONS; specs++)
		if (specs->name[0] == '-')
			names[count++] = specs->name;
	meant = other_name(argument, names, count) ?: closest(argument, names, count);
	if (meant)
		fail(EXIT_CODE_USAGE, "%s: \"%s\" is not an option; did you mean %s?", command->name,
		     argument, meant);
	fail(EXIT_CODE_USAGE, "%s: \"%s\" is not an option (see gondola help %s)", command->name,
	     argument, command->name);
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

/* Words become strings of JSON: in configurations, requests and the stream of a migration. */
static void check_word(const struct command *command, const struct option_spec *spec,
		       const char *value)
{
	bool option = spec->name[0] == '-';

	if (!tell_is_utf8(value))
		fail(EXIT_CODE_USAGE, "%s: %s%s\"%s\" is not UTF-8", command->name,
		     option ? spec->name : "", option ? " " : "", value);
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
	case OPTION_HEADING:
		break;
	}
}

void parse_options(const struct command *command, int argc, char **argv, void *to)
{
	parse_options_by(command->options, command, argc, argv, to);
}

void parse_options_by(const struct option_spec *specs, const struct command *command, int argc,
		      char **argv, void *to)
{
	for (int i = 1; i < argc; i++) {
		const struct option_spec *spec;
		const char *value;
		bool flag;

		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			help_print(stdout, command);
			exit(EXIT_CODE_OK);
		}
		spec = match(specs, argv[i], &value);
		if (!spec)
			no_option(command, specs, argv[i]);
		flag = spec->kind == OPTION_FLAG || spec->kind == OPTION_CALL_FLAG;
		if (flag && value)
			fail(EXIT_CODE_USAGE, "%s: %s takes no value", command->name, spec->name);
		if (!flag && !value && i + 1 == argc)
			fail(EXIT_CODE_USAGE, "%s: %s needs a value", command->name, spec->name);
		if (!flag && !value)
			value = argv[++i];
		if (value)
			check_word(command, spec, value);
		store(spec, to, value);
	}
}

void current_directory(char *directory)
{
	if (!getcwd(directory, PATH_MAX))
		fail(EXIT_CODE_ERROR, "cannot ask for the current directory: %s", errno == ENOENT ?
		     "it was removed (go to another)" : strerror(errno));
	if (!tell_is_utf8(directory))
		fail(EXIT_CODE_USAGE, "the name of the current directory, \"%s\", is not UTF-8", directory);
}

/* Parse the number at the start of @value; @end: the rest.  False if there is none. */
static int number(const char *value, uint64_t *out, const char **end)
{
	char *rest;

	if (!isdigit((unsigned char)*value))
		return 0;
	errno = 0;
	/* For people a leading 0 does not mean octal. */
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
	uint64_t out, part = 0, whole = 1;
	unsigned int shift = 0;
	const char *end;

	if (!number(value, &out, &end))
		goto bad;
	if (*end == '.')
		/* Further digits are less than a byte, even of a terabyte. */
		for (end++; isdigit((unsigned char)*end) && whole < 1000000; end++) {
			part = 10 * part + (*end - '0');
			whole *= 10;
		}
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
	case 't':
	case 'T':
		shift = 40;
		break;
	case 0:
		/* A fraction needs a unit. */
		if (whole > 1)
			goto bad;
		return out;
	default:
		goto bad;
	}
	/* All units are powers of two, since memory sizes are. */
	if ((end[1] && strcasecmp(end + 1, "iB") && strcasecmp(end + 1, "i") &&
	     strcasecmp(end + 1, "B")) || out > (UINT64_MAX >> shift) - 1)
		goto bad;
	return (out << shift) + (part << shift) / whole;
bad:
	fail(EXIT_CODE_USAGE, "%s: \"%s\" is not a size like 512M, 1.5G or 2GiB", option, value);
}
