/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Creates the machine for an incoming VM, by "receive" or from a file.
 *
 * The stream decides what the guest sees: memory, processors, kinds of devices in their order. This
 * host decides what the devices use: disks, taps, sockets and files come from the command line or
 * from the VM's own configuration here, and are only compared with the stream's.
 */
#ifndef CMD_INCOMING_H
#define CMD_INCOMING_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"
#include "launch.h"

/* For option tables of commands; the values are kept in incoming.c. */
#define INCOMING_ROW(option, value, words)	OPTION_TAKEN(option, value, words, incoming_take)
#define INCOMING_OPTIONS	\
	INCOMING_ROW("--disk", "FILE[,ro][,format=FORMAT]",	\
		     "What the VM's next disk is here, as in \"gondola run\"."),	\
	INCOMING_ROW("--net", "user|tap=NAME|passt=SOCKET", "The same for its next network card."),	\
	INCOMING_ROW("--port", "NAME=WHERE", "The same for its next port."),	\
	INCOMING_ROW("--vhost-user", "blk=SOCKET", "The same for its next disk of another program."),	\
	INCOMING_ROW("--console", "WHERE", "As in \"gondola run\" (default: as the configuration "	\
		     "says, else stdio)."),	\
	INCOMING_ROW("--engine", "NAME", "As in \"gondola run\" (default: as the configuration "	\
		     "says). The engine must offer what the guest sees of its processor "	\
		     "(--cpu)."),	\
	INCOMING_ROW("--sandbox", "on|off|strict", "As in \"gondola run\" (default: as this host's "	\
		     "configuration says, else on)."),	\
	INCOMING_ROW("--same-names", NULL, "Open the files, taps and sockets that the source or the "	\
		     "file names. Use this only if you trust it to choose among this host's: with "	\
		     "shared storage, or a file of your own.")

void incoming_take(void *to, const char *option, const char *value);
/** incoming_names_devices() - get an option that names a device's backend, or NULL */
const char *incoming_names_devices(void);
/**
 * incoming_check() - check that the named files exist and are different, or fail(), before a VM comes
 * @json: the report's file, or NULL
 */
void incoming_check(const char *json);
/** incoming_path() - make @path absolute, relative to the present current directory */
const char *incoming_path(const char *path);

/**
 * incoming_make() - fill @run for the incoming VM
 * @theirs: the configuration in the stream; it must stay
 * @own: the VM's configuration in this host's registry, which must stay; or NULL
 * @trusted: as with --same-names
 * @name: of the VM here
 * @saved: the file from which it comes, or NULL
 *
 * False with @error if the two do not fit; fail()s if a configuration is invalid.
 */
bool incoming_make(struct run_options *run, const struct command *command,
		   struct json_object *theirs, struct json_object *own, bool trusted,
		   const char *name, const char *saved, struct error *error);

/** incoming_resume() - continue a VM that is suspended here, as "resume" does without other options */
int incoming_resume(const char *name, bool detach);

#endif
