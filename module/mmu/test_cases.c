// SPDX-License-Identifier: GPL-2.0-only
/* Shared by the named cases of the shadow tables: a world to begin with, and plain demands. */
#include <kunit/test.h>
#include "test_world.h"

/* Long mode, tables at 0x1000 … 0x4000; leaf table 0x4000 maps gva 0 … 2 MiB to itself 1:1. */
struct world *world_identity(struct kunit *test, u32 shadow_pages)
{
	struct world *w = world_create(shadow_pages);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, w);
	KUNIT_ASSERT_EQ(test, world_map(w, 0, 0, 0, WORLD_PAGES, 0), 0);
	*world_u64(w, 0x1000) = 0x2000 | FULL;
	*world_u64(w, 0x2000) = 0x3000 | FULL;
	*world_u64(w, 0x3000) = 0x4000 | FULL;
	for (i = 0; i < WORLD_PAGES; i++)
		*world_u64(w, 0x4000 + i * 8) = (u64)i << 12 | FULL | PT_A | PT_D;
	world_set_mode(w, WORLD_LONG);
	world_set_cr3(w, 0x1000);
	return w;
}

u64 must_read(struct kunit *test, struct world *w, gva_t gva)
{
	u64 value = 0;
	u32 error = 0;

	KUNIT_EXPECT_EQ(test, world_access(w, gva, 0, &value, &error), WORLD_DONE);
	return value;
}

void must_write(struct kunit *test, struct world *w, gva_t gva, u64 value)
{
	u32 error = 0;

	KUNIT_EXPECT_EQ(test, world_access(w, gva, PFEC_W, &value, &error), WORLD_DONE);
}

void must_fault(struct kunit *test, struct world *w, gva_t gva, u32 access, u32 expected)
{
	u64 value = 0;
	u32 error = 0;

	KUNIT_EXPECT_EQ(test, world_access(w, gva, access, &value, &error), WORLD_FAULT);
	KUNIT_EXPECT_EQ(test, error, expected);
}

void world_done(struct kunit *test, struct world *w)
{
	KUNIT_EXPECT_EQ(test, gondola_mmu_audit(&w->vm), 0);
	world_destroy(w);
}

bool must_log(struct kunit *test, struct world *w, gfn_t gfn)
{
	u64 bitmap[WORLD_PAGES / 64];

	mutex_lock(&w->vm.lock);
	KUNIT_EXPECT_EQ(test, gondola_mmu_get_dirty(&w->vm, 0, 0, WORLD_PAGES, bitmap), 0);
	mutex_unlock(&w->vm.lock);
	return bitmap[gfn / 64] & BIT_ULL(gfn % 64);
}

void clear_log(struct kunit *test, struct world *w)
{
	u64 ones[WORLD_PAGES / 64];

	memset(ones, 0xff, sizeof(ones));
	mutex_lock(&w->vm.lock);
	KUNIT_EXPECT_EQ(test, gondola_mmu_clear_dirty(&w->vm, 0, 0, WORLD_PAGES, ones), 0);
	mutex_unlock(&w->vm.lock);
}
