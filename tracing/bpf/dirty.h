/* SPDX-License-Identifier: GPL-2.0-only */
/* Dirty pages as gondola-dirty has read them from its BPF program. */
#ifndef DIRTY_H
#define DIRTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/gondola.h>

#include "gondola-dirty.h"

struct dirty_page {
	struct page_key key;
	struct page_count count;
};

struct dirty_round {
	struct round_key key;
	struct round_count count;
};

struct dirty_writer {
	struct writer_key key;
	__u64 count;
};

struct dirty_source {
	struct source_key key;
	__u64 count;
};

struct dirty_heat {
	struct heat_key key;
	__u64 count;
};

/**
 * struct dirty_vm - all about one VM
 * @pages: most often dirtied first
 * @rounds: in the order of time
 */
struct dirty_vm {
	uint32_t id;
	struct vm_count count;
	struct dirty_page *pages;
	size_t nr_pages;
	struct dirty_round *rounds;
	size_t nr_rounds;
	struct dirty_writer *writers;
	size_t nr_writers;
	struct dirty_source *sources;
	size_t nr_sources;
	struct dirty_heat *heat;
	size_t nr_heat;
};

/* ---- dirty-estimate.c ---- */

/**
 * struct dirty_curve - how many different pages are dirtied in a time
 * @rounds: for how many rounds it is known
 * @seconds: length of one
 * @pages: [k] in k rounds, on average
 */
struct dirty_curve {
	unsigned int rounds;
	double seconds;
	double pages[EPOCHS + 1];
};

/**
 * struct dirty_estimate - what a pre-copy would do
 * @converges: the rest becomes so small that it can be sent in the downtime
 * @rounds: of copying, the first with all memory included
 * @seconds: until the guest stops
 * @bytes: sent, in all
 * @downtime: seconds that sending the rest takes; if it does not converge, the least that it gets
 *            to. What stopping and the devices' state take comes on top
 * @enough: bytes a second from which on it would converge; 0: not even at 100 GB/s
 */
struct dirty_estimate {
	bool converges;
	unsigned int rounds;
	double seconds;
	double bytes;
	double downtime;
	double enough;
};

/** dirty_curve() - false: fewer than two whole rounds were seen */
bool dirty_curve(const struct dirty_vm *vm, struct dirty_curve *curve);
double dirty_in(const struct dirty_curve *curve, double seconds);
struct dirty_estimate dirty_estimate(const struct dirty_curve *curve, double memory_bytes,
				     double bytes_per_second, double downtime);
/** dirty_hot() - was the page dirtied in @least of the last @of whole rounds? */
bool dirty_hot(const struct dirty_vm *vm, const struct dirty_page *page, unsigned int least,
	       unsigned int of);

/* ---- dirty-svg.c ---- */

/** dirty_svg() - the heat map as a picture; false, errno: the file cannot be written */
bool dirty_svg(const char *path, const struct dirty_vm *vm, const char *name, uint64_t pages,
	       double column_seconds, unsigned int row_shift, uint64_t start_ns);

#endif
