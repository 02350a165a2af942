// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/control.h"
#include "dirty_sample.h"
#include "sandbox/sandbox.h"
#include "base/fail.h"
#include "base/wait.h"
#include "phase.h"
#include "vm/vm.h"

#define PAGE		4096u
#define LEASE_MS	5000	/* the client must ask again within this time */

/* A process has one VM and one control socket. */
static struct {
	struct vm *vm;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t thread;
	bool started;			/* there is a thread to be joined */
	bool stop;
	unsigned int ms;
	int64_t until_ms;
	uint32_t round;
	uint64_t *bitmap;
} sample = { .lock = PTHREAD_MUTEX_INITIALIZER };

static int clear_slot(uint32_t slot, uint64_t pages)
{
	memset(sample.bitmap, 0xff, pages / 64 * sizeof(*sample.bitmap));
	if (pages % 64)
		sample.bitmap[pages / 64] = (1ull << (pages % 64)) - 1;
	return __gondola_clear_dirty(sample.vm->fd, slot, 0, pages, sample.bitmap);
}

/* Begin like a round of a migration: mark, then clear. */
static int begin_round(void)
{
	const struct guest_memory *memory = &sample.vm->memory;
	int ret = __gondola_mark(sample.vm->fd, MIGRATE_IDLE, ++sample.round);

	if (!ret)
		ret = clear_slot(0, memory->low / PAGE);
	if (!ret && memory->bytes > memory->low)
		ret = clear_slot(1, (memory->bytes - memory->low) / PAGE);
	return ret;
}

/* Lock held.  False: it has ended. */
static bool wait_for_round(int64_t ms)
{
	struct timespec at = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	while (!sample.stop && wait_now_ms() < ms && wait_now_ms() < sample.until_ms)
		wait_until(&sample.changed, &sample.lock, &at);
	return !sample.stop && wait_now_ms() < sample.until_ms;
}

static void *rounds(void *argument)
{
	int64_t due = wait_now_ms();
	int ret;

	(void)argument;
	sandbox_thread(SANDBOX_MOVE);
	ret = memory_log_dirty(&sample.vm->memory, true);
	pthread_mutex_lock(&sample.lock);
	while (!ret) {
		unsigned int ms = sample.ms;

		pthread_mutex_unlock(&sample.lock);
		ret = begin_round();
		pthread_mutex_lock(&sample.lock);
		due = due + ms > wait_now_ms() ? due + ms : wait_now_ms() + 1;
		if (!wait_for_round(due))
			break;
	}
	pthread_mutex_unlock(&sample.lock);
	if (ret)
		say("dirty pages cannot be sampled: %s", strerror(-ret));
	memory_log_dirty(&sample.vm->memory, false);
	__gondola_mark(sample.vm->fd, MIGRATE_IDLE, 0);
	pthread_mutex_lock(&sample.lock);
	/* Later requests need another thread. */
	sample.stop = true;
	pthread_mutex_unlock(&sample.lock);
	return NULL;
}

void dirty_sample_stop(void)
{
	pthread_mutex_lock(&sample.lock);
	if (sample.started) {
		sample.stop = true;
		pthread_cond_signal(&sample.changed);
		pthread_mutex_unlock(&sample.lock);
		pthread_join(sample.thread, NULL);
		pthread_mutex_lock(&sample.lock);
		sample.started = false;
		free(sample.bitmap);
		sample.bitmap = NULL;
	}
	pthread_mutex_unlock(&sample.lock);
}

static int start(struct vm *vm)
{
	static bool made;
	int ret;

	sample.vm = vm;
	sample.stop = false;
	sample.round = 0;
	sample.bitmap = calloc(vm->memory.bytes / PAGE / 64 + 1, sizeof(*sample.bitmap));
	if (!sample.bitmap)
		return -ENOMEM;
	if (!made) {
		wait_init(&sample.changed);
		made = true;
	}
	ret = -pthread_create(&sample.thread, NULL, rounds, NULL);
	sample.started = !ret;
	if (ret) {
		free(sample.bitmap);
		sample.bitmap = NULL;
	}
	return ret;
}

/* Only the loop's thread calls this. */
static void on_sample(struct control_request *request)
{
	unsigned int ms = control_number(request, "ms", 0, 0, 60000);
	uint64_t lease = control_number(request, "lease_ms", LEASE_MS, 100, 600000);
	bool running;
	int ret = 0;

	if (request->failed)
		return;
	pthread_mutex_lock(&sample.lock);
	running = sample.started && !sample.stop && ms;
	if (ms) {
		sample.ms = ms;
		sample.until_ms = wait_now_ms() + lease;
	}
	json_object_object_add(request->out, "round", json_object_new_int64(sample.round));
	pthread_mutex_unlock(&sample.lock);
	if (!running)
		dirty_sample_stop();
	if (ms && !running)
		ret = start(request->vm);
	if (ret)
		control_fail(request, "failed", "no thread for it: %s", strerror(-ret));
}

void dirty_sample_add_commands(void)
{
	control_add("dirty-sample", on_sample);
}
