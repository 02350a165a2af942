/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The machine for a VM that comes from elsewhere, by "receive" or from a file.
 *
 * The stream says what the guest sees: memory, processors, kinds of devices in their order.
 * This host says what is behind the devices: disks, taps, sockets and files come from the
 * command line or from the VM's own configuration here, and a stream's words about them are
 * only compared.
 */
#ifndef CMD_INCOMING_H
#define CMD_INCOMING_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"
#include "launch.h"

/* For option tables of commands; what was given is kept here. */
#define INCOMING_ROW(option, value, words)	OPTION_TAKEN(option, value, words, incoming_take)
#define INCOMING_OPTIONS	\
	INCOMING_ROW("--disk", "FILE[,ro][,format=raw]",	\
		     "What the VM's next disk is here, as in \"gondola run\"."),	\
	INCOMING_ROW("--net", "user|tap=NAME", "The same for its next network card."),	\
	INCOMING_ROW("--port", "NAME=WHERE", "The same for its next port."),	\
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
/** incoming_names_devices() - the command line says what is behind a device: this option, or NULL */
const char *incoming_names_devices(void);
/** incoming_check() - what it names is there, or fail(): before a VM comes */
void incoming_check(void);
/** incoming_path() - @path, if it is relative from the directory that is the current one now */
const char *incoming_path(const char *path);

/**
 * incoming_make() - fill @run
 * @theirs: the configuration in the stream; it must stay
 * @own: the VM's configuration in this host's registry, or NULL; it must stay
 * @trusted: as with --same-names
 * @name: of the VM here
 *
 * False with @error if the one does not fit the other; fail()s when a configuration is none.
 */
bool incoming_make(struct run_options *run, const struct command *command,
		   struct json_object *theirs, struct json_object *own, bool trusted,
		   const char *name, struct error *error);

#endif
