// SPDX-License-Identifier: GPL-2.0-only
/*
 * The shadow MMU against a plain reading of the manual: random edits of guest
 * tables, by the guest and by the host, flushes, mode changes, and pages that
 * the host takes; then each access must end as the reference says.
 */
#include <kunit/test.h>
#include <linux/prandom.h>
#include "test_world.h"

/*
 * make kunit STEPS=n SEED=n. These are no module parameters: in 6.1 KUnit runs
 * a module's suites before its parameters are read. Seed 0: another one each time.
 */
#ifndef GONDOLA_RANDOM_STEPS
#define GONDOLA_RANDOM_STEPS	20000
#endif
#ifndef GONDOLA_RANDOM_SEED
#define GONDOLA_RANDOM_SEED	0
#endif

#define TABLES		16u	/* pages 16 … 31 are tables, in any role */
#define FIRST_TABLE	16u
#define WINDOW		0xc0000000ull	/* through here the guest sees all its memory */
#define TAG		0x7f8u	/* no entry that is used lies here */
#define SCRATCH		0x7f0u

struct random_state {
	struct world *w;
	enum world_mode mode;
	u64 cr3;
	u64 pdptes[4];		/* as loaded with CR3 */
	struct rnd_state rnd;
	bool pending;		/* an edit was not flushed yet */
};

static u32 rnd(struct random_state *s, u32 below)
{
	return prandom_u32_state(&s->rnd) % below;
}

/* ---- the reference ---- */

struct ref {
	bool ok;
	bool mmio;
	u32 error;
	u64 gpa;
};

static unsigned int entry_bytes(const struct random_state *s)
{
	return s->mode == WORLD_32 ? 4 : 8;
}

static u64 ref_entry(const struct random_state *s, u64 table, unsigned int index)
{
	return entry_bytes(s) == 4 ? *world_u32(s->w, table + index * 4) :
				     *world_u64(s->w, table + index * 8);
}

static struct ref ref_fault(const struct random_state *s, u32 access, u32 why)
{
	const struct gondola_vcpu *v = &s->w->vcpu;

	if ((access & PFEC_I) && !(v->efer & EFER_F_NXE) && !(v->cr4 & CR4_SMEP))
		access &= ~PFEC_I;
	return (struct ref){ .error = access | why };
}

static u64 ref_reserved(const struct random_state *s, unsigned int level, bool large)
{
	bool nxe = s->w->vcpu.efer & EFER_F_NXE;
	u64 bits;

	if (s->mode == WORLD_32)
		return large ? BIT_ULL(21) : 0;
	bits = 0x000fff0000000000ull;			/* 51:40 */
	if (s->mode == WORLD_PAE)
		bits |= 0x7ff0000000000000ull;		/* 62:52 */
	if (!nxe)
		bits |= 0x8000000000000000ull;
	if (large && level == 2)
		bits |= 0x1fe000;			/* 20:13 */
	return bits;
}

static struct ref ref_walk(const struct random_state *s, gva_t gva, u32 access)
{
	const struct gondola_vcpu *v = &s->w->vcpu;
	bool w = true, u = true, nx = false, user = access & PFEC_U;
	unsigned int level = s->mode == WORLD_LONG ? 4 : 2;
	unsigned int shift = s->mode == WORLD_32 ? 10 : 9;
	u64 table = s->cr3 & ~0xfffull, gpte;

	if (s->mode == WORLD_UNPAGED)
		return (struct ref){ .ok = true, .gpa = (u32)gva,
				     .mmio = (u32)gva >> 12 >= WORLD_PAGES };
	if (s->mode == WORLD_PAE) {
		if (!(s->pdptes[gva >> 30 & 3] & 1))
			return ref_fault(s, access, 0);
		table = s->pdptes[gva >> 30 & 3] & ~0xfffull;
	}
	for (;; level--) {
		unsigned int index = gva >> (12 + shift * (level - 1)) & ((1u << shift) - 1);
		bool large;

		/* A bus without memory reads as all ones. */
		if (table >> 12 >= WORLD_PAGES)
			return ref_fault(s, access, PFEC_P | PFEC_RSVD);
		gpte = ref_entry(s, table, index);
		if (!(gpte & 1))
			return ref_fault(s, access, 0);
		large = level > 1 && (gpte & 0x80);
		if ((gpte & ref_reserved(s, level, large)) || (large && level > 2))
			return ref_fault(s, access, PFEC_P | PFEC_RSVD);
		w &= gpte >> 1 & 1;
		u &= gpte >> 2 & 1;
		nx |= gpte >> 63;
		if (level == 1) {
			table = (gpte & 0xffffffffff000ull) | (gva & 0xfff);
			break;
		}
		if (large && s->mode == WORLD_32) {
			table = (gpte & 0xffc00000ull) | (gpte & 0x1fe000ull) << 19 |
				(gva & 0x3fffff);
			break;
		}
		if (large) {
			table = (gpte & 0xfffffffe00000ull) | (gva & 0x1fffff);
			break;
		}
		table = gpte & 0xffffffffff000ull;
	}
	if (user ? !u : false)
		return ref_fault(s, access, PFEC_P);
	if ((access & PFEC_W) && !w && (user || (v->cr0 & CR0_WP)))
		return ref_fault(s, access, PFEC_P);
	if ((access & PFEC_I) && (nx || (!user && u && (v->cr4 & CR4_SMEP))))
		return ref_fault(s, access, PFEC_P);
	if (!user && !(access & PFEC_I) && u && (v->cr4 & CR4_SMAP) && !(v->regs.rflags & RFL_AC))
		return ref_fault(s, access, PFEC_P);
	return (struct ref){ .ok = true, .gpa = table, .mmio = table >> 12 >= WORLD_PAGES };
}

/* ---- random steps ---- */

static const u16 indices[] = { 0, 1, 5, 511 };

/* An address below the window, out of few, so that tables are shared and met again. */
static gva_t random_gva(struct random_state *s)
{
	gva_t gva = (gva_t)indices[rnd(s, 4)] << 12;

	if (s->mode == WORLD_32)
		return gva | (gva_t)rnd(s, 2) << 21 | (gva_t)rnd(s, 3) << 22 |
		       (gva_t)rnd(s, 2) << 30;
	gva |= (gva_t)rnd(s, 3) << 21 | (gva_t)rnd(s, 2) << 30;
	if (s->mode == WORLD_LONG)
		gva |= (gva_t)rnd(s, 2) << 39;
	return gva;
}

static u64 random_entry(struct random_state *s)
{
	u64 page = rnd(s, 3) ? FIRST_TABLE + rnd(s, TABLES) : 64 + rnd(s, 64);
	u64 gpte = page << 12 | PT_P;
	u32 r = prandom_u32_state(&s->rnd);

	if (!rnd(s, 8))
		return page << 12;
	if (r & 7)
		gpte |= PT_W;
	if (r & 0x38)
		gpte |= PT_U;
	if (r & 0x40)
		gpte |= PT_A;
	if (r & 0x80)
		gpte |= PT_D;
	if (!(r & 0x700) && s->mode != WORLD_32)
		gpte |= PT_NX;
	if (!(r & 0x3800))
		gpte = (gpte & 0xfff) | PT_PS;
	if (!(r & 0xfc000) && s->mode != WORLD_32)
		gpte |= BIT_ULL(r & BIT(20) ? 55 : 45);
	if (!(r & 0x7e00000))
		gpte = (gpte & 0xfff) | (u64)(WORLD_PAGES + 3) << 12;
	return gpte;
}

/* Where some walk may look: a table of ours, at one of the indices in use. */
static gpa_t random_table_slot(struct random_state *s)
{
	static const u16 low[] = { 0, 1, 2, 5, 256, 257, 511, 513, 1023 };
	unsigned int index = low[rnd(s, s->mode == WORLD_32 ? 9 : 7)];

	return (u64)(FIRST_TABLE + rnd(s, TABLES)) * 4096 + index * entry_bytes(s);
}

static bool in_window(const struct random_state *s)
{
	return s->mode != WORLD_UNPAGED;
}

static void put_entry(struct random_state *s, gpa_t at, u64 gpte)
{
	if (entry_bytes(s) == 4)
		*world_u32(s->w, at) = gpte;
	else
		*world_u64(s->w, at) = gpte;
}

/* Tables 2 … 9 map the window, and nothing edits them. */
static void build_window(struct random_state *s, u64 root)
{
	u64 bits = PT_P | PT_W | PT_A | PT_D;
	unsigned int i;

	switch (s->mode) {
	case WORLD_LONG:
		*world_u64(s->w, root) = 0x3000 | bits | PT_U;
		*world_u64(s->w, root + 8) = (FIRST_TABLE << 12) | bits | PT_U;
		*world_u64(s->w, 0x3000 + 8 * 3) = 0x4000 | bits;
		*world_u64(s->w, 0x3000) = (FIRST_TABLE + 1) << 12 | bits | PT_U;
		*world_u64(s->w, 0x3008) = (FIRST_TABLE + 2) << 12 | bits | PT_U;
		break;
	case WORLD_PAE:
		*world_u64(s->w, root) = (FIRST_TABLE << 12) | PT_P;
		*world_u64(s->w, root + 8) = ((FIRST_TABLE + 1) << 12) | PT_P;
		*world_u64(s->w, root + 8 * 3) = 0x4000 | PT_P;
		break;
	default:
		for (i = 0; i < 512; i++)
			*world_u32(s->w, root + 4 * i) = ((FIRST_TABLE + i % TABLES) << 12) |
							 bits | PT_U;
		*world_u32(s->w, root + 4 * 768) = 0x5000 | bits;
	}
	*world_u64(s->w, 0x4000) = s->mode == WORLD_32 ? 0 : 0x5000 | bits;
	for (i = 0; i < WORLD_PAGES; i++)
		put_entry(s, 0x5000 + i * entry_bytes(s), (u64)i << 12 | bits);
}

static void flush(struct random_state *s)
{
	unsigned int i;

	world_set_cr3(s->w, s->cr3);
	for (i = 0; i < 4; i++)
		s->pdptes[i] = *world_u64(s->w, (s->cr3 & ~0xfffull) + i * 8);
	s->pending = false;
}

static bool edit(struct kunit *test, struct random_state *s)
{
	gpa_t at = random_table_slot(s);
	u64 gpte = random_entry(s);
	u32 error = 0;
	unsigned int tries;

	if (entry_bytes(s) == 4)
		gpte = (u32)gpte;
	s->pending = true;
	if (!rnd(s, 4) || !in_window(s)) {
		put_entry(s, at, gpte);
		gondola_mmu_mark_dirty(&s->w->vm, at, entry_bytes(s), GONDOLA_DIRTY_DEVICE);
		return true;
	}
	/* With SMAP or not: the window is the supervisor's. */
	for (tries = 0; tries < 2; tries++) {
		enum world_outcome outcome = world_access(s->w, WINDOW + at, PFEC_W, &gpte, &error);

		if (outcome == WORLD_DONE)
			return true;
	}
	KUNIT_FAIL(test, "edit at %llx failed with %x", at, error);
	return false;
}

static bool probe(struct kunit *test, struct random_state *s, unsigned int step)
{
	static const u32 kinds[] = { 0, PFEC_W, PFEC_U, PFEC_U | PFEC_W, PFEC_I, PFEC_U | PFEC_I };
	u32 access = kinds[rnd(s, ARRAY_SIZE(kinds))], error = 0;
	gva_t gva = random_gva(s) + (access & PFEC_W ? SCRATCH : TAG);
	enum world_outcome outcome, expected;
	u64 value = (u64)step << 32 | (step << 1), written = value;
	struct ref ref;

	/* What is due to the last flush is read before the access sets A and D. */
	ref = ref_walk(s, gva, access);
	outcome = world_access(s->w, gva, access, &value, &error);
	if (s->pending)
		return true;
	expected = !ref.ok ? WORLD_FAULT : ref.mmio ? WORLD_MMIO : WORLD_DONE;
	if (outcome != expected || (!ref.ok && error != ref.error)) {
		KUNIT_FAIL(test, "step %u mode %d: gva %llx access %x: outcome %d error %x, reference %d error %x gpa %llx; cr0 %llx cr4 %llx efer %llx rflags %llx",
			   step, s->mode, gva, access, outcome, error, expected, ref.error,
			   ref.gpa, s->w->vcpu.cr0, s->w->vcpu.cr4, s->w->vcpu.efer,
			   s->w->vcpu.regs.rflags);
		return false;
	}
	if (outcome != WORLD_DONE)
		return true;
	if (access & PFEC_W ? *world_u32(s->w, ref.gpa) != (u32)written :
			      (u32)value != *world_u32(s->w, ref.gpa)) {
		KUNIT_FAIL(test, "step %u mode %d: gva %llx access %x went elsewhere than gpa %llx",
			   step, s->mode, gva, access, ref.gpa);
		return false;
	}
	return true;
}

static void change_mode_bits(struct random_state *s)
{
	struct gondola_vcpu *v = &s->w->vcpu;

	switch (rnd(s, 4)) {
	case 0:
		v->cr0 ^= CR0_WP;
		break;
	case 1:
		v->cr4 ^= CR4_SMEP;
		break;
	case 2:
		v->cr4 ^= CR4_SMAP;
		break;
	case 3:
		if (s->mode != WORLD_32)
			v->efer ^= EFER_F_NXE;
		break;
	}
	gondola_mmu_mode_changed(v);
	flush(s);
}

static bool step_once(struct kunit *test, struct random_state *s, unsigned int step)
{
	switch (rnd(s, 32)) {
	case 0 ... 7:
		return edit(test, s);
	case 8 ... 10:
		flush(s);
		return true;
	case 11:
		world_invlpg(s->w, random_gva(s));
		return true;
	case 12:
		world_host_takes(s->w, rnd(s, 128));
		return true;
	case 13:
		s->w->host_readonly[64 + rnd(s, 64)] = rnd(s, 2);
		return true;
	case 14:
		if (rnd(s, 8))
			return true;
		/* Tables with bit 63 set are all refused without NXE; the window has none. */
		change_mode_bits(s);
		return true;
	case 15:
		s->w->vcpu.regs.rflags ^= RFL_AC;
		return true;
	case 16:
		s->cr3 = s->cr3 == 0x1000 ? 0x2000 : 0x1000;
		flush(s);
		return true;
	default:
		return probe(test, s, step);
	}
}

static void run_mode(struct kunit *test, enum world_mode mode, bool filter)
{
	const unsigned int steps = GONDOLA_RANDOM_STEPS;
	u32 used = GONDOLA_RANDOM_SEED ?: get_random_u32();
	struct random_state s = { .mode = mode, .cr3 = 0x1000 };
	unsigned int i;

	kunit_info(test, "mode %d filter %d: seed=%u steps=%u\n", mode, filter, used, steps);
	prandom_seed_state(&s.rnd, used);
	s.w = world_create(filter, 96);
	KUNIT_ASSERT_NOT_NULL(test, s.w);
	KUNIT_ASSERT_EQ(test, world_map(s.w, 0, 0, 0, WORLD_PAGES, 0), 0);
	for (i = 0; i < WORLD_PAGES; i++)
		*world_u64(s.w, i * 4096 + TAG) = (u64)i << 12;
	build_window(&s, 0x1000);
	build_window(&s, 0x2000);
	for (i = 0; i < 200; i++)
		put_entry(&s, random_table_slot(&s), random_entry(&s));
	s.w->vcpu.cr3 = s.cr3;
	world_set_mode(s.w, mode);
	flush(&s);
	for (i = 0; i < steps; i++) {
		if (!step_once(test, &s, i))
			break;
		if (i % 64 == 0 && gondola_mmu_audit(&s.w->vm)) {
			KUNIT_FAIL(test, "step %u: the audit found violations", i);
			break;
		}
		if (i % 1024 == 0)
			cond_resched();
	}
	KUNIT_EXPECT_GT(test, s.w->shadow_faults, (u64)steps / 100);
	world_destroy(s.w);
}

static void random_unpaged(struct kunit *test)
{
	run_mode(test, WORLD_UNPAGED, false);
}

static void random_32bit(struct kunit *test)
{
	run_mode(test, WORLD_32, false);
}

static void random_pae(struct kunit *test)
{
	run_mode(test, WORLD_PAE, false);
}

static void random_long_mode(struct kunit *test)
{
	run_mode(test, WORLD_LONG, false);
}

static void random_long_mode_filtered(struct kunit *test)
{
	run_mode(test, WORLD_LONG, true);
}

static struct kunit_case random_cases[] = {
	KUNIT_CASE(random_unpaged),
	KUNIT_CASE(random_32bit),
	KUNIT_CASE(random_pae),
	KUNIT_CASE(random_long_mode),
	KUNIT_CASE(random_long_mode_filtered),
	{}
};

static int random_suite_init(struct kunit_suite *suite)
{
	return gondola_mmu_module_init();
}

static void random_suite_exit(struct kunit_suite *suite)
{
	gondola_mmu_module_exit();
}

static struct kunit_suite random_suite = {
	.name = "gondola_mmu_random",
	.suite_init = random_suite_init,
	.suite_exit = random_suite_exit,
	.test_cases = random_cases,
};

kunit_test_suite(random_suite);
