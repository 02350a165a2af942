// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <json-c/json.h>

#include "away.h"
#include "commands.h"
#include "sandbox/sandbox.h"
#include "source.h"
#include "target.h"
#include "base/wait.h"
#include "control/control.h"

#define MS			1000000ull
#define DEFAULT_DOWNTIME_MS	300
#define DEFAULT_ROUNDS		30
#define DEFAULT_CACHE		(64ull << 20)
#define NO_CONNECTION		"a stream socket must come along: a VM's process makes no connection"

#define CANCELS_MAX		16

/*
 * The migration of the process' VM; only one at a time.  It stays after its end while the result is
 * in doubt. @cancels: requests to cancel, answered at the end; under the source's lock
 */
static struct {
	struct source source;
	struct control_request *cancels[CANCELS_MAX];
	unsigned int nr_cancels;
	pthread_t thread;
	bool started;
	bool under_way;
} here = { .source.recover_fd = -1 };

static enum migrate_phase phase_now(void)
{
	return __atomic_load_n(&here.source.phase, __ATOMIC_ACQUIRE);
}

/* ---- migrate ----------------------------------------------------------------------------- */

static void refuse_late(struct control_request *request)
{
	control_fail(request, "too-late", "%s has changed hands, or is about to",
		     request->vm->name);
}

/* End the migration, so that the next one may begin.  Returns the number of waiting @cancels. */
static unsigned int end_here(struct control_request *cancels[CANCELS_MAX])
{
	unsigned int count;

	pthread_mutex_lock(&here.source.lock);
	count = here.nr_cancels;
	memcpy(cancels, here.cancels, sizeof(here.cancels));
	here.nr_cancels = 0;
	__atomic_store_n(&here.under_way, false, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&here.source.lock);
	return count;
}

static void *run_thread(void *argument)
{
	struct source *s = &here.source;
	struct control_request *request = argument, *cancels[CANCELS_MAX];
	struct json_object *report;
	unsigned int count;
	bool moved;

	sandbox_thread(SANDBOX_MOVE);
	source_run(s);
	moved = s->theirs;
	report = report_json(&s->report);
	if (moved) {
		json_object_object_add(request->out, "report", report);
	} else {
		control_fail(request, s->phase == MIGRATE_BROKEN ? "in-doubt" :
			     s->cancelled ? "cancelled" : "not-migrated", "%s", s->report.words);
		control_fail_with(request, "report", report);
	}
	/* Do this before the answer: the client may ask for another migration at once. */
	count = end_here(cancels);
	control_done(request);
	/* Only now it is known whether the cancellation succeeded. */
	for (unsigned int i = 0; i < count; i++) {
		if (moved || s->phase == MIGRATE_BROKEN)
			refuse_late(cancels[i]);
		control_done(cancels[i]);
	}
	if (!moved && s->phase == MIGRATE_BROKEN)
		moved = source_settle(s);
	if (moved)
		vm_end(s->vm, VM_MIGRATED, "%s", s->report.words);
	return NULL;
}

static bool take_policy(struct control_request *request, enum on_stall *policy)
{
	static const char *const names[] = { "throttle", "postcopy", "fail" };
	const char *name = control_string(request, "on_stall", "throttle");

	for (unsigned int i = 0; name && i < 3; i++)
		if (!strcmp(name, names[i])) {
			*policy = i;
			return true;
		}
	if (!request->failed)
		control_fail(request, "bad-argument",
			     "\"on_stall\" is none of throttle, postcopy and fail");
	return false;
}

static bool take_options(struct control_request *request, struct migrate_options *options)
{
	const char *address = control_string(request, "address", NULL);
	struct error error;

	*options = (struct migrate_options){ .fd = -1 };
	if (request->failed)
		return false;
	if (request->fd < 0) {
		control_fail(request, "bad-argument", NO_CONNECTION);
		return false;
	}
	if (!address || strlen(address) >= sizeof(options->address)) {
		control_fail(request, "bad-argument", "\"address\" is missing or too long");
		return false;
	}
	if (!transport_check(address, &error)) {
		control_fail(request, "bad-argument", "%s", error.words);
		return false;
	}
	strcpy(options->address, address);
	options->limits.downtime_ns = control_number(request, "downtime_ms", DEFAULT_DOWNTIME_MS,
						     1, 3600000) * MS;
	options->limits.rounds = control_number(request, "max_rounds", DEFAULT_ROUNDS, 1, 100000);
	options->bandwidth = control_number(request, "bandwidth", 0, 0, INT64_MAX);
	options->cache = control_number(request, "delta_cache", DEFAULT_CACHE, 0, INT64_MAX);
	options->level = control_number(request, "compress", 0, 0, 19);
	options->postcopy = control_flag(request, "postcopy", false);
	options->zero = control_flag(request, "zero", true);
	options->delta = control_flag(request, "delta", true);
	if (!take_policy(request, &options->on_stall) || request->failed)
		return false;
	options->fd = request->fd;
	request->fd = -1;
	return true;
}

static void on_migrate(struct control_request *request)
{
	struct source *s = &here.source;
	struct migrate_options options;
	int ret;

	if (__atomic_load_n(&here.under_way, __ATOMIC_ACQUIRE)) {
		control_fail(request, "busy", "%s: a migration is not over: %s", request->vm->name,
			     migrate_phase_name(phase_now()));
		return;
	}
	if (!take_options(request, &options))
		return;
	if (here.started)
		pthread_join(here.thread, NULL);
	*s = (struct source){
		.vm = request->vm, .options = options, .link.transport.fd = -1, .recover_fd = -1,
	};
	pthread_mutex_init(&s->lock, NULL);
	wait_init(&s->changed);
	here.under_way = true;
	/* In the loop's thread, since the state decides about the next request. */
	vm_set_busy(request->vm, VM_STATE_MIGRATING);
	control_later(request);
	ret = pthread_create(&here.thread, NULL, run_thread, request);
	here.started = !ret;
	if (!ret)
		return;
	here.under_way = false;
	vm_set_busy(request->vm, VM_STATE_RUNNING);
	control_fail(request, "failed", "cannot make a thread: %s", strerror(ret));
	control_done(request);
}

/* ---- migrate-cancel ------------------------------------------------------------------------ */

/* Source's lock held. */
static void cancel(struct control_request *request, struct source *s)
{
	if (!here.under_way) {
		control_fail(request, "wrong-state", "%s: no migration is under way",
			     request->vm->name);
	} else if (s->gone) {
		refuse_late(request);
	} else if (here.nr_cancels == CANCELS_MAX) {
		control_fail(request, "busy", "%s: it is being cancelled", request->vm->name);
	} else {
		s->cancelled = true;
		__atomic_store_n(&s->link.hurry, true, __ATOMIC_RELAXED);
		/* End a wait for the target, which is still told of the cancellation. */
		if (s->link.transport.fd >= 0)
			shutdown(s->link.transport.fd, SHUT_RD);
		control_later(request);
		here.cancels[here.nr_cancels++] = request;
	}
}

static void on_cancel(struct control_request *request)
{
	struct source *s = &here.source;

	/* There is no lock before the first migration. */
	if (!here.started) {
		control_fail(request, "wrong-state", "%s: no migration is under way",
			     request->vm->name);
		return;
	}
	pthread_mutex_lock(&s->lock);
	cancel(request, s);
	pthread_mutex_unlock(&s->lock);
}

/* ---- what may not be done to a VM that is not wholly here, or may be elsewhere -------------- */

static void guard(struct control_request *request)
{
	bool leaves = !strcmp(request->command, "migrate") || !strcmp(request->command, "suspend");

	if (!leaves)
		return;
	/* If it were resumed from a file, it might run twice: the target may have it. */
	if (phase_now() == MIGRATE_BROKEN)
		control_fail(request, "busy", "%s: a migration is not over: %s",
			     request->vm->name, migrate_phase_name(phase_now()));
	else if (target_here() && target_left(target_here()))
		control_fail(request, "busy", "%s: %llu pages have not come from its last host",
			     request->vm->name,
			     (unsigned long long)target_left(target_here()));
	/* A debugger's breakpoints are bytes in guest memory, and would be sent along. */
	else if (vm_debugged(request->vm))
		control_fail(request, "busy", "%s has a debugger: detach it first",
			     request->vm->name);
}

/* ---- migrate-recover -------------------------------------------------------------------------- */

/* The client's socket: for a target it listens, for a source it is connected. */
static bool take_connection(struct control_request *request, int *to)
{
	if (request->fd < 0) {
		control_fail(request, "bad-argument", NO_CONNECTION);
		return false;
	}
	/* Another request came before this one was handled. */
	if (*to >= 0)
		close(*to);
	*to = request->fd;
	request->fd = -1;
	return true;
}

/* The target lost its link: it listens.  Its lock is held while it sends. */
static void recover_target(struct control_request *request)
{
	struct target *target = target_here();

	pthread_mutex_lock(&target->lock);
	if (take_connection(request, &target->recover_fd)) {
		target->recover_asked = true;
		pthread_cond_broadcast(&target->changed);
		/* It may be waiting at another address, or on a dead link. */
		target_wake(target);
		if (target->listening)
			transport_cut(&target->link.transport);
	}
	pthread_mutex_unlock(&target->lock);
}

/* The user says that it does not run there. */
static void take_it_back(struct control_request *request)
{
	struct source *s = &here.source;
	bool busy;

	pthread_mutex_lock(&s->lock);
	/* Another request may have done so meanwhile. */
	busy = s->settling || s->theirs || s->take_back;
	s->take_back |= !busy;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	if (busy) {
		control_fail(request, "wrong-state", s->take_back ? "%s: it is being taken back" :
			     "%s: its target is being asked whether it has it", request->vm->name);
		return;
	}
	source_take_back(s);
	control_state_event(request->vm);
}

/* In post-copy the user may notice the loss before this end does. */
static bool source_lost(const struct source *s)
{
	uint64_t flowed_ns = __atomic_load_n(&s->flowed_ns, __ATOMIC_RELAXED);

	return phase_now() == MIGRATE_BROKEN ||
	       (s->pushing && wait_now_ns() - flowed_ns > LINK_SILENCE_NS);
}

/* The source has the pages: it connects. */
static void recover_source(struct control_request *request, struct source *s)
{
	pthread_mutex_lock(&s->lock);
	if (take_connection(request, &s->recover_fd)) {
		s->recover_asked = true;
		if (s->pushing)
			transport_cut(&s->link.transport);
		pthread_cond_broadcast(&s->changed);
	}
	pthread_mutex_unlock(&s->lock);
}

static void on_recover(struct control_request *request)
{
	bool take_back = control_flag(request, "take_back", false);
	struct target *target = target_here();
	struct source *s = &here.source;

	if (request->failed)
		return;
	if (target && target_lost(target)) {
		if (take_back)
			control_fail(request, "wrong-state",
				     target->broken ? "%s is here, but a part of its memory is not" :
				     "%s is here, and runs", request->vm->name);
		else
			control_aside(request, LANE_MIGRATE, recover_target);
	} else if (!source_lost(s)) {
		control_fail(request, "wrong-state", "%s: there is nothing to recover",
			     request->vm->name);
	} else if (!take_back) {
		recover_source(request, s);
	} else if (s->theirs) {
		control_fail(request, "wrong-state",
			     "%s has been running elsewhere: it cannot go back", request->vm->name);
	} else {
		control_aside(request, LANE_MIGRATE, take_it_back);
	}
}

static void add_status(struct vm *vm, struct json_object *status)
{
	struct target *target = target_here();
	enum migrate_phase phase = phase_now();

	(void)vm;
	if (target && phase == MIGRATE_IDLE)
		phase = __atomic_load_n(&target->phase, __ATOMIC_ACQUIRE);
	if (phase == MIGRATE_IDLE)
		return;
	json_object_object_add(status, "migration",
			       json_object_new_string(migrate_phase_name(phase)));
	if (phase_now() == MIGRATE_FAILED)
		json_object_object_add(status, "migration_because",
				       json_object_new_string(here.source.report.words));
	/* The kind of socket that migrate-recover needs. */
	if (target && target_lost(target))
		json_object_object_add(status, "recover", json_object_new_string("listen"));
	else if (source_lost(&here.source))
		json_object_object_add(status, "recover", json_object_new_string("connect"));
	if (target && target_left(target))
		json_object_object_add(status, "missing_pages",
				       json_object_new_uint64(target_left(target)));
}

bool migrate_add_commands(const struct vm *vm, struct error *error)
{
	if (!away_begin(vm->name, error))
		return false;
	control_add("migrate", on_migrate);
	control_add("migrate-cancel", on_cancel);
	control_add("migrate-recover", on_recover);
	control_set_guard(guard);
	control_add_status(add_status);
	return true;
}

void migrate_end(struct vm *vm)
{
	struct source *s = &here.source;

	(void)vm;
	if (here.started) {
		pthread_mutex_lock(&s->lock);
		transport_cut(&s->link.transport);
		pthread_cond_broadcast(&s->changed);
		pthread_mutex_unlock(&s->lock);
		pthread_join(here.thread, NULL);
		here.started = false;
	}
	if (target_here())
		target_join(target_here());
}
