// SPDX-License-Identifier: GPL-2.0-only
/*
 * The role holds all that the walk depends on, so that a page made in one mode does not serve in
 * another.  If it came to that all the same, it would be refused.
 */
#include <kunit/test.h>
#include <linux/prandom.h>
#include "test_world.h"

#define DIRECTORY	0x1000u
#define LARGE		(FULL | PT_PS | PT_A | PT_D)
#define ODD		0x40u		/* entry of the table in gfn 0; not prefetched with entry 0 */
#define ODD_FRAME	0x90u		/* the frame that this entry leads to */

/*
 * Two-level paging.  Directory entry 0 is, with PSE, the large page of gpa 0 … 4 MiB, and without,
 * the table in gfn 0, which maps 1:1 but for entry ODD.
 */
static struct world *pse_world(struct kunit *test)
{
	struct world *w = world_create(0);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, w);
	KUNIT_ASSERT_EQ(test, world_map(w, 0, 0, 0, WORLD_PAGES, 0), 0);
	for (i = 0; i < WORLD_PAGES; i++) {
		*world_u32(w, i * 4) = i << 12 | FULL | PT_A | PT_D;
		if (i > 1)
			*world_u32(w, i << 12) = i;
	}
	*world_u32(w, ODD * 4) = ODD_FRAME << 12 | FULL | PT_A | PT_D;
	*world_u32(w, DIRECTORY) = LARGE;
	world_set_mode(w, WORLD_32);
	world_set_cr3(w, DIRECTORY);
	return w;
}

static void set_pse(struct world *w, bool on)
{
	w->vcpu.cr4 = on ? w->vcpu.cr4 | CR4_PSE : w->vcpu.cr4 & ~CR4_PSE;
	gondola_mmu_mode_changed(&w->vcpu);
	gondola_mmu_flush_guest(&w->vcpu);
}

/* One directory entry, read with PSE and then without, leads to two places. */
static void pse_cleared_over_a_large_page(struct kunit *test)
{
	struct world *w = pse_world(test);

	KUNIT_EXPECT_EQ(test, (u32)must_read(test, w, ODD << 12), ODD);
	set_pse(w, false);
	KUNIT_EXPECT_EQ(test, (u32)must_read(test, w, ODD << 12), ODD_FRAME);
	set_pse(w, true);
	KUNIT_EXPECT_EQ(test, (u32)must_read(test, w, ODD << 12), ODD);
	world_done(test, w);
}

/* A neighbour of the large page is linked; what comes without PSE is in no foreign bag. */
static void pse_cleared_keeps_reverse_maps(struct kunit *test)
{
	struct world *w = pse_world(test);

	must_read(test, w, 0x2000);
	KUNIT_EXPECT_EQ(test, gondola_mmu_audit(&w->vm), 0);
	set_pse(w, false);
	must_read(test, w, ODD << 12);
	world_done(test, w);
}

/* The large page's shadow is freed, then the frame's bag is gone through. */
static void pse_cleared_leaves_nothing_behind(struct kunit *test)
{
	struct world *w = pse_world(test);

	must_read(test, w, 0x2000);
	set_pse(w, false);
	must_read(test, w, ODD << 12);
	/* The guest writes its directory by the table that it believes to have. */
	must_write(test, w, DIRECTORY, 0);
	KUNIT_EXPECT_EQ(test, gondola_mmu_audit(&w->vm), 0);
	/* The frame becomes a directory: what maps it is write-protected. */
	*world_u32(w, ODD_FRAME << 12) = LARGE;
	world_set_cr3(w, ODD_FRAME << 12);
	set_pse(w, true);
	must_read(test, w, 0x2000);
	world_done(test, w);
}

/* Two processors share tables, not a mode: each reads the directory in its own way. */
static void pse_differs_between_processors(struct kunit *test)
{
	struct world *w = pse_world(test);
	u64 value = 0;
	u32 error;

	KUNIT_ASSERT_EQ(test, world_add_vcpu(w), 0);
	world_set_mode(w, WORLD_32);
	w->second.cr3 = DIRECTORY;
	w->second.cr4 &= ~CR4_PSE;
	gondola_mmu_mode_changed(&w->second);
	world_set_cr3(w, DIRECTORY);
	KUNIT_EXPECT_EQ(test, (u32)must_read(test, w, 0x2000), 2u);
	KUNIT_EXPECT_EQ(test, world_access_on(w, &w->second, ODD << 12, 0, &value, &error),
			WORLD_DONE);
	KUNIT_EXPECT_EQ(test, (u32)value, ODD_FRAME);
	KUNIT_EXPECT_EQ(test, (u32)must_read(test, w, ODD << 12), ODD);
	world_done(test, w);
}

/* ---- list and role are tied together ---- */

/* How the walk of one table entry reads, apart from what is asked of each access. */
struct reading {
	enum mmu_walk_result result;
	int leaf;
	gfn_t gfn;
	u64 rights;
	u32 error;
};

static struct reading read_tables(struct world *w)
{
	struct reading r = {};
	struct mmu_walk walk;

	if (!gondola_paging(&w->vcpu))
		return r;
	mmu_lock(&w->vm);
	r.result = mmu_walk(&w->vcpu, 0, 0, &walk);
	mmu_unlock(&w->vm);
	r.leaf = walk.leaf;
	r.gfn = r.result == WALK_OK ? walk.gfn : 0;
	r.rights = r.result == WALK_OK ? walk.rights : 0;
	r.error = r.result == WALK_FAULT ? walk.error : 0;
	return r;
}

/* Each input of the walk, changed alone. */
struct input {
	const char *name;
	u64 cr0, cr4, efer;
	u8 maxphyaddr;		/* instead of 40 */
	bool gib_pages;
};

#define CONTROL(register, bit)	{ .name = #bit, .register = bit }

static const struct input inputs[] = {
	CONTROL(cr0, CR0_WP), CONTROL(cr0, CR0_CD), CONTROL(cr0, CR0_NW), CONTROL(cr0, CR0_AM),
	CONTROL(cr0, CR0_NE), CONTROL(cr0, CR0_TS), CONTROL(cr0, CR0_EM), CONTROL(cr0, CR0_MP),
	CONTROL(cr4, CR4_PSE), CONTROL(cr4, CR4_SMEP), CONTROL(cr4, CR4_SMAP),
	CONTROL(cr4, CR4_VME), CONTROL(cr4, CR4_PVI), CONTROL(cr4, CR4_TSD), CONTROL(cr4, CR4_DE),
	CONTROL(cr4, CR4_MCE), CONTROL(cr4, CR4_PGE), CONTROL(cr4, CR4_PCE),
	CONTROL(cr4, CR4_OSFXSR), CONTROL(cr4, CR4_OSXMMEXCPT), CONTROL(cr4, CR4_UMIP),
	CONTROL(cr4, CR4_FSGSBASE), CONTROL(cr4, CR4_PCIDE), CONTROL(cr4, CR4_OSXSAVE),
	CONTROL(efer, EFER_F_NXE), CONTROL(efer, EFER_F_SCE),
	{ .name = "MAXPHYADDR of 36", .maxphyaddr = 36 },
	{ .name = "MAXPHYADDR of 52", .maxphyaddr = 52 },
	{ .name = "pages of 1 GiB", .gib_pages = true },
};

static void set_input(struct world *w, enum world_mode mode, u64 wp, const struct input *in)
{
	world_set_mode(w, mode);
	w->vcpu.regs.rflags = RFL_AC;
	w->vcpu.cr0 = (w->vcpu.cr0 ^ wp) ^ (in ? in->cr0 : 0);
	w->vcpu.cr4 ^= in ? in->cr4 : 0;
	w->vcpu.efer ^= in ? in->efer : 0;
	w->vcpu.maxphyaddr = in && in->maxphyaddr ? in->maxphyaddr : 40;
	w->vcpu.mmu.gib_pages = in && in->gib_pages;
	gondola_mmu_mode_changed(&w->vcpu);
}

/* Tables 1 … 4 in a row; the entry of one level is random. */
static void put_tables(struct world *w, enum world_mode mode, struct rnd_state *rnd)
{
	u64 odd = ((u64)prandom_u32_state(rnd) << 32 | prandom_u32_state(rnd)) | PT_P;
	unsigned int level, at = prandom_u32_state(rnd) % 4;

	/* Most bits that may be reserved are clear, or nothing else would be seen. */
	if (prandom_u32_state(rnd) % 2)
		odd &= 0x8000000001ffefffull;
	else
		odd &= 1ull << prandom_u32_state(rnd) % 64 | 0xfffull;
	if (odd & PT_PS)
		odd &= ~GENMASK_ULL(29, 13);
	else
		odd |= 0x5000;
	for (level = 0; level < 4; level++) {
		u64 gpte = level == at ? odd : (u64)(level + 2) << 12 | FULL | PT_A | PT_D;

		if (mode == WORLD_32)
			*world_u32(w, (level + 1) << 12) = gpte;
		else
			*world_u64(w, (level + 1) << 12) = gpte;
	}
	w->vcpu.cr3 = 0x1000;
	w->vcpu.mmu.pdptes[0] = 0x1000 | PT_P;
}

/* Each input that changes a walk's result changes the role, and is seen to do so. */
static void role_has_what_the_walk_reads(struct kunit *test)
{
	struct world *w = world_create(0);
	bool differs[ARRAY_SIZE(inputs)] = {}, reads[ARRAY_SIZE(inputs)] = {};
	struct rnd_state rnd;
	unsigned int i, round;

	KUNIT_ASSERT_NOT_NULL(test, w);
	KUNIT_ASSERT_EQ(test, world_map(w, 0, 0, 0, WORLD_PAGES, 0), 0);
	prandom_seed_state(&rnd, 1);
	for (round = 0; round < 6000; round++) {
		enum world_mode mode = WORLD_32 + round % 3;
		u64 wp = round % 2 ? CR0_WP : 0;
		union gondola_role role;
		struct reading before;

		put_tables(w, mode, &rnd);
		set_input(w, mode, wp, NULL);
		for (i = 0; i < 6; i++)
			mmu_fault_in(&w->vcpu, (struct missing){ i, true });
		role = w->vcpu.mmu.role;
		before = read_tables(w);
		for (i = 0; i < ARRAY_SIZE(inputs); i++) {
			struct reading now;
			bool other;

			set_input(w, mode, wp, &inputs[i]);
			other = role.word != w->vcpu.mmu.role.word;
			now = read_tables(w);
			differs[i] |= other;
			if (!memcmp(&now, &before, sizeof(now)))
				continue;
			reads[i] = true;
			if (!other)
				KUNIT_FAIL(test, "mode %u: the walk reads %s, the role does not",
					   mode, inputs[i].name);
		}
	}
	for (i = 0; i < ARRAY_SIZE(inputs); i++) {
		const struct input *in = &inputs[i];
		bool listed = (in->cr0 & GONDOLA_ROLE_CR0) || (in->cr4 & GONDOLA_ROLE_CR4) ||
			      (in->efer & GONDOLA_ROLE_EFER) || in->maxphyaddr || in->gib_pages;

		KUNIT_EXPECT_EQ_MSG(test, differs[i], listed, "%s", in->name);
		/* WP, SMEP and SMAP decide on accesses; what they leave in an entry is the role's. */
		if (listed && !(in->cr0 & CR0_WP) && !(in->cr4 & (CR4_SMEP | CR4_SMAP)))
			KUNIT_EXPECT_TRUE_MSG(test, reads[i], "%s is never read", in->name);
	}
	world_done(test, w);
}

/* Processors whose CPUID differs share no table that they read differently. */
static void reserved_bits_differ_between_processors(struct kunit *test)
{
	struct world *w = world_identity(test, 0);
	u64 value;
	u32 error = 0;

	KUNIT_ASSERT_EQ(test, world_add_vcpu(w), 0);
	world_set_mode(w, WORLD_LONG);
	w->vcpu.maxphyaddr = 45;
	w->second.maxphyaddr = 39;
	w->second.cr3 = 0x1000;
	gondola_mmu_mode_changed(&w->vcpu);
	gondola_mmu_mode_changed(&w->second);
	/* A directory entry, far beyond what the second one has of addresses. */
	KUNIT_ASSERT_EQ(test, world_map(w, 1, BIT_ULL(40), 0x100, 64, 0), 0);
	*world_u64(w, 0x3008) = BIT_ULL(40) | FULL | PT_A;
	*world_u64(w, 0x100000) = 0x60000 | FULL | PT_A | PT_D;
	must_read(test, w, 0x200000);
	KUNIT_EXPECT_EQ(test, world_access_on(w, &w->second, 0x200000, 0, &value, &error),
			WORLD_FAULT);
	KUNIT_EXPECT_EQ(test, error, PFEC_P | PFEC_RSVD);
	world_done(test, w);
}

/* A kernel in ring 3 sees its own pages; the same tables of another guest do not show them to programs. */
static void supervisor_pages_are_a_users(struct kunit *test)
{
	struct world *w = world_identity(test, 0);
	u64 value = 0;
	u32 error = 0;

	*world_u64(w, 0x3000) &= ~PT_U;
	*world_u64(w, 0x4000 + 0x60 * 8) &= ~(PT_U | PT_W);
	*world_u64(w, 0x60000) = 9;
	must_fault(test, w, 0x60000, PFEC_U, PFEC_P | PFEC_U);
	/* Nothing of the personality itself is used. */
	w->vm.xen = (struct gondola_xen *)w;
	gondola_mmu_mode_changed(&w->vcpu);
	KUNIT_EXPECT_EQ(test, world_access(w, 0x60000, PFEC_U, &value, &error), WORLD_DONE);
	KUNIT_EXPECT_EQ(test, value, 9ull);
	must_fault(test, w, 0x60000, PFEC_U | PFEC_W, PFEC_P | PFEC_U | PFEC_W);
	KUNIT_EXPECT_EQ(test, gondola_mmu_audit(&w->vm), 0);
	w->vm.xen = NULL;
	gondola_mmu_mode_changed(&w->vcpu);
	must_fault(test, w, 0x60000, PFEC_U, PFEC_P | PFEC_U);
	world_done(test, w);
}

/* ---- what must not be, and is refused ---- */

static void dead(struct kunit *test, struct world *w)
{
	KUNIT_EXPECT_TRUE(test, w->vm.dead);
	world_destroy(w);
	mmu_audit_quiet = false;
}

static struct gondola_shadow_page *leaf_page(struct world *w)
{
	struct gondola_shadow_page *sp;

	list_for_each_entry(sp, &w->vm.mmu.pages, link)
		if (sp->gfn == 4 && sp->role.level == 1)
			return sp;
	return NULL;
}

/* A leaf whose snapshot leads elsewhere is in another frame's bag: the VM dies, the host does not. */
static void foreign_leaf_kills_the_vm_alone(struct kunit *test)
{
	struct world *w = world_identity(test, 0);
	struct gondola_shadow_page *sp;

	mmu_audit_quiet = true;
	must_read(test, w, 0x60000);
	sp = leaf_page(w);
	KUNIT_ASSERT_NOT_NULL(test, sp);
	sp->gpt[0x60] = 0x61000 | FULL | PT_A | PT_D;
	/* Taking the frame ends, though its entry is to be found in no other bag … */
	world_host_takes(w, 0x60);
	KUNIT_EXPECT_EQ(test, w->vm.mmu.slots[0].frames[0x60].rmap, 0ul);
	dead(test, w);
}

/* … and one that leads to no memory at all is removed from none. */
static void leaf_of_no_memory_kills_the_vm_alone(struct kunit *test)
{
	struct world *w = world_identity(test, 0);
	struct gondola_shadow_page *sp;

	mmu_audit_quiet = true;
	must_read(test, w, 0x60000);
	sp = leaf_page(w);
	KUNIT_ASSERT_NOT_NULL(test, sp);
	sp->gpt[0x60] = BIT_ULL(39) | FULL | PT_A | PT_D;
	gondola_mmu_zap_all(&w->vm);
	/* Its page is kept, since the frame still points to it. */
	KUNIT_EXPECT_FALSE(test, list_empty(&w->vm.mmu.doomed));
	world_host_takes(w, 0x60);
	dead(test, w);
}

/* A link to a page of another mode is not followed. */
static void foreign_child_kills_the_vm_alone(struct kunit *test)
{
	struct world *w = pse_world(test);
	struct gondola_shadow_page *sp;
	u64 value;
	u32 error;

	mmu_audit_quiet = true;
	must_read(test, w, 0x2000);
	list_for_each_entry(sp, &w->vm.mmu.pages, link)
		if (sp->role.level == 1)
			sp->role.nopse = 1;
	KUNIT_EXPECT_EQ(test, world_access(w, ODD << 12, 0, &value, &error), WORLD_ERROR);
	dead(test, w);
}

/* ---- memory that comes late ---- */

static struct world *late_world(struct kunit *test)
{
	struct world *w = world_create(0);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, w);
	*world_u64(w, 0x1000) = 0x2000 | FULL;
	*world_u64(w, 0x2000) = 0x3000 | FULL;
	*world_u64(w, 0x3000) = 0x4000 | FULL;
	for (i = 0; i < WORLD_PAGES; i++)
		*world_u64(w, 0x4000 + i * 8) = (u64)i << 12 | FULL | PT_A | PT_D;
	world_set_mode(w, WORLD_LONG);
	world_set_cr3(w, 0x1000);
	/* No slot yet. The vCPU enters the guest all the same. */
	must_fault(test, w, 0x60000, 0, PFEC_P | PFEC_RSVD);
	KUNIT_ASSERT_EQ(test, world_map(w, 0, 0, 0, WORLD_PAGES, 0), 0);
	return w;
}

/* A CR3 that led to no memory has a root of no memory, and another one when there is memory. */
static void slot_comes_below_a_live_cr3(struct kunit *test)
{
	struct world *w = late_world(test);

	*world_u64(w, 0x60000) = 7;
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x60000), 7ull);
	KUNIT_EXPECT_EQ(test, gondola_mmu_audit(&w->vm), 0);
	gondola_mmu_zap_all(&w->vm);
	KUNIT_EXPECT_FALSE(test, w->vm.dead);
	world_done(test, w);
}

/* It goes, and comes again, with the same CR3. */
static void slot_goes_below_a_live_cr3(struct kunit *test)
{
	struct world *w = late_world(test);

	KUNIT_ASSERT_EQ(test, world_map(w, 0, 0, 0, 0, 0), 0);
	must_fault(test, w, 0x60000, 0, PFEC_P | PFEC_RSVD);
	KUNIT_ASSERT_EQ(test, world_map(w, 0, 0, 0, WORLD_PAGES, 0), 0);
	*world_u64(w, 0x60000) = 8;
	KUNIT_EXPECT_EQ(test, must_read(test, w, 0x60000), 8ull);
	world_done(test, w);
}

static struct kunit_case role_cases[] = {
	KUNIT_CASE(pse_cleared_over_a_large_page),
	KUNIT_CASE(pse_cleared_keeps_reverse_maps),
	KUNIT_CASE(pse_cleared_leaves_nothing_behind),
	KUNIT_CASE(pse_differs_between_processors),
	KUNIT_CASE(role_has_what_the_walk_reads),
	KUNIT_CASE(reserved_bits_differ_between_processors),
	KUNIT_CASE(supervisor_pages_are_a_users),
	KUNIT_CASE(foreign_leaf_kills_the_vm_alone),
	KUNIT_CASE(leaf_of_no_memory_kills_the_vm_alone),
	KUNIT_CASE(foreign_child_kills_the_vm_alone),
	KUNIT_CASE(slot_comes_below_a_live_cr3),
	KUNIT_CASE(slot_goes_below_a_live_cr3),
	{}
};

static int role_init(struct kunit_suite *suite)
{
	return gondola_mmu_module_init();
}

static void role_exit(struct kunit_suite *suite)
{
	gondola_mmu_module_exit();
}

static struct kunit_suite role_suite = {
	.name = "gondola_mmu_role",
	.suite_init = role_init,
	.suite_exit = role_exit,
	.test_cases = role_cases,
};

kunit_test_suite(role_suite);
