// SPDX-License-Identifier: GPL-2.0-only
/* The reference walker of the random test. */
#include "test_reference.h"

static const u16 indices[REF_PLACES] = { 0, 1, 2, 5, 256, 257, 511, 513, 1023 };

unsigned int ref_index(unsigned int place)
{
	return indices[place];
}

static int place_of(unsigned int index)
{
	unsigned int i;

	for (i = 0; i < REF_PLACES; i++)
		if (indices[i] == index)
			return i;
	return -1;
}

int ref_table(int page)
{
	if (page >= 16 && page < 32)
		return page - 16;
	if (page >= 40 && page < 48)
		return page - 24;
	/* A large entry without an address, as CR4.PSE clear reads it. */
	return page ? -1 : 24;
}

void *ref_memory(const struct reference *ref, gpa_t gpa)
{
	s16 home = gpa >> 12 < WORLD_PAGES ? ref->home[gpa >> 12] : -1;

	return home < 0 ? NULL : ref->w->page[home] + (gpa & 0xfff);
}

static struct ref_entry *entry_at(struct reference *ref, gpa_t at)
{
	s16 home = at >> 12 < WORLD_PAGES ? ref->home[at >> 12] : -1;
	int table = home < 0 ? -1 : ref_table(home);
	int place = place_of((at & 0xfff) / ref_entry_bytes(ref));

	return table < 0 || place < 0 ? NULL : &ref->entries[table][place];
}

void ref_edit(struct reference *ref, gpa_t at, u64 value)
{
	struct ref_entry *e = entry_at(ref, at);

	ref->edited = ++ref->clock;
	if (!e)
		return;
	if (e->nr_old == REF_OLD) {
		e->forgotten = e->old[0].until;
		memmove(e->old, e->old + 1, sizeof(e->old) - sizeof(e->old[0]));
		e->nr_old--;
	}
	e->old[e->nr_old].value = e->value;
	e->old[e->nr_old++].until = ++ref->clock;
	e->value = value;
}

/* ---- what a TLB may still hold ---- */

/* The addresses in use differ in these bits: see random_gva(). */
static unsigned int key(gva_t gva)
{
	unsigned int page = gva >> 12 & 0x1ff;

	return (page < 2 ? page : page == 5 ? 2 : 3) + (gva >> 21 & 7) * 4 + (gva >> 30 & 1) * 32 +
	       (gva >> 39 & 1) * 64;
}

static gva_t large_base(const struct reference *ref, gva_t gva)
{
	return gva & ~(ref->mode == WORLD_32 ? 0x3fffffull : 0x1fffffull);
}

static unsigned int pcid(const struct ref_cpu *cpu)
{
	return cpu->vcpu->cr4 & CR4_PCIDE ? cpu->vcpu->cr3 & 1 : 0;
}

void ref_flush_all(struct reference *ref, struct ref_cpu *cpu)
{
	cpu->all = ++ref->clock;
}

bool ref_is_fresh(const struct reference *ref, const struct ref_cpu *cpu)
{
	return cpu->all > ref->edited;
}

void ref_flush_space(struct reference *ref, struct ref_cpu *cpu)
{
	cpu->space[pcid(cpu)] = ++ref->clock;
}

void ref_invlpg(struct reference *ref, struct ref_cpu *cpu, gva_t gva)
{
	unsigned int p = pcid(cpu);

	ref->clock++;
	cpu->page[p][key(gva)] = ref->clock;
	cpu->large[p][key(large_base(ref, gva))] = ref->clock;
	cpu->huge[p][key(gva & ~0x3fffffffull)] = ref->clock;
}

static u64 invalidated(const struct reference *ref, const struct ref_cpu *cpu, unsigned int p,
		       gva_t gva, unsigned int leaf)
{
	if (leaf == 1)
		return cpu->page[p][key(gva)];
	if (leaf == 2)
		return cpu->large[p][key(large_base(ref, gva))];
	return cpu->huge[p][key(gva & ~0x3fffffffull)];
}

/* When the processor last forgot a translation of @gva whose leaf has these bits. */
static u64 forgot(const struct reference *ref, const struct ref_cpu *cpu, gva_t gva,
		  unsigned int leaf, u64 gpte)
{
	unsigned int p = pcid(cpu), i;
	u64 since;

	if (!(gpte & PT_G) || !(cpu->vcpu->cr4 & CR4_PGE))
		return max3(cpu->all, cpu->space[p], invalidated(ref, cpu, p, gva, leaf));
	since = cpu->all;
	for (i = 0; i < REF_PCIDS; i++)
		since = max(since, invalidated(ref, cpu, i, gva, leaf));
	return since;
}

/* ---- the walk ---- */

struct walk {
	struct reference *ref;
	struct ref_cpu *cpu;
	gva_t gva;
	u32 access;
	struct ref_outcome *out;
	struct ref_path *path;
	int n;
};

static u64 reserved(const struct walk *k, unsigned int level, bool large)
{
	const struct gondola_vcpu *v = k->cpu->vcpu;
	u64 bits;

	if (k->cpu->mode == WORLD_32) {
		bits = large ? BIT_ULL(21) : 0;
		/* Bits 20:13 are address bits 39:32. */
		if (large && v->maxphyaddr == 36)
			bits |= 0x1e0000;
		return bits;
	}
	bits = 0x000fffffffffffffull & ~((1ull << v->maxphyaddr) - 1);
	if (k->cpu->mode == WORLD_PAE)
		bits |= 0x7ff0000000000000ull;		/* 62:52 */
	if (!(v->efer & EFER_F_NXE))
		bits |= 0x8000000000000000ull;
	if (large && level == 2)
		bits |= 0x1fe000;			/* 20:13 */
	if (large && level == 3)
		bits |= 0x3fffe000;			/* 29:13 */
	return bits;
}

static void give(struct walk *k, enum world_outcome outcome, u32 error, gpa_t gpa, u64 oldest)
{
	/* A TLB remembers translations; faults are of what is there now. */
	if (oldest != ~0ull && (outcome == WORLD_FAULT || k->n <= 0))
		return;
	if (k->n == REF_MAX) {
		k->n = -1;
		return;
	}
	k->out[k->n++] = (struct ref_outcome){ .outcome = outcome, .error = error, .gpa = gpa };
}

static void fault(struct walk *k, u32 why, u64 oldest)
{
	const struct gondola_vcpu *v = k->cpu->vcpu;
	u32 error = k->access | why;

	if (!(v->cr4 & CR4_PAE && v->efer & EFER_F_NXE) && !(v->cr4 & CR4_SMEP))
		error &= ~PFEC_I;
	give(k, WORLD_FAULT, error, 0, oldest);
}

static bool allowed(const struct walk *k, u64 rights)
{
	const struct gondola_vcpu *v = k->cpu->vcpu;
	bool user = k->access & PFEC_U, write = k->access & PFEC_W, fetch = k->access & PFEC_I;
	bool w = rights & PT_W, u = rights & PT_U || k->ref->all_user, nx = rights & PT_NX;

	if (k->ref->blunder)
		nx = false;
	if (user && !u)
		return false;
	if (write && !w && (user || (v->cr0 & CR0_WP)))
		return false;
	if (fetch && (nx || (!user && u && (v->cr4 & CR4_SMEP))))
		return false;
	return user || fetch || !u || !(v->cr4 & CR4_SMAP) || (v->regs.rflags & RFL_AC);
}

static void arrive(struct walk *k, gpa_t gpa, u64 rights, u64 oldest)
{
	bool write = k->access & PFEC_W;

	if (!allowed(k, rights))
		fault(k, PFEC_P, oldest);
	else if (!ref_memory(k->ref, gpa) || (write && k->ref->readonly[gpa >> 12]))
		give(k, WORLD_MMIO, 0, gpa, oldest);
	else
		give(k, WORLD_DONE, 0, gpa, oldest);
}

static void descend(struct walk *k, unsigned int level, gpa_t table, u64 rights, u64 oldest);

/* Go on with @gpte, which the entry of @level holds now or held until @oldest at the latest. */
static void follow(struct walk *k, unsigned int level, u64 gpte, u64 rights, u64 oldest)
{
	const struct gondola_vcpu *v = k->cpu->vcpu;
	enum world_mode mode = k->cpu->mode;
	bool large = false;

	if (!(gpte & PT_P)) {
		fault(k, 0, oldest);
		return;
	}
	if (gpte & PT_PS)
		large = level == 2 ? mode != WORLD_32 || (v->cr4 & CR4_PSE) : level == 3;
	if ((gpte & reserved(k, level, large)) || (level == 4 && (gpte & PT_PS)) ||
	    (level == 3 && large && !v->mmu.gib_pages)) {
		fault(k, PFEC_P | PFEC_RSVD, oldest);
		return;
	}
	rights = (rights & (gpte | PT_NX)) | (gpte & PT_NX);
	if (level > 1 && !large) {
		descend(k, level - 1, gpte & 0xffffffffff000ull, rights, oldest);
		return;
	}
	if (oldest != ~0ull && oldest <= forgot(k->ref, k->cpu, k->gva, level, gpte))
		return;
	if (level == 1)
		gpte = (gpte & 0xffffffffff000ull) | (k->gva & 0xfff);
	else if (mode == WORLD_32)
		gpte = (gpte & 0xffc00000ull) | (gpte & 0x1fe000ull) << 19 | (k->gva & 0x3fffff);
	else if (level == 2)
		gpte = (gpte & 0xfffffffe00000ull) | (k->gva & 0x1fffff);
	else
		gpte = (gpte & 0xfffffc0000000ull) | (k->gva & 0x3fffffff);
	arrive(k, gpte, rights, oldest);
}

static void descend(struct walk *k, unsigned int level, gpa_t table, u64 rights, u64 oldest)
{
	unsigned int bytes = ref_mode_bytes(k->cpu->mode), shift = bytes == 4 ? 10 : 9, i;
	unsigned int index = k->gva >> (12 + shift * (level - 1)) & ((1u << shift) - 1);
	gpa_t at = table + index * bytes;
	void *memory = ref_memory(k->ref, table);
	struct ref_path *path = k->path;
	struct ref_entry *e;
	u64 gpte;

	/* A bus without memory reads as all ones. */
	if (!memory) {
		fault(k, PFEC_P | PFEC_RSVD, oldest);
		return;
	}
	memory = ref_memory(k->ref, at);
	gpte = bytes == 4 ? *(u32 *)memory : *(u64 *)memory;
	if (oldest == ~0ull) {
		path->at[path->n] = at;
		path->readonly[path->n] = k->ref->readonly[at >> 12];
		path->before[path->n++] = gpte;
	}
	follow(k, level, gpte, rights, oldest);
	/* In a foreign mode only what is there now is known. */
	e = k->cpu->mode == k->ref->mode ? entry_at(k->ref, at) : NULL;
	if (!e)
		return;
	if (e->forgotten > k->cpu->all)
		k->n = -1;
	for (i = 0; i < e->nr_old && k->n > 0; i++) {
		u64 old = e->old[i].value;

		/* Only what was present can be remembered. */
		if ((old & PT_P) && e->old[i].until > k->cpu->all)
			follow(k, level, old, rights, min(oldest, e->old[i].until));
	}
}

int ref_walk(struct reference *ref, struct ref_cpu *cpu, gva_t gva, u32 access,
	     struct ref_outcome *out, struct ref_path *path)
{
	struct walk k = { .ref = ref, .cpu = cpu, .gva = gva, .access = access, .out = out,
			  .path = path };
	const u64 all = PT_W | PT_U;
	u64 pdpte;

	path->n = 0;
	if (!(cpu->vcpu->cr0 & CR0_PG)) {
		out->gpa = (u32)gva;
		out->outcome = !ref_memory(ref, (u32)gva) ||
			       ((access & PFEC_W) && ref->readonly[(u32)gva >> 12]) ?
			       WORLD_MMIO : WORLD_DONE;
		return 1;
	}
	if (cpu->mode != ref->mode && !ref_is_fresh(ref, cpu))
		return -1;
	switch (cpu->mode) {
	case WORLD_PAE:
		pdpte = cpu->pdptes[gva >> 30 & 3];
		if (pdpte & PT_P)
			descend(&k, 2, pdpte & 0xffffffffff000ull, all, ~0ull);
		else
			fault(&k, 0, ~0ull);
		break;
	case WORLD_32:
		descend(&k, 2, cpu->vcpu->cr3 & 0xfffff000ull, all, ~0ull);
		break;
	default:
		descend(&k, 4, cpu->vcpu->cr3 & 0xffffffffff000ull, all, ~0ull);
	}
	return k.n;
}

bool ref_load_pdptes(struct reference *ref, struct ref_cpu *cpu, u64 cr3)
{
	const u64 *table = ref_memory(ref, cr3 & 0xffffffe0ull);
	unsigned int i;

	for (i = 0; i < 4; i++)
		if ((table[i] & PT_P) &&
		    (table[i] & (0x1e6ull | ~((1ull << cpu->vcpu->maxphyaddr) - 1))))
			return false;
	memcpy(cpu->pdptes, table, sizeof(cpu->pdptes));
	return true;
}

const char *ref_tables_lie(struct reference *ref)
{
	unsigned int page, place;

	for (page = 0; page < 48; page++) {
		for (place = 0; place < REF_PLACES && ref_table(page) >= 0; place++) {
			u64 value = ref->entries[ref_table(page)][place].value, now;
			unsigned int at = ref_index(place) * ref_entry_bytes(ref);

			if (at >= 4096)
				continue;
			now = ref_entry_bytes(ref) == 4 ? *(u32 *)(ref->w->page[page] + at) :
							  *(u64 *)(ref->w->page[page] + at);
			if (((now ^ value) & ~(PT_A | PT_D)) || (value & ~now))
				return "an entry holds what nobody wrote";
		}
	}
	return NULL;
}
