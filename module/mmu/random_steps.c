// SPDX-License-Identifier: GPL-2.0-only
/* The random test's machine and the steps that it takes. */
#include <linux/vmalloc.h>
#include "host.h"
#include "random_test.h"

#define UNSYNC		2u		/* tables out of sync before the oldest is synced */
#define WINDOW		0xc0000000ull	/* through here the guest sees all its memory */
/* No entry that is used lies at these places of a page. */
#define TAG		0x7f8u
#define SCRATCH		0x7f0u
#define BYTES		0x7e8u

const struct random_setup random_setups[RANDOM_MODES] = {
	[RANDOM_UNPAGED] = { .mode = WORLD_UNPAGED, .cpus = 1 },
	[RANDOM_32] = { .mode = WORLD_32, .cpus = 1 },
	[RANDOM_PAE] = { .mode = WORLD_PAE, .cpus = 1 },
	[RANDOM_LONG] = { .mode = WORLD_LONG, .cpus = 1 },
	[RANDOM_GIB] = { .mode = WORLD_LONG, .gib_pages = true, .cpus = 1 },
	[RANDOM_SMP] = { .mode = WORLD_LONG, .gib_pages = true, .cpus = 2 },
	[RANDOM_PAE_SMP] = { .mode = WORLD_PAE, .cpus = 2 },
	[RANDOM_32_SMP] = { .mode = WORLD_32, .cpus = 2 },
	[RANDOM_XEN] = { .mode = WORLD_LONG, .xen = true, .cpus = 2 },
};

/* Slots: where they are, what lies there first and after a move, what may become of them. */
static const struct slot_plan {
	u8 base, pages, home, moved;
	bool fixed;		/* only its dirty log comes and goes */
} plans[] = {
	{ 0, 24, 0, 0, true },
	{ 24, 8, 24, 40 },
	{ 64, 64, 64, 192 },
	{ 128, 64, 128, 128 },
};

bool random_failed(struct random_state *s, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vscnprintf(s->why, sizeof(s->why), fmt, args);
	va_end(args);
	return false;
}

/* ---- what a step is made of ---- */

/* One that leads by entries of the tables' format which lie where those of this mode do. */
static gva_t random_foreign_gva(struct random_state *s)
{
	static const u16 indices[] = { 0, 2, 10, 1022 };
	gva_t gva;

	if (s->cpu->mode == WORLD_32)
		return (gva_t)indices[rnd(s, 4)] << 12 | (gva_t)rnd(s, 3) << 23;
	gva = (gva_t)rnd(s, 2) << 12 | (gva_t)rnd(s, 2) << 21 | (gva_t)rnd(s, 2) << 30;
	if (s->ref.mode != WORLD_32)
		gva |= (rnd(s, 2) ? 5ull : 510ull) << 12 | (gva_t)rnd(s, 2) << 22;
	return s->cpu->mode == WORLD_LONG ? gva | (gva_t)rnd(s, 2) << 39 : gva;
}

/* An address below the window, out of few, so that tables are shared and met again. */
static gva_t random_gva(struct random_state *s)
{
	static const u16 indices[] = { 0, 1, 5, 511 };
	gva_t gva = (gva_t)indices[rnd(s, 4)] << 12;

	if (!gondola_paging(s->cpu->vcpu))
		return (gva_t)rnd(s, 200) << 12;
	if (is_foreign(s))
		return random_foreign_gva(s);
	if (s->cpu->mode == WORLD_32)
		return gva | (gva_t)rnd(s, 2) << 21 | (gva_t)rnd(s, 3) << 22 |
		       (gva_t)rnd(s, 2) << 30;
	gva |= (gva_t)rnd(s, 3) << 21 | (gva_t)rnd(s, 2) << 30;
	if (s->cpu->mode == WORLD_LONG)
		gva |= (gva_t)rnd(s, 2) << 39;
	return gva;
}

/* Tables are pages 16 … 31 and page 0. */
static u64 random_table(struct random_state *s)
{
	u32 table = rnd(s, RANDOM_TABLES + 2);

	return table < RANDOM_TABLES ? RANDOM_FIRST_TABLE + table : 0;
}

/* Any page: a table, data, or those that map the window and the roots themselves. */
static u64 random_page(struct random_state *s)
{
	if (rnd(s, 3))
		return random_table(s);
	/* A and D are reserved in a PAE root. */
	if (!rnd(s, 8))
		return s->ref.mode == WORLD_PAE ? 3 + rnd(s, 3) : 1 + rnd(s, 5);
	return 64 + rnd(s, 100);
}

static u64 random_entry(struct random_state *s)
{
	u64 page = random_page(s);
	bool wide = s->ref.mode != WORLD_32;
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
	if (!(r & 0x700) && wide)
		gpte |= PT_NX;
	if (!(r & 0x3800))
		gpte = (rnd(s, 4) ? gpte & ~PT_ADDR : gpte) | PT_PS;
	if (!(r & 0xfc000) && wide)
		gpte |= BIT_ULL(r & BIT(20) ? 55 : rnd(s, 2) ? 45 : 38);
	if (!(r & 0x7e00000))
		gpte = (gpte & ~PT_ADDR) | (u64)(WORLD_PAGES + 3) << 12;
	if (r >> 28 < 3)
		gpte |= PT_G;
	return wide ? gpte : (u32)gpte;
}

/* An entry that a walk may read: in one of our tables, at one of the indices in use. */
static gpa_t random_place(struct random_state *s)
{
	unsigned int place = rnd(s, s->ref.mode == WORLD_32 ? 9 : 7);

	return random_table(s) * 4096 + ref_index(place) * ref_entry_bytes(&s->ref);
}

static void put_entry(struct random_state *s, gpa_t at, u64 gpte)
{
	if (ref_entry_bytes(&s->ref) == 4)
		*(u32 *)ref_memory(&s->ref, at) = gpte;
	else
		*(u64 *)ref_memory(&s->ref, at) = gpte;
}

static gva_t window(struct random_state *s)
{
	return gondola_paging(s->cpu->vcpu) ? WINDOW : 0;
}

static bool has_window(struct random_state *s)
{
	return !gondola_paging(s->cpu->vcpu) || (!is_foreign(s) && s->cpu->vcpu->cr3 < RANDOM_OWN_ROOT);
}

/* ---- beginning and end ---- */

static bool is_table(u64 page)
{
	return !page || (page >= RANDOM_FIRST_TABLE && page < RANDOM_FIRST_TABLE + RANDOM_TABLES);
}

/* Pages 3 … 5 map the window, and nothing edits them. */
static void build_window(struct random_state *s, u64 root)
{
	u64 bits = PT_P | PT_W | PT_A | PT_D;
	struct world *w = s->w;
	unsigned int i;

	switch (s->ref.mode) {
	case WORLD_LONG:
		*world_u64(w, root) = 0x3000 | bits | PT_U;
		*world_u64(w, root + 8) = (RANDOM_FIRST_TABLE << 12) | bits | PT_U;
		*world_u64(w, 0x3000 + 8 * 3) = 0x4000 | bits;
		*world_u64(w, 0x3000) = (RANDOM_FIRST_TABLE + 1) << 12 | bits | PT_U;
		*world_u64(w, 0x3008) = (RANDOM_FIRST_TABLE + 2) << 12 | bits | PT_U;
		break;
	case WORLD_PAE:
		*world_u64(w, root) = (RANDOM_FIRST_TABLE << 12) | PT_P;
		*world_u64(w, root + 8) = ((RANDOM_FIRST_TABLE + 1) << 12) | PT_P;
		*world_u64(w, root + 8 * 3) = 0x4000 | PT_P;
		break;
	default:
		for (i = 0; i < 512; i++)
			*world_u32(w, root + 4 * i) = ((RANDOM_FIRST_TABLE + i % RANDOM_TABLES) << 12) |
						      bits | PT_U;
		*world_u32(w, root + 4 * 768) = 0x5000 | bits;
	}
	*world_u64(w, 0x4000) = s->ref.mode == WORLD_32 ? 0 : 0x5000 | bits;
	for (i = 0; i < WORLD_PAGES; i++)
		put_entry(s, 0x5000 + i * ref_entry_bytes(&s->ref),
			  (u64)i << 12 | (s->setup->xen && is_table(i) ? bits & ~PT_W : bits));
}

static u8 *logged(struct random_state *s, unsigned int page)
{
	return s->logged + page * GONDOLA_PAGE_SIZE;
}

/* A slot comes, goes, or gets other flags; where memory goes, all that was remembered is void. */
static bool set_slot(struct random_state *s, unsigned int slot, bool present, unsigned int page,
		     u32 flags)
{
	const struct slot_plan *plan = &plans[slot];
	bool was_present = s->slots[slot].present;
	bool emptied = was_present && (!present || (s->slots[slot].flags ^ flags) &
				       GONDOLA_MEM_READONLY);
	bool had_log = was_present && (s->slots[slot].flags & GONDOLA_MEM_LOG_DIRTY);
	unsigned int i;

	if (world_map(s->w, slot, plan->base * 4096ull, page, present ? plan->pages : 0, flags))
		return random_failed(s, "slot %u was refused", slot);
	s->slots[slot].present = present;
	s->slots[slot].page = page;
	s->slots[slot].flags = flags;
	for (i = 0; i < plan->pages; i++) {
		s->ref.home[plan->base + i] = present ? page + i : -1;
		s->ref.readonly[plan->base + i] = flags & GONDOLA_MEM_READONLY;
		if (present && (flags & GONDOLA_MEM_LOG_DIRTY) && !had_log)
			memcpy(logged(s, page + i), s->w->page[page + i], GONDOLA_PAGE_SIZE);
	}
	for (i = 0; i < s->setup->cpus && emptied; i++)
		ref_flush_all(&s->ref, &s->ref.cpus[i]);
	return true;
}

static void watch(struct world *w)
{
	struct random_state *s = w->private;

	if (!s->lie)
		s->lie = world_tlb_lie(w);
}

int random_begin(struct random_state *s)
{
	struct gondola_vcpu *vcpu;
	unsigned int i;

	s->lie = NULL;
	memset(&s->ref, 0, sizeof(s->ref));
	s->ref.mode = s->setup->mode;
	s->ref.blunder = s->blunder;
	s->ref.all_user = s->setup->xen;
	s->w = world_create(96);
	s->logged = vzalloc(RANDOM_LOGGED * GONDOLA_PAGE_SIZE);
	if (!s->w || !s->logged || (s->setup->cpus > 1 && world_add_vcpu(s->w))) {
		random_end(s);
		return -ENOMEM;
	}
	s->ref.w = s->w;
	/* Nothing of the personality itself is used. */
	s->w->vm.xen = s->setup->xen ? (struct gondola_xen *)s : NULL;
	s->w->private = s;
	s->w->launcher_helps = true;
	s->w->vm.mmu.max_unsync = UNSYNC;
	s->ref.cpus[0].vcpu = &s->w->vcpu;
	s->ref.cpus[1].vcpu = &s->w->second;
	s->cpu = &s->ref.cpus[0];
	memset(s->ref.home, 0xff, sizeof(s->ref.home));
	for (i = 0; i < WORLD_PAGES; i++)
		*world_u64(s->w, i * 4096 + TAG) = (u64)i << 12;
	for (i = 0; i < ARRAY_SIZE(plans); i++)
		set_slot(s, i, true, plans[i].home, 0);
	build_window(s, 0x1000);
	build_window(s, 0x2000);
	if (s->ref.mode == WORLD_PAE)
		build_window(s, 0x2020);
	prandom_seed_state(&s->rnd, s->seed);
	for (i = 0; i < 200; i++) {
		gpa_t at = random_place(s);
		u64 gpte = random_entry(s);

		ref_edit(&s->ref, at, gpte);
		put_entry(s, at, gpte);
	}
	for (i = 0; i < MMU_ENTRIES; i++)
		*world_u64(s->w, RANDOM_FOREIGN_ROOT + 8 * i) =
			(RANDOM_FIRST_TABLE + i % RANDOM_TABLES) << 12 | PT_P | PT_W | PT_U;
	world_set_mode(s->w, s->ref.mode);
	gondola_for_each_vcpu(vcpu, &s->w->vm, i) {
		s->ref.cpus[i].mode = s->ref.mode;
		vcpu->cr4_allowed = ~0ull;
		vcpu->efer_allowed = ~0ull;
		vcpu->mmu.gib_pages = s->setup->gib_pages;
		gondola_mmu_mode_changed(vcpu);
		if (gondola_set_cr3(vcpu, 0x1000))
			return -EINVAL;
		if (s->ref.mode == WORLD_PAE)
			ref_load_pdptes(&s->ref, &s->ref.cpus[i], 0x1000);
		ref_flush_all(&s->ref, &s->ref.cpus[i]);
	}
	s->w->on_unlock = watch;
	return 0;
}

void random_end(struct random_state *s)
{
	if (s->w) {
		s->w->vm.xen = NULL;
		world_destroy(s->w);
	}
	vfree(s->logged);
	s->w = NULL;
	s->logged = NULL;
}

/* ---- edits ---- */

/* The host has what the guest wants elsewhere: the launcher brings it. */
void random_bring_all(struct random_state *s)
{
	memset(s->w->host_absent, 0, sizeof(s->w->host_absent));
}

static bool edit_by_guest(struct random_state *s, gpa_t at, u64 value, unsigned int way)
{
	unsigned int bytes = ref_entry_bytes(&s->ref);
	struct gondola_vcpu *vcpu = s->cpu->vcpu;
	enum gondola_access_result result;
	struct gondola_access out = {};
	gva_t gva = window(s) + at;
	enum world_outcome outcome;
	u64 old = 0, new = value;
	u32 error = 0;

	random_bring_all(s);
	switch (way) {
	case 0:
		/* As an emulated instruction does it. */
		result = gondola_mmu_access(vcpu, gva, &new, bytes, PFEC_W, &out);
		return result == GONDOLA_ACCESS_OK ||
		       random_failed(s, "emulated edit at %llx: %d", at, result);
	case 1:
		memcpy(&old, ref_memory(&s->ref, at), bytes);
		new = old;
		result = gondola_mmu_cmpxchg(vcpu, gva, &new, &value, bytes, 0, &out);
		return (result == GONDOLA_ACCESS_OK && new == old) ||
		       random_failed(s, "exchange at %llx: %d, %llx for %llx", at, result, new, old);
	default:
		/* With SMAP or not: the window is the supervisor's. */
		outcome = world_access_on(s->w, vcpu, gva, PFEC_W, &new, &error);
		/* Outside long mode the processor writes four bytes at a time. */
		if (outcome == WORLD_DONE && bytes == 8 && !gondola_long_mode(vcpu)) {
			new = value >> 32;
			outcome = world_access_on(s->w, vcpu, gva + 4, PFEC_W, &new, &error);
		}
		return outcome == WORLD_DONE ||
		       random_failed(s, "edit at %llx: outcome %d error %x", at, outcome, error);
	}
}

/* A kernel in ring 3: by a hypercall, or directly, which its entries forbid and the monitor completes. */
static bool edit_by_xen(struct random_state *s, gpa_t at, u64 value, unsigned int way)
{
	struct gondola_vcpu *vcpu = s->cpu->vcpu;
	gva_t gva = window(s) + at;
	u64 now, was = 0;
	u32 error = 0;
	int err;

	random_bring_all(s);
	now = *(u64 *)ref_memory(&s->ref, at);
	if (way < 2) {
		u64 keep = way ? PT_A | PT_D : 0;

		ref_edit(&s->ref, at, value | (now & keep));
		err = gondola_mmu_write_entry(vcpu, at, value, keep);
		return (!err && *(u64 *)ref_memory(&s->ref, at) == (value | (now & keep))) ||
		       random_failed(s, "hypercall for %llx: %d", at, err);
	}
	if (world_access_on(s->w, vcpu, gva, PFEC_U | PFEC_W, &value, &error) != WORLD_FAULT ||
	    error != (PFEC_P | PFEC_U | PFEC_W))
		return random_failed(s, "a table was written at %llx, error %x", at, error);
	ref_edit(&s->ref, at, value);
	vcpu->mmu.table = at >> GONDOLA_PAGE_SHIFT;
	vcpu->mmu.table_open = true;
	err = gondola_mmu_access(vcpu, gva, &value, sizeof(value), PFEC_U | PFEC_W,
				 &(struct gondola_access){});
	vcpu->mmu.table_open = false;
	if (err)
		return random_failed(s, "direct write to %llx: %d", at, err);
	return gondola_mmu_access(vcpu, gva, &was, sizeof(was), PFEC_U | PFEC_W,
				  &(struct gondola_access){}) == GONDOLA_ACCESS_FAULT ||
	       random_failed(s, "%llx can be written by everybody now", at);
}

static bool edit_by_host(struct random_state *s, gpa_t at, u64 value, unsigned int way)
{
	unsigned int bytes = ref_entry_bytes(&s->ref);

	if (way == 0 && !s->ref.readonly[at >> 12])
		return !gondola_gpa_write(s->cpu->vcpu, at, &value, bytes) ||
		       random_failed(s, "gpa_write to %llx", at);
	/* The launcher writes its own memory and tells of it. */
	memcpy(ref_memory(&s->ref, at), &value, bytes);
	return !gondola_mmu_mark_dirty(&s->w->vm, at, bytes, GONDOLA_DIRTY_DEVICE, "") ||
	       random_failed(s, "mark_dirty at %llx", at);
}

bool random_edit(struct random_state *s, gpa_t at, u64 value)
{
	unsigned int way = rnd(s, 8);

	if (!ref_memory(&s->ref, at))
		return true;
	random_bring_all(s);
	if (way >= 2 && !has_window(s))
		way %= 2;
	if (way < 2 || s->ref.readonly[at >> 12]) {
		say(s, "the host %s entry %llx = %llx", way ? "changes" : "writes", at, value);
		ref_edit(&s->ref, at, value);
		return edit_by_host(s, at, value, way);
	}
	if (s->setup->xen) {
		say(s, "the guest asks, way %u, for entry %llx = %llx", way % 3, at, value);
		return edit_by_xen(s, at, value, way % 3);
	}
	say(s, "the guest %s entry %llx = %llx",
	    way == 2 ? "emulates" : way == 3 ? "exchanges" : "writes", at, value);
	/* Four bytes at a time: the half-written entry is one that a TLB may remember, too. */
	if (ref_entry_bytes(&s->ref) == 8 && !gondola_long_mode(s->cpu->vcpu) && way > 3) {
		u64 old = *(u64 *)ref_memory(&s->ref, at);

		ref_edit(&s->ref, at, (old & ~0xffffffffull) | (u32)value);
	}
	ref_edit(&s->ref, at, value);
	return edit_by_guest(s, at, value, way - 2);
}

/* A PAE directory pointer: it counts when CR3, CR0 or CR4 loads it. */
static bool edit_pdpte(struct random_state *s)
{
	static const u16 roots[] = { 0x1000, 0x2000, 0x2020 };
	gpa_t at = roots[rnd(s, 3)] + 8 * rnd(s, 2);
	u64 value = (u64)(RANDOM_FIRST_TABLE + rnd(s, RANDOM_TABLES)) << 12;

	if (rnd(s, 8))
		value |= PT_P;
	if (!rnd(s, 8))
		value |= rnd(s, 2) ? PT_W : BIT_ULL(50);
	return random_edit(s, at, value);
}

/* ---- accesses ---- */

static bool bits_are_due(struct random_state *s, const struct ref_path *path,
			 enum world_outcome outcome, u32 access)
{
	unsigned int i, j;

	for (i = 0; i < path->n; i++) {
		void *there = ref_memory(&s->ref, path->at[i]);
		u64 due = path->before[i], now;

		now = ref_mode_bytes(s->cpu->mode) == 4 ? *(u32 *)there : *(u64 *)there;
		if (outcome != WORLD_FAULT && !path->readonly[i])
			due |= PT_A;
		/* One entry may have served at several levels. */
		for (j = 0; j < path->n; j++)
			if (path->at[j] == path->at[i] && j + 1 == path->n &&
			    outcome != WORLD_FAULT && (access & PFEC_W) && !path->readonly[i])
				due |= PT_D;
		if (now != due)
			return random_failed(s, "entry %u of the path is %llx, not %llx", i, now, due);
	}
	return true;
}

bool random_probe(struct random_state *s)
{
	static const u32 kinds[] = { 0, PFEC_W, PFEC_U, PFEC_U | PFEC_W, PFEC_I, PFEC_U | PFEC_I };
	u32 access = kinds[rnd(s, ARRAY_SIZE(kinds))], error = 0;
	gva_t gva = random_gva(s) + (access & PFEC_W ? SCRATCH : TAG);
	u64 value = (u64)s->step << 32 | (u32)(s->step << 1), written = value;
	const struct gondola_vcpu *v = s->cpu->vcpu;
	struct ref_outcome expected[REF_MAX];
	enum world_outcome outcome;
	struct ref_path path;
	int n, i;

	if (s->setup->xen)
		access |= PFEC_U;
	n = ref_walk(&s->ref, s->cpu, gva, access, expected, &path);
	outcome = world_access_on(s->w, s->cpu->vcpu, gva, access, &value, &error);
	say(s, "access %llx, error code bits %x: outcome %d, error %x", gva, access, outcome, error);
	s->compared++;
	if (n < 0) {
		s->unknown++;
		return true;
	}
	s->ambiguous += n > 1;
	s->abroad += is_foreign(s) && outcome == WORLD_DONE;
	for (i = 0; i < n; i++) {
		u32 *there = ref_memory(&s->ref, expected[i].gpa);

		if (expected[i].outcome != outcome)
			continue;
		if (outcome == WORLD_FAULT ? expected[i].error == error :
		    outcome == WORLD_MMIO || *there == (access & PFEC_W ? (u32)written : (u32)value))
			break;
	}
	if (i == n)
		return random_failed(s, "gva %llx access %x: outcome %d error %x, reference %d error %x gpa %llx (%d in all), data %llx; cr0 %llx cr4 %llx efer %llx rflags %llx",
				     gva, access, outcome, error, expected[0].outcome,
				     expected[0].error, expected[0].gpa, n, value, v->cr0, v->cr4, v->efer,
				     v->regs.rflags);
	return n > 1 || bits_are_due(s, &path, outcome, access);
}

/* ---- the host ---- */

static bool change_slot(struct random_state *s)
{
	unsigned int i = rnd(s, ARRAY_SIZE(plans));
	u32 flags = rnd(s, 2) ? GONDOLA_MEM_LOG_DIRTY : 0;
	unsigned int page = s->slots[i].page;
	bool present = true;

	if (!plans[i].fixed && !rnd(s, 3))
		flags |= GONDOLA_MEM_READONLY;
	if (!rnd(s, 4))
		flags |= GONDOLA_MEM_USERFAULT;
	if (!plans[i].fixed && s->slots[i].present && rnd(s, 2))
		present = false;
	if (!s->slots[i].present)
		page = rnd(s, 2) ? plans[i].home : plans[i].moved;
	say(s, "slot %u: %s, page %u, flags %x", i, present ? "there" : "gone", page, flags);
	return set_slot(s, i, present, page, present ? flags : 0);
}

/* A processor that is in the guest writes on until it is stopped. */
static void write_on(struct world *w)
{
	struct random_state *s = w->private;
	struct gondola_vcpu *vcpu;
	unsigned int i, tries;

	gondola_for_each_vcpu(vcpu, &w->vm, i)
		for (tries = 0; tries < 4; tries++)
			world_write_unseen(w, vcpu, random_gva(s) + SCRATCH,
					   (u64)s->step << 32 | (u32)(s->step << 1));
}

static bool read_log(struct random_state *s)
{
	unsigned int slot = rnd(s, ARRAY_SIZE(plans)), i, pages = plans[slot].pages;
	u64 bits = 0, mask = rnd(s, 2) ? ~0ull : (u64)prandom_u32_state(&s->rnd) * 0x100000001ull;
	int err;

	if (!s->slots[slot].present || !(s->slots[slot].flags & GONDOLA_MEM_LOG_DIRTY))
		return true;
	say(s, "the log of slot %u is read, %llx cleared", slot, mask);
	mutex_lock(&s->w->vm.lock);
	err = gondola_mmu_get_dirty(&s->w->vm, slot, 0, pages, &bits);
	for (i = 0; i < pages && !err; i++) {
		unsigned int page = s->slots[slot].page + i;

		if (!(bits & BIT_ULL(i)) &&
		    memcmp(s->w->page[page], logged(s, page), GONDOLA_PAGE_SIZE))
			err = page;
	}
	if (!err && rnd(s, 2)) {
		s->w->on_flush = write_on;
		err = gondola_mmu_clear_dirty(&s->w->vm, slot, 0, pages, &mask);
		s->w->on_flush = NULL;
		/* A copy made now has all earlier writes. */
		for (i = 0; i < pages; i++)
			if (mask & BIT_ULL(i))
				memcpy(logged(s, s->slots[slot].page + i),
				       s->w->page[s->slots[slot].page + i], GONDOLA_PAGE_SIZE);
	}
	mutex_unlock(&s->w->vm.lock);
	return !err || random_failed(s, "the dirty log missed a write to page %d", err);
}

static bool host_step(struct random_state *s)
{
	unsigned int page = rnd(s, 3) ? rnd(s, 128) : random_table(s);
	hva_t hva = WORLD_HVA + (u64)page * 4096;

	switch (rnd(s, 8)) {
	case 0 ... 2:
		say(s, "the host moves page %u", page);
		world_host_moves(s->w, page);
		return true;
	case 3 ... 4:
		say(s, "the host shares page %u", page);
		world_host_takes(s->w, page);
		s->w->host_readonly[page] = true;
		return true;
	case 5:
		say(s, "the host takes page %u", page);
		world_host_takes(s->w, page);
		s->w->host_absent[page] = true;
		return true;
	case 6:
		mmu_age(&s->w->vm, hva, hva + 16 * 4096, rnd(s, 2));
		return true;
	default:
		if (!rnd(s, 16)) {
			say(s, "all shadow pages go");
			gondola_mmu_zap_all(&s->w->vm);
		}
		return true;
	}
}

static bool exchange_bytes(struct random_state *s)
{
	gpa_t gpa = (u64)(64 + rnd(s, 128)) * 4096 + BYTES;
	u8 *there = ref_memory(&s->ref, gpa), before, old = 0, bits = rnd(s, 256);
	bool usable = there && !s->ref.readonly[gpa >> 12];
	bool ored;
	int err;

	before = there ? *there : 0;
	ored = gondola_gpa_try_or(&s->w->vm, gpa, bits);
	/* The host may have moved it meanwhile, as it may with what follows. */
	there = ref_memory(&s->ref, gpa);
	if (ored && (!usable || *there != (u8)(before | bits)))
		return random_failed(s, "bits at %llx were not set", gpa);
	if (there)
		before = *there;
	err = gondola_gpa_exchange(s->cpu->vcpu, gpa, bits, &old);
	there = ref_memory(&s->ref, gpa);
	if (!err && (!usable || old != before || *there != bits))
		return random_failed(s, "byte at %llx was not exchanged", gpa);
	return true;
}

/* In another mode than the tables': only what follows a flush is compared. */
static bool foreign_step(struct random_state *s)
{
	switch (rnd(s, 16)) {
	case 0:
		return rnd(s, 2) || random_go_home(s);
	case 1:
		return random_go_abroad(s);
	case 2 ... 3: {
		gpa_t at = random_place(s);

		return random_edit(s, at, random_entry(s));
	}
	case 4:
		return random_cr3(s);
	case 5:
		return random_control_bits(s);
	case 6:
		gondola_mmu_invlpg(s->cpu->vcpu, random_gva(s));
		return true;
	case 7:
		return rnd(s, 8) ? host_step(s) : change_slot(s);
	default:
		if (!ref_is_fresh(&s->ref, s->cpu) && rnd(s, 4) && !random_flush(s))
			return false;
		return random_probe(s);
	}
}

/* A kernel in ring 3 has no control registers but CR3. */
static bool is_of_control(unsigned int step)
{
	return step >= 25 && step <= 27;
}

bool random_step(struct random_state *s)
{
	unsigned int step;

	s->cpu = &s->ref.cpus[rnd(s, s->setup->cpus)];
	if (is_foreign(s))
		return foreign_step(s);
	step = rnd(s, 64);
	if (s->setup->xen && is_of_control(step))
		return random_probe(s);
	switch (step) {
	case 0 ... 13: {
		gpa_t at = random_place(s);

		return random_edit(s, at, random_entry(s));
	}
	case 14 ... 18:
		return random_cr3(s);
	case 19 ... 21: {
		gva_t gva = random_gva(s) + rnd(s, 4096);

		say(s, "INVLPG %llx", gva);
		gondola_mmu_invlpg(s->cpu->vcpu, gva);
		ref_invlpg(&s->ref, s->cpu, gva);
		return true;
	}
	case 22:
		return random_flush(s);
	case 23 ... 24:
		return host_step(s);
	case 25:
		return rnd(s, 2) || random_control_bits(s);
	case 26:
		s->cpu->vcpu->regs.rflags = with(s, s->cpu->vcpu->regs.rflags, RFL_AC);
		say(s, "RFLAGS = %llx", s->cpu->vcpu->regs.rflags);
		return true;
	case 27:
		if (rnd(s, 4))
			return true;
		return rnd(s, 3) ? random_go_abroad(s) : random_without_paging(s);
	case 28:
		return rnd(s, 4) || change_slot(s);
	case 29:
		return read_log(s);
	case 30:
		return s->ref.mode != WORLD_PAE || edit_pdpte(s);
	case 31:
		return exchange_bytes(s);
	default:
		return random_probe(s);
	}
}
