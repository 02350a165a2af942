/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The balloon as the rest of the launcher sees it: asking for memory, learning
 * how that ended, and which pages hold nothing.  Each of these may be called
 * by any thread; all but balloon_get_status() take the device's lock.
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
 * struct balloon_goal - the size that the balloon is to reach, and how
 * @pages: to hold
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
 * struct balloon_status - where it stands
 * @driver: the guest runs a driver
 * @paced: which takes goals as such; for others the device does what it can
 * @id: of the last goal; 0: there was none
 * @reason: how it ended, or GONDOLA_BALLOON_RUNNING
 * @goal: itself
 * @held: pages in the balloon
 * @total: pages that the guest has, the balloon's included
 * @backoffs: how often the guest's driver paused for want of memory
 * @discarded: pages given back to the host so far, those that were reported free among them
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
 * @valid: bit n: @value[n], of the standard's tag n, is known
 * @sequence: counts the records
 * @age_ms: how old this one is
 */
struct balloon_stats {
	uint32_t valid;
	uint64_t value[BALLOON_MAX_STATS];
	uint64_t sequence;
	uint64_t age_ms;
};

/** struct balloon_hooks - functions to be told; called with the device's lock held; each may be NULL
 * @ended: a goal ended
 * @discarded: these pages will read as zero in a moment, whatever is still on its way to them
 * @hinted: the guest does not need what these pages hold (between balloon_hint() and its end)
 */
struct balloon_hooks {
	void (*ended)(void *argument, const struct balloon_status *status);
	void (*discarded)(void *argument, uint64_t gpa, uint64_t bytes);
	void (*hinted)(void *argument, uint64_t gpa, uint64_t bytes);
	void *argument;
};

/** balloon_create() - @oom: the guest may take pages back when it is out of memory */
struct virtio_device *balloon_create(struct guest_memory *memory, uint8_t *registers,
				     bool oom, struct error *error);
void balloon_set_hooks(struct virtio_device *device, const struct balloon_hooks *hooks);

/** balloon_ask() - a new goal; returns its id.  One under way ends as cancelled. */
uint32_t balloon_ask(struct virtio_device *device, const struct balloon_goal *goal);
/** balloon_cancel() - the balloon stays as it is */
void balloon_cancel(struct virtio_device *device);
/** balloon_get_status() - never waits, whatever the guest does */
void balloon_get_status(struct virtio_device *device, struct balloon_status *status);
/** balloon_get_stats() - waits up to @wait_ms for a fresh record; false: there never was one */
bool balloon_get_stats(struct virtio_device *device, struct balloon_stats *stats,
		       unsigned int wait_ms);
/** balloon_reason_name() - "reached", "floor", …; "running" while it has not ended */
const char *balloon_reason_name(uint32_t reason);

/**
 * balloon_get_bitmap() - which pages are in the balloon, so that nobody sends them
 * @bits: bit n is the page at byte n * 4096 of memory->base; as many as memory has pages
 *
 * Copies nothing and returns false if the guest's driver does not promise to tell before it uses
 * such a page again.
 */
bool balloon_get_bitmap(struct virtio_device *device, uint64_t *bits);
/** balloon_hint() - ask the guest for hints about free pages (@on), or let it have them again */
bool balloon_hint(struct virtio_device *device, bool on);

#endif
