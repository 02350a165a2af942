// SPDX-License-Identifier: GPL-2.0-only
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <linux/virtio_balloon.h>

#include "balloon_control.h"
#include "control/control.h"
#include "device/virtio/balloon.h"
#include "device/virtio/devices.h"
#include "migrate/target.h"
#include "vm/vm.h"

#define STATS_WAIT_MS	500

/* For the process' balloon; the device's thread calls the hooks. */
static struct balloon_hooks hooks;
static uint64_t hinted, keep;
/* The client's reason for the last goal. */
static char why[128];
static pthread_mutex_t why_lock = PTHREAD_MUTEX_INITIALIZER;

static void add_number(struct json_object *to, const char *name, uint64_t value)
{
	json_object_object_add(to, name, json_object_new_uint64(value));
}

static void put_status(struct json_object *to, const struct balloon_status *status)
{
	add_number(to, "goal", status->id);
	json_object_object_add(to, "reason",
			       json_object_new_string(balloon_reason_name(status->reason)));
	add_number(to, "target", (uint64_t)status->goal.pages * BALLOON_PAGE);
	add_number(to, "rate", (uint64_t)status->goal.rate * BALLOON_PAGE);
	add_number(to, "deadline_ms", status->goal.deadline_ms);
	add_number(to, "floor", (uint64_t)status->goal.floor * BALLOON_PAGE);
	add_number(to, "held", status->held * BALLOON_PAGE);
	add_number(to, "memory", status->total * BALLOON_PAGE);
	add_number(to, "keep", keep);
	add_number(to, "backoffs", status->backoffs);
	add_number(to, "discarded", status->discarded * BALLOON_PAGE);
	add_number(to, "reported", status->reported * BALLOON_PAGE);
	pthread_mutex_lock(&why_lock);
	json_object_object_add(to, "why", json_object_new_string(why));
	pthread_mutex_unlock(&why_lock);
	json_object_object_add(to, "driver", json_object_new_string(
		!status->driver ? "none" : status->paced ? "gondola" : "standard"));
}

static void on_status(struct control_request *request)
{
	struct balloon_status status;

	balloon_get_status(virtio_balloon(request->vm), &status);
	put_status(request->out, &status);
}

static uint32_t pages(struct control_request *request, const char *member, uint64_t most)
{
	return control_number(request, member, 0, 0, most) / BALLOON_PAGE;
}

/* Tell the VM's subscribers what the policy decided. */
static void tell_asked(struct control_request *request)
{
	const char *words = control_string(request, "why", "");
	struct balloon_status status;
	struct json_object *data;

	if (request->failed)
		return;
	pthread_mutex_lock(&why_lock);
	snprintf(why, sizeof(why), "%s", words);
	pthread_mutex_unlock(&why_lock);
	data = json_object_new_object();
	balloon_get_status(virtio_balloon(request->vm), &status);
	put_status(data, &status);
	control_event("balloon-asked", data);
}

static void do_balloon(struct control_request *request)
{
	struct virtio_device *device = virtio_balloon(request->vm);
	uint64_t memory = request->vm->memory.bytes;
	struct balloon_goal goal = {
		.pages = pages(request, "size", memory),
		.rate = pages(request, "rate", (uint64_t)UINT32_MAX * BALLOON_PAGE),
		.deadline_ms = control_number(request, "deadline_ms", 0, 0, UINT32_MAX),
		.floor = pages(request, "floor", memory),
	};

	if (request->failed)
		return;
	if (control_flag(request, "cancel", false)) {
		if (!request->failed)
			balloon_cancel(device);
	} else if (!json_object_object_get_ex(request->in, "size", NULL)) {
		control_fail(request, "bad-argument", "balloon: \"size\" is missing");
	} else if (!request->failed) {
		balloon_ask(device, &goal);
		tell_asked(request);
	}
	if (!request->failed)
		on_status(request);
}

/* The standard's names of tags, from the kernel's header. */
static const char *const stat_names[] = VIRTIO_BALLOON_S_NAMES;

static void do_stats(struct control_request *request)
{
	struct json_object *values;
	struct balloon_stats stats;

	if (!balloon_get_stats(virtio_balloon(request->vm), &stats, STATS_WAIT_MS)) {
		control_fail(request, "no-statistics", "the guest has told no statistics (does it run a balloon driver?)");
		return;
	}
	on_status(request);
	values = json_object_new_object();
	for (unsigned int tag = 0; tag < VIRTIO_BALLOON_S_NR; tag++)
		if (stats.valid & 1u << tag)
			add_number(values, stat_names[tag], stats.value[tag]);
	json_object_object_add(request->out, "stats", values);
	add_number(request->out, "age_ms", stats.age_ms);
}

/* Ask for free pages, for tests and the curious: a migration asks by itself. */
static void do_hint(struct control_request *request)
{
	if (control_flag(request, "on", true))
		__atomic_store_n(&hinted, 0, __ATOMIC_RELAXED);
	if (request->failed)
		return;
	if (!balloon_hint(virtio_balloon(request->vm), control_flag(request, "on", true)))
		control_fail(request, "failed", "the guest's driver gives no hints");
	add_number(request->out, "hinted", __atomic_load_n(&hinted, __ATOMIC_RELAXED));
}

/* These take the device's lock. */
static void on_balloon(struct control_request *request)
{
	control_aside(request, LANE_DEVICES, do_balloon);
}

static void on_stats(struct control_request *request)
{
	control_aside(request, LANE_DEVICES, do_stats);
}

static void on_hint(struct control_request *request)
{
	control_aside(request, LANE_DEVICES, do_hint);
}

static void took_hint(void *argument, uint64_t gpa, uint64_t bytes)
{
	(void)argument;
	(void)gpa;
	__atomic_fetch_add(&hinted, bytes, __ATOMIC_RELAXED);
}

static void ended(void *argument, const struct balloon_status *status)
{
	struct json_object *data = json_object_new_object();

	(void)argument;
	put_status(data, status);
	control_event("balloon", data);
}

/* A page that another host has not sent yet must not arrive any more. */
static void discarded(void *argument, uint64_t gpa, uint64_t bytes)
{
	(void)argument;
	fetch_discarded(gpa, bytes);
}

static void add_status(struct vm *vm, struct json_object *status)
{
	struct json_object *balloon = json_object_new_object();
	struct balloon_status now;

	balloon_get_status(virtio_balloon(vm), &now);
	put_status(balloon, &now);
	json_object_object_add(status, "balloon", balloon);
}

void balloon_control_init(struct vm *vm, uint64_t bytes)
{
	if (!virtio_balloon(vm))
		return;
	keep = bytes;
	hooks.ended = ended;
	hooks.discarded = discarded;
	hooks.hinted = took_hint;
	balloon_set_hooks(virtio_balloon(vm), &hooks);
	control_add("balloon", on_balloon);
	control_add("balloon-status", on_status);
	control_add("balloon-stats", on_stats);
	control_add("balloon-hint", on_hint);
	control_add_status(add_status);
}
