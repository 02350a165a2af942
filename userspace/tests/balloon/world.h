/* SPDX-License-Identifier: GPL-2.0-only */
/* A balloon device and what its hooks were told, for the tests. */
#ifndef TESTS_BALLOON_WORLD_H
#define TESTS_BALLOON_WORLD_H

#include <stddef.h>
#include <linux/gondola_balloon.h>
#include <linux/virtio_balloon.h>

#include "device/state.h"
#include "device/virtio/balloon.h"
#include "tests/virtio/driver.h"

#define BIT64(n)	(1ull << (n))
#define NEXT		VRING_DESC_F_NEXT
#define WRITE		VRING_DESC_F_WRITE
#define EXTENSION	(BIT64(GONDOLA_BALLOON_F_PACE) | BIT64(GONDOLA_BALLOON_F_RUNS))
#define PAGES		(GUEST_BYTES / BALLOON_PAGE)
#define FIRST		0x200u		/* a page that no test has its rings in */
#define CONFIG(member)	(0x100 + GONDOLA_BALLOON_CONFIG + \
			 offsetof(struct gondola_balloon_config, member))
#define STANDARD(member) (0x100 + offsetof(struct virtio_balloon_config, member))

enum { INFLATE, DEFLATE, STATS, HINT, REPORT };

/* How the last goal ended, and the pages that the hooks were told of. */
extern struct balloon_status ended;
extern unsigned int ends;
extern uint64_t discarded, hinted, dirtied, early;

void balloon_start(uint64_t without);
uint64_t balloon_held(void);
bool balloon_has(uint32_t page);
bool balloon_send(unsigned int queue, const uint32_t *pfns, uint32_t bytes);
bool balloon_send_run(unsigned int queue, uint64_t gpa, uint32_t bytes, unsigned int flags);

/* The record of the device that was saved last, in @saved. */
extern uint8_t saved[65536];
extern struct device_record record;
bool balloon_keep(void *argument, const struct device_record *from);

/* lock_test.c */
void lets_others_in(void);
void frozen_under_way(void);
void more_than_all(void);
void status_while_stuck(void);
void wait_while_date_changes(void);

#endif
