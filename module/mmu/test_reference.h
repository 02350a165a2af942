/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The architecture's rules, read plainly, for the random test: what an access
 * may come to, given what the tables hold and what a TLB may remember of what
 * they held.  It shares no code with the MMU and looks at memory itself.
 */
#ifndef GONDOLA_MMU_TEST_REFERENCE_H
#define GONDOLA_MMU_TEST_REFERENCE_H

#include "test_world.h"

#define REF_TABLES	25u	/* world pages that hold tables: 16 … 31, 40 … 47, and 0 */
#define REF_PLACES	9u	/* indices at which entries are edited */
#define REF_OLD		6u	/* former values of an entry that are kept */
#define REF_GVAS	128u
#define REF_PCIDS	2u
#define REF_MAX		64u	/* outcomes of one access */

/**
 * struct ref_entry - an entry of a guest table that steps edit
 * @value: as last edited; A and D may have come since
 * @old: what it held before, each until when; the oldest goes first
 * @forgotten: when the youngest of those that went was overwritten
 */
struct ref_entry {
	u64 value;
	struct {
		u64 value, until;
	} old[REF_OLD];
	unsigned int nr_old;
	u64 forgotten;
};

/**
 * struct ref_cpu - a processor: when it last flushed what
 * @mode: its paging now; another than the reference's reads the same tables as other entries
 * @all, @space: everything; what is not global, by PCID
 * @page, @large, @huge: by INVLPG: an address, the 2 MiB (4 MiB) and the 1 GiB around it
 */
struct ref_cpu {
	struct gondola_vcpu *vcpu;
	enum world_mode mode;
	u64 pdptes[4];
	u64 all;
	u64 space[REF_PCIDS];
	u64 page[REF_PCIDS][REF_GVAS];
	u64 large[REF_PCIDS][REF_GVAS];
	u64 huge[REF_PCIDS][REF_GVAS];
};

/**
 * struct reference - the guest's world as the reference sees it
 * @mode: that of the tables, whose entries are edited in its format
 * @home: world page behind each gfn; negative: no memory
 * @readonly: by gfn
 * @clock: counts edits and flushes
 * @edited: when any entry was last edited
 * @blunder: ignore NX, to see that the test finds and shrinks a mistake
 * @all_user: entries without U are programs', too
 */
struct reference {
	struct world *w;
	enum world_mode mode;
	s16 home[WORLD_PAGES];
	bool readonly[WORLD_PAGES];
	u64 clock;
	u64 edited;
	struct ref_entry entries[REF_TABLES][REF_PLACES];
	struct ref_cpu cpus[WORLD_CPUS];
	bool blunder;
	bool all_user;
};

/* One way in which an access may end. */
struct ref_outcome {
	enum world_outcome outcome;
	u32 error;		/* WORLD_FAULT */
	gpa_t gpa;
};

/* The entries that a walk of the present tables read. */
struct ref_path {
	unsigned int n;
	gpa_t at[4];
	u64 before[4];
	bool readonly[4];
};

/**
 * ref_walk() - how may this access end?
 * @out: REF_MAX; the first is what the tables say now, others are what a TLB may remember
 * @path: the entries that the first one passed
 *
 * How many there are, or -1: more than is worth counting, anything goes.
 */
int ref_walk(struct reference *ref, struct ref_cpu *cpu, gva_t gva, u32 access,
	     struct ref_outcome *out, struct ref_path *path);

/* The edited index @place: where it lies in a table. */
unsigned int ref_index(unsigned int place);
/* Which table of ours lies in a world page; negative: none. */
int ref_table(int page);
void *ref_memory(const struct reference *ref, gpa_t gpa);
/* An entry is about to be edited: from now on its old value may only be remembered. */
void ref_edit(struct reference *ref, gpa_t at, u64 value);
void ref_flush_all(struct reference *ref, struct ref_cpu *cpu);
/* MOV to CR3 with a flush. */
void ref_flush_space(struct reference *ref, struct ref_cpu *cpu);
void ref_invlpg(struct reference *ref, struct ref_cpu *cpu, gva_t gva);
/* Does a flush lie behind @cpu since the last edit?  Else nothing is known in a foreign mode. */
bool ref_is_fresh(const struct reference *ref, const struct ref_cpu *cpu);
/* PAE: read the four directory pointers at @cr3.  False: #GP. */
bool ref_load_pdptes(struct reference *ref, struct ref_cpu *cpu, u64 cr3);
/* Has an entry changed that nobody edited?  A and D may have come. */
const char *ref_tables_lie(struct reference *ref);

static inline unsigned int ref_mode_bytes(enum world_mode mode)
{
	return mode == WORLD_32 ? 4 : 8;
}

static inline unsigned int ref_entry_bytes(const struct reference *ref)
{
	return ref_mode_bytes(ref->mode);
}

#endif
