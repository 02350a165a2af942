// SPDX-License-Identifier: GPL-2.0-only
/*
 * The processor's walk of the shadow tables, and its TLB.  The TLB drops only what it is told to
 * drop: a missing flush shows here as it does on hardware.
 */
#include <linux/mm.h>
#include "interp.h"

#define ENTRIES		512u

static void flush_data(struct interp_vcpu *ip, unsigned int user, unsigned int i)
{
	ip->tlb[user][i].read = GONDOLA_TLB_NONE;
	ip->tlb[user][i].write = GONDOLA_TLB_NONE;
}

static void note_filled(struct interp_vcpu *ip, gva_t page)
{
	if (ip->nr_filled < INTERP_FEW)
		ip->filled[ip->nr_filled] = page;
	/* One more says that there are others. */
	ip->nr_filled = min(ip->nr_filled + 1, INTERP_FEW + 1);
}

void interp_flush(struct interp_vcpu *ip)
{
	unsigned int i, user, filled = ip->nr_filled;

	ip->nr_filled = 0;
	/* A guest whose code the processor runs flushes often what has hardly been used. */
	if (filled <= INTERP_FEW) {
		for (i = 0; i < filled; i++)
			interp_flush_page(ip, ip->filled[i]);
		return;
	}
	for (user = 0; user < 2; user++) {
		for (i = 0; i < GONDOLA_TLB_ENTRIES; i++)
			flush_data(ip, user, i);
		for (i = 0; i < INTERP_CODE_PAGES; i++)
			ip->code[user][i].page = GONDOLA_TLB_NONE;
	}
}

void interp_flush_page(struct interp_vcpu *ip, gva_t gva)
{
	gva_t n = gva >> GONDOLA_PAGE_SHIFT;
	unsigned int user;

	for (user = 0; user < 2; user++) {
		flush_data(ip, user, n % GONDOLA_TLB_ENTRIES);
		ip->code[user][n % INTERP_CODE_PAGES].page = GONDOLA_TLB_NONE;
	}
}

/* The rights over all levels: PT_W, PT_U, and PT_NX if execution is denied; PT_D if the leaf has it. */
struct leaf {
	u64 frame;
	u64 rights;
};

/* Shadow paging always runs with CR0.WP set. */
static bool permitted(const struct gondola_vcpu *vcpu, u64 rights, u32 access)
{
	if ((access & PFEC_W) && !(rights & PT_W))
		return false;
	if ((access & PFEC_I) && (rights & PT_NX))
		return false;
	if (access & PFEC_U)
		return rights & PT_U;
	/* The identity shadow of an unpaged guest consists of user pages. */
	if (!(rights & PT_U) || !gondola_paging(vcpu))
		return true;
	if (access & PFEC_I)
		return !(vcpu->cr4 & CR4_SMEP);
	return !(vcpu->cr4 & CR4_SMAP) || (vcpu->regs.rflags & RFL_AC);
}

/* Others change entries meanwhile: set only @bits, and only if the entry is unchanged. */
static bool set_bits(u64 *entry, u64 *value, u64 bits)
{
	u64 old = *value;

	if ((old & bits) == bits)
		return true;
	*value = old | bits;
	return cmpxchg64(entry, old, *value) == old;
}

/*
 * False: an entry changed during the walk.  @out->frame 0: no such page, or none that allows
 * @access.
 */
static bool try_walk(struct gondola_vcpu *vcpu, gva_t la, u32 access, struct leaf *out, u32 *error)
{
	bool long_mode = gondola_long_mode(vcpu);
	u64 *table = __va(vcpu->hw_root), *entry, value;
	unsigned int level = 4;

	out->frame = 0;
	out->rights = PT_W | PT_U;
	*error = access;
	if (!long_mode) {
		value = READ_ONCE(table[(la >> 30) & 3]);
		if (!(value & PT_P))
			return true;
		table = __va(value & PT_ADDR);
		level = 2;
	}
	for (;; level--) {
		entry = &table[(la >> (12 + 9 * (level - 1))) % ENTRIES];
		value = READ_ONCE(*entry);
		if (!(value & PT_P))
			return true;
		out->rights = (out->rights & (value | PT_NX)) | (value & PT_NX);
		if (level == 1)
			break;
		if (!set_bits(entry, &value, PT_A))
			return false;
		table = __va(value & PT_ADDR);
	}
	*error |= PFEC_P;
	if (!permitted(vcpu, out->rights, access))
		return true;
	if (!set_bits(entry, &value, access & PFEC_W ? PT_A | PT_D : PT_A))
		return false;
	out->rights |= value & PT_D;
	out->frame = value & PT_ADDR;
	return true;
}

static u8 *walk(struct interp_vcpu *ip, gva_t la, u32 access, struct leaf *leaf)
{
	u32 error;

	while (!try_walk(ip->vcpu, la, access, leaf, &error))
		;
	if (likely(leaf->frame))
		return __va(leaf->frame);
	/* A fault drops the translation for its address, as on hardware. */
	interp_flush_page(ip, la);
	interp_leave(ip, GONDOLA_REASON_PAGE_FAULT);
	ip->exit.pf.gva = la;
	ip->exit.pf.error = error;
	return NULL;
}

u8 *interp_translate(struct interp_vcpu *ip, gva_t la, u32 access)
{
	gva_t page = la & GONDOLA_PAGE_MASK;
	unsigned int user = !!(access & PFEC_U);
	struct gondola_tlb_entry *entry;
	struct leaf leaf;
	u8 *host;

	entry = &ip->tlb[user][(la >> GONDOLA_PAGE_SHIFT) % GONDOLA_TLB_ENTRIES];
	if ((access & PFEC_W ? entry->write : entry->read) == page)
		return entry->host + (la - page);
	host = walk(ip, la, access, &leaf);
	if (unlikely(!host))
		return NULL;
	/* Whether a supervisor may access a user page depends on RFLAGS.AC: check each time. */
	if (user || !(leaf.rights & PT_U) || !(ip->vcpu->cr4 & CR4_SMAP)) {
		/* The first write must walk, to set D in the entry. */
		bool write = (leaf.rights & (PT_W | PT_D)) == (PT_W | PT_D);

		note_filled(ip, page);
		entry->read = page;
		entry->write = write ? page : GONDOLA_TLB_NONE;
		entry->host = host;
	}
	return host + (la - page);
}

const u8 *interp_find_code(struct interp_vcpu *ip, gva_t la, struct interp_code_page *entry)
{
	gva_t page = la & GONDOLA_PAGE_MASK;
	struct leaf leaf;
	const u8 *host;

	host = walk(ip, la, PFEC_I | (ip->emul.cpl == 3 ? PFEC_U : 0), &leaf);
	if (!host)
		return NULL;
	note_filled(ip, page);
	entry->page = page;
	entry->host = host;
	return host + (la - page);
}
