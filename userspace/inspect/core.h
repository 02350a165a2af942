/* SPDX-License-Identifier: GPL-2.0-only */
/* A guest's memory and registers as an ELF core file, for gdb and crash. */
#ifndef INSPECT_CORE_H
#define INSPECT_CORE_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/gondola_state.h>
#include <linux/gondola.h>

struct guest_memory;

/* Parts of the kernel's half of the address space that a core names, at most. */
#define CORE_MAX_RANGES	4096u
/* Linux keeps its description of itself in a page, behind a note's header, so it is shorter. */
#define CORE_INFO_MAX	4096u

/**
 * struct core_vcpu - registers of one
 */
struct core_vcpu {
	struct gondola_rec_regs regs;
	struct gondola_rec_sregs sregs;
};

/**
 * struct core - what is written, and what came of it
 * @memory: no page of it is on its way
 * @vcpus, @nr_vcpus: in the order of their numbers
 * @goes_on: asked now and then; false: nobody wants the file any more
 * @argument: for @goes_on
 * @pages: out: pages that were written
 * @empty: out: pages that hold nothing but zeroes, or that the guest never touched or gave back:
 *	holes of the file
 * @ranges: out: parts of the kernel's half that the file names
 * @has_info: out: the guest's kernel describes itself (VMCOREINFO), and the file says how
 */
struct core {
	const struct guest_memory *memory;
	const struct core_vcpu *vcpus;
	unsigned int nr_vcpus;
	bool (*goes_on)(void *argument);
	void *argument;
	uint64_t pages;
	uint64_t empty;
	unsigned int ranges;
	bool has_info;
};

/**
 * core_write() - to a file that is empty
 *
 * The guest stands still.  0 or -errno; -ECANCELED: @goes_on said so.
 */
int core_write(int fd, struct core *core);

/**
 * core_find_info() - what the guest's kernel says about itself: lines, and a NUL behind
 *
 * The guest stands still.  Returns the number of bytes; 0 if no kernel has left such words.
 */
size_t core_find_info(const struct guest_memory *memory, char info[CORE_INFO_MAX]);

#endif
