// SPDX-License-Identifier: GPL-2.0-only
/*
 * The sending end: from the connection to the moment when the VM belongs to the target, or stays
 * here.
 *
 * This process owns the VM until it has sent COMMIT.  Then it waits for the target's answer with
 * the VM stopped.  After COMMITTED the VM is gone; after a refusal it continues here; without an
 * answer it stays paused and the state says so, since the target may be running it.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/random.h>
#include <x86intrin.h>
#include <json-c/json.h>

#include "away.h"
#include "commands.h"
#include "device/state.h"
#include "lib/libgondola.h"
#include "machine.h"
#include "source.h"
#include "throttle.h"
#include "control/control.h"
#include "base/fail.h"
#include "base/wait.h"
#include "vm/probes.h"

#define PAGE		4096u
#define PINGS		3
#define PROGRESS_NS	100000000ull
#define LOAD_MAX_NS	1000000000ull	/* also if the target measured less */

uint64_t source_bytes(const struct source *s)
{
	return s->lost_bytes + s->link.out.bytes + s->link.in.offset;
}

/* True if it is another one, of which listeners are to be told. */
static bool enter_phase(struct source *s, enum migrate_phase phase)
{
	bool changed = s->phase != phase;

	__atomic_store_n(&s->phase, phase, __ATOMIC_RELEASE);
	__gondola_mark(s->vm->fd, phase, s->round);
	if (changed)
		PROBE_MIGRATE_PHASE(phase, s->round);
	return changed;
}

void source_phase(struct source *s, enum migrate_phase phase)
{
	if (enter_phase(s, phase))
		source_progress(s, true);
}

static void put(struct json_object *event, const char *member, uint64_t value)
{
	json_object_object_add(event, member, json_object_new_uint64(value));
}

/* The last round's rates; of the first round, as long as it lasts, what is known by then. */
static void put_rates(const struct source *s, struct json_object *event, uint64_t left, uint64_t now)
{
	const struct report_round *first = &s->report.rounds[0];

	if (s->estimate.rounds) {
		put(event, "dirty_rate", (uint64_t)s->estimate.dirty_rate);
		put(event, "link_rate", (uint64_t)s->estimate.link_rate);
		put(event, "expected_downtime_ns", estimate_downtime(&s->estimate, left));
	} else if (s->report.nr_rounds && now > s->round_began_ns) {
		put(event, "link_rate", (uint64_t)((first->pages - first->left_out) * PAGE * 1e9 /
						   (now - s->round_began_ns)));
	}
}

void source_progress(struct source *s, bool now)
{
	uint64_t ns = wait_now_ns();
	const struct report_round *round;
	struct json_object *event;
	uint64_t left = s->pages;

	if (!now && ns - s->told_ns < PROGRESS_NS)
		return;
	s->told_ns = ns;
	event = json_object_new_object();
	/* The time of the last round is left, less the part that this one has done. */
	if (s->report.nr_rounds > 1)
		left = s->report.rounds[s->report.nr_rounds - 2].dirtied;
	if (s->report.nr_rounds) {
		round = &s->report.rounds[s->report.nr_rounds - 1];
		left = round->ns && !round->unfinished ? round->dirtied :
		       left > round->pages ? left - round->pages : 0;
	}
	json_object_object_add(event, "phase",
			       json_object_new_string(migrate_phase_name(s->phase)));
	json_object_object_add(event, "round", json_object_new_int(s->round));
	put(event, "sent_bytes", source_bytes(s));
	put(event, "left_bytes", left * PAGE);
	put_rates(s, event, left, ns);
	json_object_object_add(event, "throttle_percent",
			       json_object_new_int(throttle_percent()));
	if (s->phase == MIGRATE_BROKEN && s->theirs)
		json_object_object_add(event, "because", json_object_new_string(s->report.words));
	control_event("migrate-progress", event);
}

/* ---- the way there ------------------------------------------------------------------ */

static uint64_t features(const struct source *s)
{
	return (s->options.level ? STREAM_FEATURE_ZSTD : 0) |
	       (s->options.delta ? STREAM_FEATURE_DELTA : 0);
}

static bool say_hello(struct source *s)
{
	struct wire_hello hello = {
		.protocol = WIRE_PROTOCOL, .memory = s->vm->memory.bytes,
	};
	const struct gondola_rec_clock *clock;
	struct error error;
	uint64_t bytes;
	void *records;

	if (__gondola_read_state(s->vm->fd, &records, &bytes))
		return link_fail(&s->link, "the VM's clock cannot be read");
	clock = gondola_find_record(records, bytes, GONDOLA_REC_CLOCK, sizeof(*clock));
	if (clock)
		hello.tsc_khz = clock->tsc_khz;
	free(records);
	memcpy(hello.token, s->token, sizeof(hello.token));
	/* If the user paused it here, it stays paused there. */
	json_object_object_add(s->vm->config, "paused",
			       json_object_new_boolean(vm_paused(s->vm) & 1u << PAUSE_USER));
	if (machine_put_config(s->vm, &s->link.out, &error))
		return link_fail(&s->link, "%s", error.words);
	return link_put(&s->link, WIRE_HELLO, &hello, sizeof(hello));
}

uint64_t source_others_ns(void)
{
	return wait_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - wait_worked_ns();
}

/*
 * The time since @began without what the guest had of the processors that was ours to wait for: more
 * than the other processors can have given.  When it counts, the guest stands.
 */
static uint64_t without_guest(uint64_t began, uint64_t others)
{
	uint64_t now = source_others_ns(), ns, elsewhere;
	cpu_set_t cpus;

	/* The clocks of threads and processes are read one after the other. */
	others = now > others ? now - others : 0;
	/* Only now: the guest may have had its turn in between. */
	ns = wait_now_ns() - began;
	if (sched_getaffinity(0, sizeof(cpus), &cpus))
		return ns;
	elsewhere = (CPU_COUNT(&cpus) - 1) * ns;
	others -= others < elsewhere ? others : elsewhere;
	return ns > others ? ns - others : 0;
}

/* Ask the target, and wait for its answer, @ns long. */
static bool ping(struct source *s, uint64_t *ns)
{
	uint64_t began = wait_now_ns(), others = source_others_ns(), back;

	if (!link_put(&s->link, WIRE_PING, &began, sizeof(began)) ||
	    !link_expect(&s->link, WIRE_PONG, &back, sizeof(back)))
		return false;
	if (back != began)
		return link_fail(&s->link, "the target answers what was not asked");
	*ns = without_guest(began, others);
	return true;
}

bool source_ping_behind(struct source *s)
{
	uint64_t ns;

	if (!ping(s, &ns))
		return false;
	estimate_trip_behind(&s->estimate, ns);
	return true;
}

/* Listeners hear right after COMMIT that the VM changes hands, and may need the target's processor. */
static bool measure_listeners(struct source *s)
{
	struct estimate_stop *stop = &s->estimate.stop;
	uint64_t began = wait_now_ns(), told, ns;

	source_progress(s, true);
	told = wait_now_ns() - began;
	if (!ping(s, &ns))
		return false;
	stop->told_ns = told + (ns > stop->trip_ns ? ns - stop->trip_ns : 0);
	return true;
}

static bool measure_link(struct source *s, const struct wire_ready *ready)
{
	struct estimate_stop *stop = &s->estimate.stop;
	uint64_t ns;

	stop->load_ns = ready->load_ns < LOAD_MAX_NS ? ready->load_ns : LOAD_MAX_NS;
	stop->absent_ns = ready->absent_ns < LOAD_MAX_NS ? ready->absent_ns : LOAD_MAX_NS;
	for (unsigned int i = 0; i < PINGS; i++) {
		if (!ping(s, &ns))
			return false;
		estimate_trip(&s->estimate, ns);
	}
	return measure_listeners(s);
}

/* Measure the flush of a disk with nothing to write: flush twice, and time the second. */
static bool measure_disks(struct source *s)
{
	struct error error;
	uint64_t began;

	if (!devices_prepare(&error))
		return link_fail(&s->link, "%s", error.words);
	began = wait_now_ns();
	if (!devices_prepare(&error))
		return link_fail(&s->link, "%s", error.words);
	s->estimate.stop.disk_ns = wait_now_ns() - began;
	return true;
}

static bool reserve(struct source *s)
{
	struct wire_ready ready;
	bool ret;

	source_phase(s, MIGRATE_CHECK);
	/* An earlier cancel found no wait that it could end. */
	pthread_mutex_lock(&s->lock);
	ret = transport_take(&s->link.transport, s->options.fd, LINK_TIMEOUT_MS, &s->link.error);
	if (ret && s->cancelled)
		ret = link_fail(&s->link, "cancelled");
	pthread_mutex_unlock(&s->lock);
	s->options.fd = -1;
	if (!ret)
		return false;
	if (!link_start(&s->link, features(s), s->options.level) || !say_hello(s))
		return false;
	source_phase(s, MIGRATE_RESERVE);
	/* The target creates a machine now, which may take long. */
	transport_timeout(&s->link.transport, LINK_PATIENCE_MS);
	if (!link_greet(&s->link) || !link_expect(&s->link, WIRE_READY, &ready, sizeof(ready)))
		return false;
	transport_timeout(&s->link.transport, LINK_TIMEOUT_MS);
	if (ready.protocol != WIRE_PROTOCOL)
		return link_fail(&s->link, "the target speaks protocol %u, this program %u",
				 ready.protocol, WIRE_PROTOCOL);
	/* The program would not wait for a page that is missing. */
	if (s->vm->memory.fd && (s->options.postcopy || s->options.on_stall == ON_STALL_POSTCOPY))
		return link_fail(&s->link, "a disk of the VM is another program's, which shares its memory: post-copy is impossible");
	s->target_has_postcopy = ready.flags & WIRE_READY_POSTCOPY;
	if (!s->target_has_postcopy &&
	    (s->options.postcopy || s->options.on_stall == ON_STALL_POSTCOPY))
		return link_fail(&s->link, "the target has no userfaultfd, which post-copy needs");
	if (!measure_link(s, &ready))
		return false;
	s->link.limit = s->options.bandwidth;
	return true;
}

/* ---- the guest stands ------------------------------------------------------------------ */

static void stand_still(struct source *s)
{
	/* A guest that is slowed down stays so: to end that takes time, and it stands now. */
	vm_pause(s->vm, PAUSE_MIGRATE);
	vm_lock_devices(s->vm);
	devices_freeze();
	vm_unlock_devices(s->vm);
	s->frozen = true;
}

static bool run_on(struct source *s)
{
	struct error error;
	bool thawed = true;

	throttle_set(s->vm, 0);
	if (s->frozen) {
		vm_lock_devices(s->vm);
		thawed = devices_thaw(&error);
		vm_unlock_devices(s->vm);
		s->frozen = !thawed;
	}
	if (!thawed) {
		vm_pause_because(s->vm, PAUSE_ERROR, error.words);
		link_fail(&s->link, "and the VM cannot go on here: %s", error.words);
	}
	vm_unpause(s->vm, PAUSE_MIGRATE);
	return thawed;
}

/* Stop the guest for a moment, with all that the final stop needs but pages and link. */
static bool measure_stop(struct source *s)
{
	struct estimate_stop *stop = &s->estimate.stop;
	uint64_t began = wait_now_ns(), before = s->tries.bytes, stood, saved;
	struct error error;
	int ret;

	stand_still(s);
	stood = wait_now_ns();
	stop->pause_ns = stood - began;
	ret = machine_put_state(s->vm, &s->tries, &error);
	saved = wait_now_ns();
	stop->state_bytes = s->tries.bytes - before;
	stop->state_ns = saved - stood;
	if (!run_on(s))
		return false;
	stop->resume_ns = wait_now_ns() - saved;
	if (s->link.limit)
		stop->state_ns += stop->state_bytes * 1000000000ull / s->link.limit;
	return !ret || link_fail(&s->link, "%s", error.words);
}

/* Outside of long mode the processor loads the entries at CR3, so the target needs this page at once. */
static bool send_roots(struct source *s)
{
	struct report_round unused = { 0 };

	for (unsigned int i = 0; i < s->vm->nr_vcpus; i++) {
		struct gondola_rec_sregs sregs;
		struct gondola_rec_regs regs;
		uint64_t page;

		if (__gondola_get_registers(s->vm->vcpus[i].fd, &regs, &sregs))
			return link_fail(&s->link, "the state of a vCPU cannot be read");
		page = (sregs.cr3 & 0xffffffffu) / 4096;
		if (!(sregs.cr0 >> 31) || page >= s->vm->memory.low / 4096 ||
		    !(s->dirty[page / 64] >> (page % 64) & 1))
			continue;
		if (!precopy_send_page(s, page, &unused))
			return false;
		s->dirty[page / 64] &= ~(1ull << (page % 64));
	}
	return link_flush(&s->link);
}

static bool send_rest(struct source *s, bool postcopy)
{
	struct report_downtime *d = &s->report.downtime;
	struct error error;
	uint64_t at, now;

	s->report.stopped = true;
	at = wait_now_ns();
	s->stopped_ns = at;
	stand_still(s);
	now = wait_now_ns();
	d->pause_ns = now - at;
	at = now;
	if (postcopy) {
		if (precopy_left(s) < 0 || !send_roots(s) || !push_missing(s))
			return false;
	} else if (!precopy_last(s)) {
		return false;
	}
	now = wait_now_ns();
	d->copy_ns = now - at;
	at = now;
	/* Otherwise the target would tell the guest that all data is safe. */
	if (!devices_flush(&error))
		return link_fail(&s->link, "%s", error.words);
	if (machine_put_state(s->vm, &s->link.out, &error))
		return link_fail(&s->link, "%s", error.words);
	now = wait_now_ns();
	d->state_ns = now - at;
	return true;
}

static bool hand_over(struct source *s)
{
	struct report_downtime *d = &s->report.downtime;
	uint64_t at = wait_now_ns(), now;
	struct wire_time loaded;

	if (!link_put(&s->link, WIRE_PREPARE, NULL, 0))
		return false;
	transport_timeout(&s->link.transport, LINK_PATIENCE_MS);
	if (!link_expect(&s->link, WIRE_PREPARED, &loaded, sizeof(loaded)))
		return false;
	now = wait_now_ns();
	d->load_ns = now - at;
	at = now;
	enter_phase(s, MIGRATE_COMMIT);
	vm_lock_devices(s->vm);
	devices_yield();
	vm_unlock_devices(s->vm);
	/* A cancel before this point succeeds; a later one is refused. */
	pthread_mutex_lock(&s->lock);
	s->gone = !s->cancelled;
	pthread_mutex_unlock(&s->lock);
	if (!s->gone)
		return link_fail(&s->link, "cancelled");
	/* A COMMIT that was not sent completely cannot have arrived: the VM is still ours. */
	if (!link_put(&s->link, WIRE_COMMIT, NULL, 0)) {
		s->gone = false;
		return false;
	}
	/* Listeners may need the same processor as the target: it has its work now. */
	source_progress(s, true);
	if (!link_expect(&s->link, WIRE_COMMITTED, NULL, 0))
		return false;
	s->theirs = true;
	d->commit_ns = wait_now_ns() - at;
	transport_timeout(&s->link.transport, LINK_TIMEOUT_MS);
	PROBE_MIGRATE_DOWNTIME(s->report.predicted_ns, report_downtime_ns(&s->report));
	return true;
}

/* The guest has written since the last round ended: what it waits for is what is dirty as it stops. */
static bool foretell(struct source *s, bool postcopy)
{
	uint64_t began = wait_now_ns();
	int64_t left;

	/* Then pages are not part of the downtime. */
	if (postcopy) {
		s->report.predicted_ns = estimate_postcopy(&s->estimate, s->pages);
		return true;
	}
	left = precopy_left(s);
	s->estimate.stop.look_ns = wait_now_ns() - began;
	if (left >= 0)
		s->report.predicted_ns = estimate_downtime(&s->estimate, left);
	return left >= 0;
}

static bool move(struct source *s)
{
	bool postcopy = false;
	struct error error;

	if (!reserve(s))
		return false;
	if (!measure_disks(s) || !precopy_begin(s))
		return false;
	/* Listeners hear of it right before the guest stops, as then: they may need the same processor. */
	source_phase(s, MIGRATE_COPY);
	if (!measure_stop(s) ||
	    !precopy_rounds(s, &postcopy))
		return false;
	/* Flush while the guest runs, since a disk may take long. */
	if (!away_mark(s->options.address, &error))
		return link_fail(&s->link, "%s", error.words);
	source_phase(s, MIGRATE_STOP);
	s->report.postcopy = postcopy;
	if (!devices_prepare(&error))
		return link_fail(&s->link, "%s", error.words);
	if (!foretell(s, postcopy) || !send_rest(s, postcopy) || !hand_over(s))
		return false;
	throttle_set(s->vm, 0);
	source_phase(s, postcopy ? MIGRATE_POSTCOPY : MIGRATE_RESUME);
	return true;
}

/* ---- how it ends -------------------------------------------------------------------------- */

static void sum_up(struct source *s, const char *outcome)
{
	s->report.outcome = outcome;
	s->report.phase = migrate_phase_name(s->phase);
	s->report.bytes = source_bytes(s);
	s->report.total_ns = wait_now_ns() - s->began_ns;
	s->report.ticks = __rdtsc() - s->began_tsc;
}

/* The time since the guest was stopped, without the parts accounted for. */
static uint64_t stood_beside(const struct source *s)
{
	return s->report.stopped ?
	       wait_now_ns() - s->stopped_ns - report_downtime_ns(&s->report) : 0;
}

/* The VM is here, and continues. */
static void stay(struct source *s)
{
	char because[sizeof(s->link.error.words) + 2] = "";
	bool runs;

	if (!s->link.refused)
		link_refuse(&s->link, s->cancelled ? "cancelled" : s->link.error.words);
	/* Do this first: a command at the link's end may take long to end. */
	runs = run_on(s);
	s->report.downtime.back_ns = stood_beside(s);
	away_unmark();
	link_blame(&s->link);
	link_close(&s->link);
	precopy_end(s);
	sum_up(s, s->cancelled ? "cancelled" : "failed");
	/* Report only that it was cancelled, unless that failed. */
	if (!s->cancelled || !runs)
		snprintf(because, sizeof(because), ": %s", s->link.error.words);
	snprintf(s->report.words, sizeof(s->report.words), "%s; the VM %s here%s",
		 s->cancelled ? "cancelled" : "not migrated",
		 vm_ending(s->vm) ? "has ended" : !runs ? "is paused" :
		 vm_paused(s->vm) ? "stays paused" : "runs on", because);
	if (!s->cancelled)
		say("%s: %s", s->vm->name, s->report.words);
	vm_set_busy(s->vm, VM_STATE_RUNNING);
	source_phase(s, MIGRATE_FAILED);
}

/* COMMIT was sent, but there was no answer. */
static void doubt(struct source *s)
{
	char words[256];

	snprintf(words, sizeof(words),
		 "the link was lost while the VM changed hands: it may be at %.48s. If it is, gondola migrate-recover NAME ADDRESS there, then here; if it is not, gondola migrate-recover %s --take-back",
		 s->options.address, s->vm->name);
	link_close(&s->link);
	vm_pause_because(s->vm, PAUSE_ERROR, words);
	vm_set_busy(s->vm, VM_STATE_RUNNING);
	snprintf(s->report.words, sizeof(s->report.words), "%s", words);
	s->report.downtime.commit_ns = stood_beside(s);
	sum_up(s, "in-doubt");
	source_phase(s, MIGRATE_BROKEN);
	say("%s: %s", s->vm->name, words);
}

static void leave(struct source *s)
{
	sum_up(s, "migrated");
	snprintf(s->report.words, sizeof(s->report.words), "migrated to %.128s",
		 s->options.address);
	/* Otherwise the target would keep listening for us. */
	link_bye(&s->link);
	link_close(&s->link);
	precopy_end(s);
	source_phase(s, MIGRATE_DONE);
}

void source_take_back(struct source *s)
{
	vm_unpause(s->vm, PAUSE_ERROR);
	s->gone = false;
	run_on(s);
	away_unmark();
	precopy_end(s);
	snprintf(s->report.words, sizeof(s->report.words), "taken back; the VM runs on here");
	source_phase(s, MIGRATE_FAILED);
}

int source_recover_fd(struct source *s)
{
	int fd = s->recover_fd;

	s->recover_fd = -1;
	return fd;
}

bool source_settle(struct source *s)
{
	bool asked;
	int fd;

	do {
		pthread_mutex_lock(&s->lock);
		s->settling = false;
		while (!s->recover_asked && !s->take_back && !vm_ending(s->vm))
			pthread_cond_wait(&s->changed, &s->lock);
		asked = !s->take_back && !vm_ending(s->vm);
		s->settling = asked;
		s->recover_asked = false;
		fd = source_recover_fd(s);
		pthread_mutex_unlock(&s->lock);
		if (!asked) {
			if (fd >= 0)
				close(fd);
			return false;
		}
		if (push_reconnect(s, fd))
			break;
		say("%s: the target did not say that it has the VM: %s", s->vm->name,
		    s->link.error.words);
	} while (true);
	/* Only a target that has run it, or will run it, gives this answer. */
	s->theirs = true;
	vm_set_busy(s->vm, VM_STATE_MIGRATED);
	vm_unpause(s->vm, PAUSE_ERROR);
	source_phase(s, MIGRATE_POSTCOPY);
	push_all(s);
	leave(s);
	return true;
}

void source_run(struct source *s)
{
	s->began_ns = wait_now_ns();
	s->began_tsc = __rdtsc();
	s->report = (struct report){
		.memory = s->vm->memory.bytes, .limit_ns = s->options.limits.downtime_ns,
	};
	snprintf(s->report.name, sizeof(s->report.name), "%s", s->vm->name);
	if (getrandom(s->token, sizeof(s->token), 0) != sizeof(s->token))
		memset(s->token, 0x5a, sizeof(s->token));
	if (move(s)) {
		vm_set_busy(s->vm, VM_STATE_MIGRATED);
		if (s->report.postcopy)
			push_all(s);
		leave(s);
	} else if (s->gone && !s->link.refused) {
		doubt(s);
	} else {
		stay(s);
	}
}
