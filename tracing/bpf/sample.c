// SPDX-License-Identifier: GPL-2.0-only
/* Asks a VM's launcher for rounds of its dirty log, and again before they would end. */
#include <string.h>

#include "control/client.h"
#include "sample.h"
#include "tool.h"
#include "control/registry.h"

#define PATIENCE_MS	5000
#define LEASE_MS	6000
#define RENEW_MS	1500

static struct control_link link_;
static bool connected;
static uint64_t every_ms, asked_ns;

static bool ask(uint64_t ms)
{
	struct json_object *arguments = json_object_new_object(), *answer;

	json_u64(arguments, "ms", ms);
	json_u64(arguments, "lease_ms", LEASE_MS);
	answer = control_ask(&link_, "dirty-sample", arguments, -1, PATIENCE_MS, NULL, NULL);
	if (!answer)
		return false;
	json_object_put(answer);
	asked_ns = tool_now_ns();
	return true;
}

void sample_start(uint64_t ms, const char *path)
{
	const struct tool_vm *vm = tool_vm(options.vm);
	struct error error;

	if (!path && (!vm || !vm->name[0]))
		die(TOOL_USAGE, "--sample: VM %u is not there", options.vm);
	if (!path) {
		if (!registry_init(&error))
			die(TOOL_REFUSED, "--sample: %s", error.words);
		/* "../" would lead to somebody else's socket. */
		if (!registry_name_is_good(vm->name))
			die(TOOL_USAGE, "--sample: VM %u has no name that the launcher gives (--control PATH says where its socket is)",
			    options.vm);
		path = registry_path(REGISTRY_CONTROL, vm->name);
	}
	if (control_connect(&link_, path, PATIENCE_MS))
		die(TOOL_REFUSED, "--sample: %s (--control PATH says where its socket is)", link_.error.words);
	connected = true;
	every_ms = ms;
	if (!ask(ms))
		die(TOOL_REFUSED, "--sample: %s", link_.error.words);
}

bool sample_look(void)
{
	if (connected && tool_now_ns() - asked_ns > RENEW_MS * 1000000ull && !ask(every_ms)) {
		/* A migration has begun, or the VM has ended: what was counted is reported. */
		fprintf(stderr, "gondola-dirty: no more rounds: %s\n", link_.error.words);
		control_disconnect(&link_);
		connected = false;
	}
	return false;
}

void sample_stop(void)
{
	if (!connected)
		return;
	ask(0);
	control_disconnect(&link_);
	connected = false;
}
