/* SPDX-License-Identifier: GPL-2.0-only */
/* A walk of the guest's page tables, like the processor's. */
#ifndef INSPECT_WALK_H
#define INSPECT_WALK_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/gondola.h>
#include <linux/gondola_state.h>

#define WALK_MAX_LEVELS	4

struct guest_memory;

/**
 * enum walk_result - result of a walk
 * @WALK_MAPPED: the address is mapped to @gpa
 * @WALK_NOT_CANONICAL: no such address in this mode
 * @WALK_NOT_PRESENT: the last entry's present bit is clear
 * @WALK_RESERVED: the last entry has a bit set that must be 0
 * @WALK_NO_MEMORY: the next table is not in RAM
 */
enum walk_result {
	WALK_MAPPED,
	WALK_NOT_CANONICAL,
	WALK_NOT_PRESENT,
	WALK_RESERVED,
	WALK_NO_MEMORY,
};

/**
 * struct walk - the steps and the result of a walk
 * @result: enum walk_result
 * @mode: the paging mode in words
 * @nr_levels: entries in @level; 0: paging is off
 * @level: the entries, the root's first
 * @level.level: 4 … 1
 * @level.at: guest-physical address of the entry
 * @level.entry: the entry
 * @covers: the walks of so many addresses, aligned to it, end at the same entry; 0 if WALK_NOT_CANONICAL
 * @gpa: guest-physical address; valid if WALK_MAPPED
 * @page_bytes: size of the page that holds it
 * @writable, @user, @executable: the rights of all levels together
 */
struct walk {
	enum walk_result result;
	const char *mode;
	unsigned int nr_levels;
	struct {
		unsigned int level;
		uint64_t at;
		uint64_t entry;
	} level[WALK_MAX_LEVELS];
	uint64_t covers;
	uint64_t gpa;
	uint64_t page_bytes;
	bool writable;
	bool user;
	bool executable;
};

/**
 * struct walk_cpu - the vCPU's CPUID about paging
 * @physical_bits: MAXPHYADDR
 * @gib_pages: it has pages of 1 GiB
 */
struct walk_cpu {
	unsigned int physical_bits;
	bool gib_pages;
};

/**
 * walk_tables() - walk @address through the tables of CR3, read from RAM
 * @sregs: control registers of the vCPU
 *
 * The guest must be paused.  A PAE guest's directory pointers are read from memory: a processor
 * uses those that it loaded with CR3.
 */
void walk_tables(const struct guest_memory *memory, const struct gondola_rec_sregs *sregs,
		 const struct walk_cpu *cpu, uint64_t address, struct walk *walk);
/**
 * walk_kernel_tables() - the kernel's tables, where CR3 has a program's
 * @sregs: its CR3 is changed if true is returned
 *
 * An isolated kernel (Linux: PTI) is missing in the tables with which its programs run.  Their root is
 * the second page of a pair, and the kernel's own the first.  Both have the same lower half, which is
 * how a pair is known here.
 */
bool walk_kernel_tables(const struct guest_memory *memory, struct gondola_rec_sregs *sregs);
/** walk_find_cpu() - get it from the vCPU's CPUID */
void walk_find_cpu(const struct gondola_cpuid_entry *cpuid, uint32_t count, struct walk_cpu *cpu);
/** walk_result_name() - "mapped", "not present" … */
const char *walk_result_name(enum walk_result result);

#endif
