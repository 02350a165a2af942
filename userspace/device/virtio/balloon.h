/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The balloon's interface for the launcher: requests for memory, their results, and the pages that
 * are empty.  Any thread may call these; all but balloon_get_status() take the device's lock.
 */
#ifndef DEVICE_VIRTIO_BALLOON_H
#define DEVICE_VIRTIO_BALLOON_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/gondola_balloon.h>
#include "base/error.h"
#include "vm/memory.h"

#define BALLOON_PAGE		4096u
#define BALLOON_MAX_STATS	16

struct virtio_device;

/**
 * struct balloon_goal - the target size of the balloon, and its limits
 * @pages: number of pages to hold
 * @rate: pages a second while it grows; 0: no limit
 * @deadline_ms: 0: none
 * @floor: pages that the guest keeps available; 0: none
 */
struct balloon_goal {
	uint32_t pages;
	uint32_t rate;
	uint32_t deadline_ms;
	uint32_t floor;
};

/**
 * struct balloon_status - the state of the balloon
 * @driver: the guest runs a driver
 * @paced: the driver supports goals; for others the device emulates them as far as possible
 * @id: of the last goal; 0: there was none
 * @reason: the reason of its end, or GONDOLA_BALLOON_RUNNING
 * @goal: the last goal
 * @held: pages in the balloon
 * @total: pages that the guest has, including those in the balloon
 * @backoffs: number of the driver's pauses for lack of memory
 * @discarded: pages returned to the host so far, including those reported free
 * @reported: pages that the guest reported free so far
 */
struct balloon_status {
	bool driver;
	bool paced;
	uint32_t id;
	uint32_t reason;
	struct balloon_goal goal;
	uint64_t held;
	uint64_t total;
	uint32_t backoffs;
	uint64_t discarded;
	uint64_t reported;
};

/**
 * struct balloon_stats - the guest's last statistics
 * @valid: bit n: @value[n], with the standard's tag n, is known
 * @sequence: number of the record
 * @age_ms: its age
 */
struct balloon_stats {
	uint32_t valid;
	uint64_t value[BALLOON_MAX_STATS];
	uint64_t sequence;
	uint64_t age_ms;
};

/** struct balloon_hooks - callbacks, with the device's lock held; each may be NULL
 * @ended: a goal ended
 * @discarded: these pages become zero now; contents that arrive later must be dropped
 * @hinted: the guest does not need the contents of these pages (after balloon_hint())
 */
struct balloon_hooks {
	void (*ended)(void *argument, const struct balloon_status *status);
	void (*discarded)(void *argument, uint64_t gpa, uint64_t bytes);
	void (*hinted)(void *argument, uint64_t gpa, uint64_t bytes);
	void *argument;
};

/** balloon_create() - create the device; @oom: the guest may take pages back when it is out of memory */
struct virtio_device *balloon_create(struct guest_memory *memory, uint8_t *registers,
				     bool oom, struct error *error);
void balloon_set_hooks(struct virtio_device *device, const struct balloon_hooks *hooks);

/** balloon_ask() - set a new goal; returns its id.  A goal in progress is cancelled. */
uint32_t balloon_ask(struct virtio_device *device, const struct balloon_goal *goal);
/** balloon_cancel() - cancel the goal and leave the balloon as it is */
void balloon_cancel(struct virtio_device *device);
/** balloon_get_status() - get the status, without waiting for the guest */
void balloon_get_status(struct virtio_device *device, struct balloon_status *status);
/** balloon_get_stats() - wait up to @wait_ms for a new record; false: there never was one */
bool balloon_get_stats(struct virtio_device *device, struct balloon_stats *stats,
		       unsigned int wait_ms);
/** balloon_reason_name() - get "reached", "floor", …; "running" if the goal has not ended */
const char *balloon_reason_name(uint32_t reason);

/**
 * balloon_get_bitmap() - get the pages in the balloon, which need not be sent
 * @bits: bit n is the page at byte n * 4096 of memory->base; as many as memory has pages
 *
 * Copies nothing and returns false if the driver may use such a page again without telling.
 */
bool balloon_get_bitmap(struct virtio_device *device, uint64_t *bits);
/** balloon_hint() - ask the guest for hints about free pages (@on), or return them */
bool balloon_hint(struct virtio_device *device, bool on);

#endif
