// SPDX-License-Identifier: GPL-2.0-only
/*
 * The receiving end: reserves memory, receives memory and state, and answers.  Until COMMIT arrives
 * the VM is the source's, and a failure here ends only this process.  Everything received is
 * untrusted.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <json-c/json.h>

#include "away.h"
#include "delta.h"
#include "device/state.h"
#include "sandbox/sandbox.h"
#include "target.h"
#include "vm/pause.h"
#include "control/control.h"
#include "base/fail.h"
#include "base/signals.h"
#include "base/wait.h"
#include "vm/probes.h"

#define REHEARSALS	3u
#define PAGE		4096u
#define KHZ_TOLERANCE	2000u		/* the same as the module's */
#define GREETING_MS	10000		/* a source sends all of it at once */
#define REFUSAL_MS	2000

/* The target of the process' VM, for hooks without a parameter for it: absent and discarded pages. */
static struct target *here;

struct target *target_here(void)
{
	return here;
}

uint64_t target_left(const struct target *target)
{
	return __atomic_load_n(&target->left, __ATOMIC_RELAXED);
}

bool target_lost(const struct target *target)
{
	uint64_t heard_ns = __atomic_load_n(&target->heard_ns, __ATOMIC_RELAXED);

	return target->broken || target->unconfirmed ||
	       (target->listening && wait_now_ns() - heard_ns > LINK_SILENCE_NS);
}

uint64_t target_page(const struct target *target, uint64_t gpa)
{
	uint64_t low = target->vm->memory.low;

	return (gpa < low ? gpa : gpa - MEMORY_HIGH + low) / PAGE;
}

static void phase(struct target *target, enum migrate_phase now)
{
	if (target->phase != now)
		PROBE_MIGRATE_PHASE(now, target->round);
	__atomic_store_n(&target->phase, now, __ATOMIC_RELEASE);
	if (target->vm)
		__gondola_mark(target->vm->fd, now, target->round);
}

/* ---- before there is a machine --------------------------------------------------------- */

void target_refuse(struct target *target, const char *words)
{
	uint64_t until = wait_now_ns() + REFUSAL_MS * 1000000ull;
	char unused[256];

	link_refuse(&target->link, words);
	/* Wait until it is read: closing the socket with unread data here would discard it. */
	if (target->link.transport.fd < 0)
		return;
	shutdown(target->link.transport.fd, SHUT_WR);
	transport_timeout(&target->link.transport, REFUSAL_MS);
	while (wait_now_ns() < until &&
	       recv(target->link.transport.fd, unused, sizeof(unused), 0) > 0)
		;
	link_close(&target->link);
}

/* Wait for another source if another connection is possible; else false. */
static bool no_vm(struct target *target, struct error *error)
{
	link_blame(&target->link);
	*error = target->link.error;
	if (!target->link.refused)
		target_refuse(target, error->words);
	if (target->listener.fd < 0)
		return error_set(error, EXIT_CODE_ERROR, "no VM was received: %s", error->words);
	say("a connection brought no VM (%s): waiting for another", error->words);
	link_close(&target->link);
	json_object_put(target->config.json);
	target->config = (struct machine_config){ .json = NULL };
	target->link = (struct link){ .transport.fd = -1 };
	return true;
}

/* While there is no VM a signal ends the wait, and removes its socket. */
static int end_signals(int how)
{
	sigset_t ends;

	signals_that_end(&ends);
	sigprocmask(how, &ends, NULL);
	return how == SIG_BLOCK ? signalfd(-1, &ends, SFD_CLOEXEC) : -1;
}

static bool take_hello(struct target *target, const struct stream_record *record)
{
	if (record->bytes != sizeof(target->hello))
		return link_fail(&target->link, "the greeting has a wrong length");
	memcpy(&target->hello, record->data, sizeof(target->hello));
	if (target->hello.protocol != WIRE_PROTOCOL || target->hello.flags)
		return link_fail(&target->link, "the source speaks protocol %u, this program %u",
				 target->hello.protocol, WIRE_PROTOCOL);
	return true;
}

static bool read_greeting(struct target *target)
{
	struct link *link = &target->link;
	struct stream_record record;

	if (!link_start(link, 0, 0) || !link_greet(link))
		return false;
	if (machine_read_config(&link->in, &target->config))
		return link_fail(link, "%s", link->in.error.words);
	if (!link_read(link, &record))
		return false;
	return record.type == WIRE_HELLO ? take_hello(target, &record) :
	       link_fail(link, "record type %u came in place of the greeting", record.type);
}

/* Two threads may decide at the same time: the first decision holds. */
static bool decide(struct target *target, enum target_word word)
{
	enum target_word open = TARGET_OPEN;

	return __atomic_compare_exchange_n(&target->word, &open, word, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

/* This process may end without telling the source. */
static void refuse_at_exit(void)
{
	if (here && here->link.transport.fd >= 0 && decide(here, TARGET_REFUSES))
		target_refuse(here, here->link.error.words[0] ? here->link.error.words :
			      "the target ended, and said why there");
}

bool target_listen(struct target *target, const char *address, struct error *error)
{
	const char *number = strncmp(address, "fd:", 3) ? NULL : address + 3;

	*target = (struct target){
		.link.transport.fd = -1, .uffd = -1, .stop_fd = -1, .recover_fd = -1,
	};
	target->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&target->lock, NULL);
	wait_init(&target->changed);
	if (target->wake_fd < 0)
		return error_set(error, EXIT_CODE_ERROR, "receive: cannot make an event descriptor: %s",
				 strerror(errno));
	if (!transport_listen(&target->listener, address, number ? atoi(number) : -1, error))
		return error_set(error, error->status, "receive: %s", error->words);
	say("waiting for a VM at %s", address);
	return true;
}

bool target_accept(struct target *target, struct error *error)
{
	int stop_fd = end_signals(SIG_BLOCK);
	bool good = false;

	/* Deaf to signals it would wait for ever. */
	if (stop_fd < 0) {
		transport_unlisten(&target->listener);
		return error_set(error, EXIT_CODE_ERROR, "receive: cannot take signals: %s",
				 strerror(errno));
	}
	while (!good) {
		if (!transport_accept(&target->listener, &target->link.transport, STREAM_MAGIC,
				      stop_fd, LINK_TIMEOUT_MS, error)) {
			error_set(error, error->status, "receive: %s", error->words);
			break;
		}
		transport_timeout(&target->link.transport, GREETING_MS);
		good = read_greeting(target);
		if (!good && !no_vm(target, error))
			break;
	}
	transport_unlisten(&target->listener);
	close(stop_fd);
	/* The signal that ended the wait stays blocked, so that the words are still printed. */
	if (!good)
		return false;
	transport_timeout(&target->link.transport, LINK_TIMEOUT_MS);
	end_signals(SIG_UNBLOCK);
	here = target;
	atexit(refuse_at_exit);
	return true;
}

/* The memory that the host can give without harm to others (MemAvailable); 0: unknown. */
static uint64_t available_memory(void)
{
	unsigned long long available = 0, swap = 0, value;
	FILE *file = fopen("/proc/meminfo", "re");
	char line[128];

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %llu kB", &value) == 1)
			available = value;
		else if (sscanf(line, "SwapFree: %llu kB", &value) == 1)
			swap = value;
	fclose(file);
	return (available + swap) << 10;
}

bool target_reserve(struct target *target, uint64_t bytes, struct error *error)
{
	uint64_t available = available_memory();

	fetch_open(target);
	if (!available || bytes <= available)
		return true;
	link_fail(&target->link, "the VM has %llu MiB, this host has %llu MiB left",
		  (unsigned long long)bytes >> 20, (unsigned long long)available >> 20);
	target_refuse(target, target->link.error.words);
	return error_set(error, EXIT_CODE_MEMORY, "no VM was received: %s",
			 target->link.error.words);
}

/* ---- what comes ---------------------------------------------------------------------------- */

static int take_page(void *argument, const struct stream_page *page, const uint8_t *data)
{
	struct target *target = argument;
	uint8_t *at = memory_at(&target->vm->memory, page->gpa, PAGE);

	if (!at) {
		link_fail(&target->link, "a page for 0x%llx came, where there is no memory",
			  (unsigned long long)page->gpa);
		return -1;
	}
	if (!(page->flags & STREAM_PAGE_DELTA)) {
		memcpy(at, data, PAGE);
	} else if (!delta_apply(at, data, page->bytes)) {
		link_fail(&target->link, "a difference for page 0x%llx is malformed",
			  (unsigned long long)page->gpa);
		return -1;
	}
	return 0;
}

static bool take_zeroes(struct target *target, const struct stream_record *record)
{
	const struct stream_range *range = (const void *)record->data;

	for (uint32_t i = 0; i < record->bytes / sizeof(*range); i++) {
		uint8_t *at = memory_at(&target->vm->memory, range[i].gpa, range[i].pages * PAGE);

		if (!at)
			return link_fail(&target->link, "zeroes for 0x%llx came, where there is no memory",
					 (unsigned long long)range[i].gpa);
		/* A page that was never touched is zero: leave it untouched. */
		for (uint64_t page = 0; page < range[i].pages; page++, at += PAGE)
			if (!stream_page_is_zero(at))
				memset(at, 0, PAGE);
	}
	return true;
}

static bool answer_ping(struct target *target, const struct stream_record *record)
{
	return link_put(&target->link, WIRE_PONG, record->data, record->bytes < 8 ? 0 : 8);
}

static bool take_round(struct target *target, const struct stream_record *record)
{
	struct wire_round round;

	if (record->bytes != sizeof(round))
		return link_fail(&target->link, "a round's record has a wrong length");
	memcpy(&round, record->data, sizeof(round));
	target->round = round.round;
	if (migrate_phase_name(round.phase))
		phase(target, round.phase);
	return true;
}

static bool take_state(struct target *target, const struct stream_record *record)
{
	return !machine_load(&target->loader, record) ||
	       link_fail(&target->link, "%s", target->link.in.error.words);
}

/* Handle a record of the copy; *@prepare: it was the last. */
static bool take_record(struct target *target, const struct stream_record *record, bool *prepare)
{
	switch (record->type) {
	case STREAM_PAGES:
		return !stream_each_page(&target->link.in, record, take_page, target) ||
		       link_fail(&target->link, "%s", target->link.in.error.words);
	case STREAM_ZERO:
		return take_zeroes(target, record);
	case WIRE_PING:
		return answer_ping(target, record);
	case WIRE_ROUND:
		return take_round(target, record);
	case WIRE_MISSING:
		return fetch_missing(target, record);
	case WIRE_PREPARE:
		*prepare = true;
		return true;
	default:
		return take_state(target, record);
	}
}

/* ---- the way to COMMIT ---------------------------------------------------------------------- */

static bool same_tsc(struct target *target)
{
	uint64_t bytes, local = 0, khz = target->hello.tsc_khz;
	const struct gondola_rec_clock *clock;
	void *records;

	if (__gondola_read_state(target->vm->fd, &records, &bytes))
		return link_fail(&target->link, "this VM's clock cannot be read");
	clock = gondola_find_record(records, bytes, GONDOLA_REC_CLOCK, sizeof(*clock));
	if (clock)
		local = clock->tsc_khz;
	free(records);
	if (!local || (khz >= local - local / KHZ_TOLERANCE && khz <= local + local / KHZ_TOLERANCE))
		return true;
	return link_fail(&target->link, "the TSC here runs at %llu kHz, there at %llu, and nothing scales it",
			 (unsigned long long)local, (unsigned long long)khz);
}

static uint64_t rehearse(struct target *target)
{
	uint64_t began = wait_now_ns();

	machine_rehearse_load(target->vm);
	return wait_now_ns() - began;
}

/* The shortest: it is another program's turn now and then, and a guest's that will stand by then. */
static uint64_t least(struct target *target, uint64_t (*rehearsal)(struct target *target))
{
	uint64_t least_ns = UINT64_MAX;

	for (unsigned int i = 0; i < REHEARSALS; i++) {
		uint64_t ns = rehearsal(target);

		if (ns < least_ns)
			least_ns = ns;
	}
	return least_ns;
}

static bool say_ready(struct target *target)
{
	struct wire_ready ready = {
		.protocol = WIRE_PROTOCOL, .flags = fetch_possible(target) ? WIRE_READY_POSTCOPY : 0,
		.load_ns = least(target, rehearse), .absent_ns = least(target, fetch_rehearse),
	};

	if (target->vm->memory.bytes != target->hello.memory)
		return link_fail(&target->link, "the machine made here has %llu MiB, the source's %llu",
				 (unsigned long long)target->vm->memory.bytes >> 20,
				 (unsigned long long)target->hello.memory >> 20);
	return same_tsc(target) && link_put(&target->link, WIRE_READY, &ready, sizeof(ready));
}

static bool copy(struct target *target)
{
	struct stream_record record;
	bool prepare = false;

	if (machine_loader_init(&target->loader, target->vm, &target->link.in, false))
		return link_fail(&target->link, "%s", target->link.in.error.words);

	while (!prepare)
		if (!link_read(&target->link, &record) ||
		    !take_record(target, &record, &prepare))
			return false;
	if (machine_loaded(&target->loader))
		return link_fail(&target->link, "%s", target->link.in.error.words);
	return !target->missing || fetch_begin(target);
}

static bool was_paused(struct target *target)
{
	struct json_object *value;

	return json_object_object_get_ex(target->config.json, "paused", &value) &&
	       json_object_get_boolean(value);
}

static bool commit(struct target *target)
{
	struct wire_time loaded = { 0 };
	struct error error;
	bool ours;

	/* Do this first: from now on it may become ours at any moment. */
	vm_set_busy(target->vm, VM_STATE_COMMITTING);
	phase(target, MIGRATE_COMMIT);
	if (!link_put(&target->link, WIRE_PREPARED, &loaded, sizeof(loaded)))
		return false;
	transport_timeout(&target->link.transport, LINK_PATIENCE_MS);
	if (!link_expect(&target->link, WIRE_COMMIT, NULL, 0))
		return false;
	if (vm_ending(target->vm))
		return link_fail(&target->link, "it was ended there before it had begun");
	if (!decide(target, TARGET_TAKES))
		return false;
	vm_lock_devices(target->vm);
	ours = devices_thaw(&error);
	vm_unlock_devices(target->vm);
	if (!ours)
		return link_fail(&target->link, "%s", error.words);
	phase(target, MIGRATE_RESUME);
	if (was_paused(target))
		vm_pause(target->vm, PAUSE_USER);
	vm_set_busy(target->vm, VM_STATE_RUNNING);
	/*
	 * If this is lost, the source does not run the VM either.  Before the guest: where
	 * processors are few it has them first, and the source would wait for its answer.
	 */
	pthread_mutex_lock(&target->lock);
	link_put(&target->link, WIRE_COMMITTED, NULL, 0);
	vm_unpause(target->vm, PAUSE_START);
	target->said = true;
	if (target->missing)
		fetch_ask_again(target);
	pthread_mutex_unlock(&target->lock);
	control_state_event(target->vm);
	return true;
}

static void *target_run(void *argument)
{
	struct target *target = argument;

	sandbox_thread(SANDBOX_MOVE);
	phase(target, MIGRATE_RESERVE);
	if (say_ready(target) && copy(target) && commit(target)) {
		say("%s: it runs here now", target->vm->name);
		away_unmark();
		if (target->missing)
			fetch_all(target);
		fetch_confirm(target);
		link_close(&target->link);
		phase(target, MIGRATE_DONE);
		control_event("migrated-in", NULL);
		phase(target, MIGRATE_IDLE);
		return NULL;
	}
	phase(target, MIGRATE_FAILED);
	link_blame(&target->link);
	/* Do this first, since the VM's end cuts the link.  Another thread may be sending it. */
	if ((decide(target, TARGET_REFUSES) || target->word == TARGET_TAKES) &&
	    !target->link.refused)
		target_refuse(target, target->link.error.words);
	vm_end(target->vm, VM_ERROR, "it was not received and stays where it was: %.300s",
	       target->link.error.words);
	return NULL;
}

bool target_begin(struct vm *vm, void *argument, struct error *error)
{
	struct target *target = argument;
	int ret;

	target->vm = vm;
	target->pages = vm->memory.bytes / PAGE;
	vm_set_busy(vm, VM_STATE_RECEIVING);
	ret = pthread_create(&target->thread, NULL, target_run, target);
	return !ret || error_set(error, EXIT_CODE_ERROR,
				 "no VM was received: cannot start a thread: %s", strerror(ret));
}

void target_wake(const struct target *target)
{
	uint64_t one = 1;

	if (write(target->wake_fd, &one, sizeof(one)) != sizeof(one))
		say("cannot wake a thread: %s", strerror(errno));
}

void target_join(struct target *target)
{
	target_wake(target);
	pthread_mutex_lock(&target->lock);
	/* Before COMMIT tell the source that this end does not take the VM. */
	if (__atomic_load_n(&target->word, __ATOMIC_ACQUIRE) == TARGET_TAKES)
		transport_cut(&target->link.transport);
	else if (target->link.transport.fd >= 0)
		shutdown(target->link.transport.fd, SHUT_RD);
	pthread_cond_broadcast(&target->changed);
	pthread_mutex_unlock(&target->lock);
	pthread_join(target->thread, NULL);
	here = NULL;
}
