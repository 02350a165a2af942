// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <json-c/json.h>

#include "cmd.h"
#include "lib/libgondola.h"
#include "base/fail.h"
#include "base/tell.h"

static const struct option_spec specs[] = {
	{ .name = "--json", .kind = OPTION_FLAG, .help = "Print a line of JSON for each engine." },
	{ .name = NULL }
};

static const char *const long_names[GONDOLA_ENGINE_COUNT] = {
	[GONDOLA_ENGINE_VMX] = "Intel VT-x",
	[GONDOLA_ENGINE_SVM] = "AMD-V",
	[GONDOLA_ENGINE_INTERP] = "software",
	[GONDOLA_ENGINE_RING3] = "ring 3",
};

static void describe_json(const struct gondola_preflight *preflight)
{
	struct json_object *line = json_object_new_object();

	json_object_object_add(line, "engine", json_object_new_string(
			       gondola_engine_name(preflight->engine)));
	json_object_object_add(line, "usable", json_object_new_boolean(
			       preflight->reason == GONDOLA_PF_OK));
	json_object_object_add(line, "words", json_object_new_string(
			       gondola_preflight_words(preflight->reason)));
	json_object_object_add(line, "detail", json_object_new_string_len(
			       preflight->detail, strnlen(preflight->detail,
							  sizeof(preflight->detail))));
	tell("%s\n", json_object_to_json_string_ext(line, JSON_C_TO_STRING_PLAIN));
	json_object_put(line);
}

static void describe(const struct gondola_preflight *preflight)
{
	const char *advice = gondola_preflight_advice(preflight->engine, preflight->reason);
	char words[256];

	snprintf(words, sizeof(words), "%s%s%.*s", gondola_preflight_words(preflight->reason),
		 preflight->detail[0] ? ": " : "", (int)sizeof(preflight->detail),
		 preflight->detail);
	printf("%-7s %-11s %s\n", gondola_engine_name(preflight->engine),
	       long_names[preflight->engine], words);
	if (advice)
		printf("%-19s -> %s\n", "", advice);
}

static int no_device(int error)
{
	switch (error) {
	case ENOENT:
		printf("%s is not there: the module is not loaded.\n"
		       "  -> insmod gondola.ko (as root); if that fails, dmesg says why\n",
		       GONDOLA_DEVICE);
		break;
	case EACCES:
	case EPERM:
		printf("%s may not be opened by this user.\n"
		       "  -> run this as root, or give yourself the right: setfacl -m u:$USER:rw %s\n",
		       GONDOLA_DEVICE, GONDOLA_DEVICE);
		break;
	case EPROTO:
		printf("The loaded module speaks another version of the ABI than this program (%d).\n"
		       "  -> use a module and a launcher of the same build\n", GONDOLA_API_VERSION);
		break;
	default:
		printf("%s cannot be opened: %s.\n", GONDOLA_DEVICE, strerror(error));
	}
	return EXIT_CODE_NO_ENGINE;
}

static int run_probe(int argc, char **argv)
{
	struct gondola_preflight preflight;
	bool json = false;
	int sys, ret;

	parse_options(&command_probe, argc, argv, &json);
	sys = __gondola_open();
	if (sys < 0)
		return no_device(-sys);
	for (uint32_t engine = GONDOLA_ENGINE_VMX; engine < GONDOLA_ENGINE_COUNT; engine++) {
		ret = __gondola_preflight(sys, engine, &preflight);
		if (ret < 0)
			gondola_die(-ret, "cannot ask for the engine \"%s\"",
				    gondola_engine_name(engine));
		if (json)
			describe_json(&preflight);
		else
			describe(&preflight);
	}
	ret = __gondola_preflight(sys, GONDOLA_ENGINE_ANY, &preflight);
	if (ret < 0)
		gondola_die(-ret, "cannot ask which engine would be chosen");
	if (preflight.reason != GONDOLA_PF_OK || preflight.engine >= GONDOLA_ENGINE_COUNT) {
		if (!json)
			printf("No engine can be used on this machine.\n");
		return EXIT_CODE_NO_ENGINE;
	}
	if (!json)
		printf("Guests run by \"%s\" unless --engine says otherwise.\n",
		       gondola_engine_name(preflight.engine));
	return EXIT_CODE_OK;
}

const struct command command_probe = {
	.name = "probe",
	.summary = "show which engines this machine can use, and why not the others",
	.usage = "[--json]",
	.about =
"The command prints a line for each engine, with advice below it if you can do something. The last "
"line names the engine that \"gondola run\" takes if it is given none.",
	.options = specs,
	.status =
"0 an engine can be used, 4 none can, or the module is not loaded",
	.run = run_probe,
};
