/* SPDX-License-Identifier: GPL-2.0-only */
/* The hostile guest and the program that runs it share these. */
#ifndef HOSTILE_GUEST_H
#define HOSTILE_GUEST_H

#include <stdint.h>

/* Places in guest-physical memory. */
#define HOSTILE_PARAMETERS	0x1000u
#define HOSTILE_CODE		0x100000u
#define HOSTILE_POOL		0x200000u	/* pages that are tables, data and code by turns */
#define HOSTILE_POOL_PAGES	64u
#define HOSTILE_TABLES		0x280000u	/* what the guest begins with */
#define HOSTILE_DATA		0x300000u
#define HOSTILE_MEMORY		0x400000u
#define HOSTILE_OTHER		0x1000000u	/* another slot that comes and goes */
#define HOSTILE_READ_ONLY	0x2000000u	/* a slot that cannot be written */
#define HOSTILE_LATE		0x2400000u	/* a slot that comes and goes */
#define HOSTILE_NO_MEMORY	0xd0000000u
#define HOSTILE_MAX_CPUS	4u

/* Where a guest says that it goes on: it writes there how many steps it did, and how many failed. */
#define HOSTILE_BEAT_PORT	0xf4u
#define HOSTILE_BEAT_STEPS	64u
#define HOSTILE_BEAT(steps, faults)	((faults) << 16 | (steps))

/**
 * struct hostile_parameters - at HOSTILE_PARAMETERS
 * @seed: of what the guest does
 * @cpus: how many processors there are
 * @started: which of them ran before, a bit each; the guest's own
 */
struct hostile_parameters {
	uint64_t seed;
	uint32_t cpus;
	uint32_t started;
};

#endif
