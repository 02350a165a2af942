/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Additions of gondola's balloon to the standard's "Traditional Memory Balloon
 * Device": two feature bits, and a part of the configuration space behind the
 * standard's.  A driver or device that does not know them sees a standard one.
 * Documentation/balloon.rst says how they are used.
 */
#ifndef _UAPI_LINUX_GONDOLA_BALLOON_H
#define _UAPI_LINUX_GONDOLA_BALLOON_H

#include <linux/types.h>

/*
 * GONDOLA_BALLOON_F_PACE: the configuration has struct gondola_balloon_config at
 * GONDOLA_BALLOON_CONFIG, and the driver takes its targets from there.
 */
#define GONDOLA_BALLOON_F_PACE		62
/*
 * GONDOLA_BALLOON_F_RUNS: a buffer of the inflate or deflate queue is no array of page numbers.
 * Each of its descriptors, all of them writable by the device, is a run of pages itself.
 */
#define GONDOLA_BALLOON_F_RUNS		63

/* Offset within the device's configuration space. */
#define GONDOLA_BALLOON_CONFIG		64

/* Pages are of 4 KiB, whatever the guest's are. */
#define GONDOLA_BALLOON_PAGE_SHIFT	12

/**
 * enum gondola_balloon_reason - how a goal ended
 * @GONDOLA_BALLOON_RUNNING: it has not
 * @GONDOLA_BALLOON_REACHED: the balloon holds what was asked for
 * @GONDOLA_BALLOON_FLOOR: more would leave the guest less than its floor
 * @GONDOLA_BALLOON_DEADLINE: the time was over
 * @GONDOLA_BALLOON_REFUSED: the guest does not do it: its limit, or no driver
 * @GONDOLA_BALLOON_NO_MEMORY: the guest's kernel found no more pages to give
 * @GONDOLA_BALLOON_CANCELLED: another goal took its place; told by the launcher, never by a driver
 * @GONDOLA_BALLOON_REASONS: how many there are
 */
enum gondola_balloon_reason {
	GONDOLA_BALLOON_RUNNING = 0,
	GONDOLA_BALLOON_REACHED = 1,
	GONDOLA_BALLOON_FLOOR = 2,
	GONDOLA_BALLOON_DEADLINE = 3,
	GONDOLA_BALLOON_REFUSED = 4,
	GONDOLA_BALLOON_NO_MEMORY = 5,
	GONDOLA_BALLOON_CANCELLED = 6,
	GONDOLA_BALLOON_REASONS,
};

/**
 * struct gondola_balloon_config - configuration space at GONDOLA_BALLOON_CONFIG, little endian
 * @id: number of the goal, never 0 once there was one; another number is another goal
 * @target: pages that the balloon shall hold
 * @rate: pages a second at most while it grows; 0: as fast as it goes
 * @deadline: milliseconds from when the driver saw the goal; 0: none
 * @floor: pages that the guest keeps available; 0: none
 * @id_again: as @id: if they differ, the device is about to change the goal
 * @backoffs: by the driver: how often it paused for want of memory, in this goal
 * @report_id: by the driver: the goal that the next write to @reason is about
 * @reason: by the driver: enum gondola_balloon_reason; the device looks when it is written
 *
 * The first six are written by the device alone, which then tells of a change of configuration.
 */
struct gondola_balloon_config {
	__le32 id;
	__le32 target;
	__le32 rate;
	__le32 deadline;
	__le32 floor;
	__le32 id_again;
	__le32 backoffs;
	__le32 report_id;
	__le32 reason;
};

#endif
