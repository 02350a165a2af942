// SPDX-License-Identifier: GPL-2.0-only
/* The random test's control registers: bits that the walk reads, others, and changes of mode. */
#include "host.h"
#include "random_test.h"

/* Two sets of directory pointers, for PAE where the tables are none of PAE's. */
#define FOREIGN_PDPTES	0x7000u

/* The processor's paging, by its registers. */
static void note_mode(struct random_state *s)
{
	const struct gondola_vcpu *vcpu = s->cpu->vcpu;

	s->cpu->mode = !(vcpu->cr0 & CR0_PG) ? WORLD_UNPAGED :
		       vcpu->efer & EFER_F_LME ? WORLD_LONG :
		       vcpu->cr4 & CR4_PAE ? WORLD_PAE : WORLD_32;
}

static u64 random_root(struct random_state *s, enum world_mode mode)
{
	static const u32 pae_roots[] = { 0x2020, 0x1000, 0x2000 };
	static const u32 roots[] = { 0x1000, 0x2000, RANDOM_LATE_ROOT, RANDOM_OWN_ROOT };
	/* A walk in another mode sets A where directory pointers of PAE must not have it. */
	static const u32 foreign_roots[] = { RANDOM_FOREIGN_ROOT, FOREIGN_PDPTES, RANDOM_LATE_ROOT,
					     RANDOM_OWN_ROOT, 0x1000 };

	if (mode != s->ref.mode)
		return mode == WORLD_PAE ? FOREIGN_PDPTES + 0x20 * rnd(s, 2) :
		       foreign_roots[rnd(s, s->ref.mode == WORLD_PAE ? 4 : 5)];
	return mode == WORLD_PAE ? pae_roots[rnd(s, 3)] : roots[rnd(s, 4)];
}

static bool load_cr3(struct random_state *s, u64 cr3)
{
	struct gondola_vcpu *vcpu = s->cpu->vcpu;
	bool keep = rnd(s, 2), ok = true;
	int err;

	random_bring_all(s);
	if (vcpu->cr4 & CR4_PCIDE && cr3 == 0x2000)
		cr3 |= 1;
	keep &= !!(vcpu->cr4 & CR4_PCIDE);
	say(s, "CR3 = %llx%s", cr3, keep ? ", keeping translations" : "");
	if (s->cpu->mode == WORLD_PAE)
		ok = ref_load_pdptes(&s->ref, s->cpu, cr3);
	err = gondola_set_cr3(vcpu, cr3 | (keep ? CR3_NOFLUSH : 0));
	if (err != (ok ? 0 : -EINVAL))
		return random_failed(s, "CR3 = %llx gave %d", cr3, err);
	if (ok && !keep)
		ref_flush_space(&s->ref, s->cpu);
	return true;
}

bool random_cr3(struct random_state *s)
{
	return load_cr3(s, random_root(s, s->cpu->mode));
}

/* PAE's directory pointers are loaded where one of these changes; all translations go. */
#define RELOADING	(CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)

static bool write_cr4(struct random_state *s, u64 value)
{
	struct gondola_vcpu *vcpu = s->cpu->vcpu;
	u64 changed = vcpu->cr4 ^ value;
	bool ok = true;
	int err;

	random_bring_all(s);
	say(s, "CR4 = %llx", value);
	if (changed & value & CR4_PCIDE && vcpu->cr3 & CR3_PCID)
		ok = false;
	if (s->cpu->mode == WORLD_LONG ? !(value & CR4_PAE) : !!(value & CR4_PCIDE))
		ok = false;
	if (ok && changed & RELOADING && value & CR4_PAE &&
	    (s->cpu->mode == WORLD_32 || s->cpu->mode == WORLD_PAE))
		ok = ref_load_pdptes(&s->ref, s->cpu, vcpu->cr3);
	err = gondola_set_cr4(vcpu, value);
	if (err != (ok ? 0 : -EINVAL))
		return random_failed(s, "CR4 = %llx gave %d", value, err);
	if (ok && changed & (RELOADING | CR4_PCIDE))
		ref_flush_all(&s->ref, s->cpu);
	note_mode(s);
	return true;
}

/* A flush of all, global translations among them. */
bool random_flush(struct random_state *s)
{
	if (!s->setup->xen)
		return write_cr4(s, s->cpu->vcpu->cr4 ^ CR4_PGE);
	say(s, "a flush by a hypercall");
	gondola_mmu_flush_guest(s->cpu->vcpu);
	ref_flush_all(&s->ref, s->cpu);
	return true;
}

static bool write_cr0(struct random_state *s, u64 value)
{
	struct gondola_vcpu *vcpu = s->cpu->vcpu;
	u64 changed = vcpu->cr0 ^ value;
	bool ok = true;
	int err;

	random_bring_all(s);
	say(s, "CR0 = %llx", value);
	if (changed & (CR0_PG | CR0_CD) && value & CR0_PG && vcpu->cr4 & CR4_PAE &&
	    !(vcpu->efer & EFER_F_LME))
		ok = ref_load_pdptes(&s->ref, s->cpu, vcpu->cr3);
	if (changed & ~value & CR0_PG && vcpu->cr4 & CR4_PCIDE)
		ok = false;
	err = gondola_set_cr0(vcpu, value);
	if (err != (ok ? 0 : -EINVAL))
		return random_failed(s, "CR0 = %llx gave %d", value, err);
	if (ok && changed & CR0_PG)
		ref_flush_all(&s->ref, s->cpu);
	note_mode(s);
	return true;
}

/* One of the bits of @mask. */
static u64 one_of(struct random_state *s, u64 mask)
{
	u32 nth = rnd(s, hweight64(mask));

	while (nth--)
		mask &= mask - 1;
	return mask & -mask;
}

static bool write_efer(struct random_state *s, u64 value)
{
	u64 changed = value ^ s->cpu->vcpu->efer;
	bool ok = !(changed & EFER_F_LME) || s->cpu->mode == WORLD_UNPAGED;
	int err;

	say(s, "EFER = %llx", value);
	err = gondola_set_efer(s->cpu->vcpu, value);
	if (err != (ok ? 0 : -EINVAL))
		return random_failed(s, "EFER = %llx gave %d", value, err);
	if (ok && changed)
		ref_flush_all(&s->ref, s->cpu);
	return true;
}

/* Another CPUID: other bits of entries are reserved. */
static void change_cpuid(struct random_state *s)
{
	static const u8 widths[] = { 36, 40, 46 };
	struct gondola_vcpu *vcpu = s->cpu->vcpu;

	if (rnd(s, 2))
		vcpu->maxphyaddr = widths[rnd(s, 3)];
	else
		vcpu->mmu.gib_pages = rnd(s, 2);
	say(s, "%u address bits, pages of 1 GiB: %u", vcpu->maxphyaddr, vcpu->mmu.gib_pages);
	gondola_mmu_mode_changed(vcpu);
	gondola_mmu_flush_guest(vcpu);
	ref_flush_all(&s->ref, s->cpu);
}

/* Each input of the walk, and bits that are none: see union gondola_role. */
bool random_control_bits(struct random_state *s)
{
	struct gondola_vcpu *vcpu = s->cpu->vcpu;

	switch (rnd(s, 8)) {
	case 0 ... 1:
		return write_cr0(s, with(s, vcpu->cr0, CR0_WP));
	case 2:
		return write_cr0(s, with(s, vcpu->cr0, one_of(s, CR0_CD | CR0_AM | CR0_NE | CR0_TS)));
	case 3 ... 4:
		return write_cr4(s, with(s, vcpu->cr4, one_of(s, GONDOLA_ROLE_CR4 & ~CR4_PAE)));
	case 5:
		return write_cr4(s, with(s, vcpu->cr4, one_of(s, GONDOLA_LISTED_CR4 & ~CR4_PAE)));
	case 6:
		change_cpuid(s);
		return true;
	default:
		/* Both are refused where they would change the mode at once. */
		if (!rnd(s, 4))
			return s->cpu->mode == WORLD_UNPAGED ||
			       write_efer(s, vcpu->efer ^ EFER_F_LME);
		if (!rnd(s, 4))
			return s->cpu->mode != WORLD_LONG || write_cr4(s, vcpu->cr4 ^ CR4_PAE);
		return write_efer(s, with(s, vcpu->efer, EFER_F_NXE));
	}
}

/* Turns paging on; directory pointers that PAE refuses are replaced by valid ones. */
static bool turn_paging_on(struct random_state *s)
{
	struct gondola_vcpu *vcpu = s->cpu->vcpu;
	unsigned int i;

	if (!write_cr0(s, vcpu->cr0 | CR0_PG))
		return false;
	if (gondola_paging(vcpu))
		return true;
	for (i = 0; i < 2; i++)
		if (!random_edit(s, (vcpu->cr3 & ~0x1full) + 8 * i, RANDOM_FIRST_TABLE << 12 | PT_P))
			return false;
	return write_cr0(s, vcpu->cr0 | CR0_PG) &&
	       (gondola_paging(vcpu) || random_failed(s, "paging cannot be turned on"));
}

/* Paging off, a look, and on again. */
bool random_without_paging(struct random_state *s)
{
	struct gondola_vcpu *vcpu = s->cpu->vcpu;
	unsigned int i;

	if (!gondola_paging(vcpu))
		return true;
	if (!write_cr0(s, vcpu->cr0 & ~CR0_PG))
		return false;
	if (gondola_paging(vcpu))
		return true;
	for (i = 0; i < 3; i++)
		if (!random_probe(s))
			return false;
	return turn_paging_on(s);
}

/* ---- other modes ---- */

/* Those of a mode that is not the tables' are made anew: a walk in a third may have set A there. */
static bool make_foreign_pdptes(struct random_state *s)
{
	u64 pdptes[8];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pdptes); i++)
		pdptes[i] = (u64)(RANDOM_FIRST_TABLE + rnd(s, RANDOM_TABLES)) << 12 |
			    (rnd(s, 4) ? PT_P : 0);
	random_bring_all(s);
	/* Other processors in a foreign mode may remember what was there. */
	s->ref.edited = ++s->ref.clock;
	return !gondola_gpa_write(s->cpu->vcpu, FOREIGN_PDPTES, pdptes, sizeof(pdptes)) ||
	       random_failed(s, "gpa_write of directory pointers");
}

/* As software does: paging off, the other mode's bits, CR3. */
static bool prepare_mode(struct random_state *s, enum world_mode mode, u64 cr3)
{
	struct gondola_vcpu *vcpu = s->cpu->vcpu;
	bool lme = mode == WORLD_LONG, pae = mode == WORLD_LONG || mode == WORLD_PAE;

	return write_cr4(s, vcpu->cr4 & ~CR4_PCIDE) && write_cr0(s, vcpu->cr0 & ~CR0_PG) &&
	       write_efer(s, lme ? vcpu->efer | EFER_F_LME : vcpu->efer & ~EFER_F_LME) &&
	       write_cr4(s, pae ? vcpu->cr4 | CR4_PAE : vcpu->cr4 & ~CR4_PAE) && load_cr3(s, cr3);
}

bool random_go_home(struct random_state *s)
{
	say(s, "back to the mode of the tables");
	if (!prepare_mode(s, s->ref.mode, 0x1000))
		return false;
	return s->ref.mode == WORLD_UNPAGED || turn_paging_on(s);
}

bool random_go_abroad(struct random_state *s)
{
	static const enum world_mode modes[] = { WORLD_32, WORLD_PAE, WORLD_LONG };
	enum world_mode mode = modes[rnd(s, 3)], now = s->cpu->mode;
	struct gondola_vcpu *vcpu = s->cpu->vcpu;
	u64 cr3 = random_root(s, mode);

	if (mode == s->ref.mode)
		return true;
	if (!make_foreign_pdptes(s))
		return false;
	if ((now == WORLD_32 || now == WORLD_PAE) && mode != WORLD_LONG && mode != now && rnd(s, 2)) {
		/* CR4.PAE alone, below a CR3 that serves both. */
		if (!load_cr3(s, FOREIGN_PDPTES) || !write_cr4(s, vcpu->cr4 ^ CR4_PAE))
			return false;
	} else if (!prepare_mode(s, mode, cr3) || !write_cr0(s, vcpu->cr0 | CR0_PG)) {
		return false;
	}
	/* Refused directory pointers. */
	return s->cpu->mode == mode || random_go_home(s);
}
