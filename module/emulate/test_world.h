/* SPDX-License-Identifier: GPL-2.0-only */
/* A world for the emulator's tests: some memory, and a record of the operations called. */
#ifndef GONDOLA_EMULATE_TEST_WORLD_H
#define GONDOLA_EMULATE_TEST_WORLD_H

#include <kunit/test.h>
#include "x86/regs.h"
#include "emulate.h"

/* Linear addresses: memory from WORLD_BASE, the last page of it a device's; code at WORLD_CODE. */
#define WORLD_BASE	0x10000u
#define WORLD_PAGES	8u
#define WORLD_BYTES	(WORLD_PAGES * GONDOLA_PAGE_SIZE)
#define WORLD_END	(WORLD_BASE + WORLD_BYTES)
#define WORLD_DEVICE	(WORLD_END - GONDOLA_PAGE_SIZE)
#define WORLD_CODE	WORLD_BASE
#define WORLD_DATA	(WORLD_BASE + 2 * GONDOLA_PAGE_SIZE)

/* Descriptor tables of tests in protected mode, and selectors of flat segments in them. */
#define GDT		(WORLD_DATA + 0x1000)
#define IDT		(WORLD_DATA + 0x1100)
#define CODE0		0x08
#define DATA0		0x10
#define CODE3		0x1b
#define DATA3		0x23

#define OK		((int)GONDOLA_EMUL_OK)
#define FAULT		((int)GONDOLA_EMUL_FAULT)
#define USER		((int)GONDOLA_EMUL_USER)
#define RETRY		((int)GONDOLA_EMUL_RETRY)

/**
 * struct test_world - the world
 * @emul: the emulator; operations find the world by it
 * @read_only: writes to this page fault (0: none)
 * @asks_user: accesses to the device answer USER until this is cleared
 * @fetches, @reads, @writes, @exchanges: how often each operation was called
 * @losses: number of exchanges that will fail because "another" writes first
 * @io_done: the most items that an I/O operation takes
 * @probes: writes of 0 bytes
 * @vectors: what is read of the first KiB; NULL: nothing is there
 */
struct test_world {
	struct gondola_emulator emul;
	struct gondola_regs regs;
	u8 memory[WORLD_BYTES];
	gva_t read_only;
	const u8 *vectors;
	bool asks_user;
	unsigned int fetches, reads, writes, exchanges, probes;
	unsigned int losses;
	unsigned int last_width;	/* size of the last access to the device */
	struct gondola_segment seg[GONDOLA_NR_SEGS];
	struct gondola_dtable gdt, idt;
	u64 cr[16];
	u64 other_cr3;			/* of a task switch */
	unsigned int new_tasks;
	bool task_traps;
	u64 dr[8];
	u64 msr_value;			/* of every MSR that test_world_msr() did not set */
	u32 msr_index;
	struct {
		u32 index;
		u64 value;
	} msr[8];
	unsigned int nr_msrs;
	u64 xmm[16][2];
	u32 shadow;
	bool halted, flushed;
	gva_t invlpg;
	u16 port;
	unsigned int io_width, io_calls, io_done;
	bool io_in, io_user;
	u32 io_value;		/* read by IN, then incremented for each item; written by OUT */
};

/** test_world_init() - in @mode with flat segments, paging and protection on but in real mode */
struct test_world *test_world_init(struct kunit *test, enum gondola_emul_mode mode);
/** test_world_run() - put @bytes of @code at RIP, and emulate one instruction */
int test_world_run(struct test_world *w, const u8 *code, unsigned int bytes);

/** test_world_refresh() - set mode and CPL by segments and flags, as an engine does after each instruction */
void test_world_refresh(struct test_world *w);

#define RUN(w, ...) \
	test_world_run(w, (const u8[]){ __VA_ARGS__ }, sizeof((const u8[]){ __VA_ARGS__ }))

#define EXPECT_FAULT(test, w, result, fault)						\
do {											\
	KUNIT_EXPECT_EQ(test, result, FAULT);						\
	KUNIT_EXPECT_EQ(test, (w)->emul.exception.kind, (u8)GONDOLA_EVENT_EXCEPTION);	\
	KUNIT_EXPECT_EQ(test, (w)->emul.exception.vector, (u8)(fault));			\
} while (0)

static inline void test_world_msr(struct test_world *w, u32 index, u64 value)
{
	unsigned int i;

	for (i = 0; i < w->nr_msrs && w->msr[i].index != index; i++)
		;
	if (i == w->nr_msrs)
		w->nr_msrs++;
	w->msr[i].index = index;
	w->msr[i].value = value;
}

static inline void *test_world_at(struct test_world *w, gva_t la)
{
	return w->memory + (la - WORLD_BASE);
}

static inline u64 test_world_u64(struct test_world *w, gva_t la)
{
	u64 value;

	memcpy(&value, test_world_at(w, la), 8);
	return value;
}

static inline void test_world_set(struct test_world *w, gva_t la, u64 value)
{
	memcpy(test_world_at(w, la), &value, 8);
}

#endif
