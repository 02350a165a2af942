// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page tables and memory.  A frame's number is the same to guest and monitor, so entries are written as
 * the guest gives them.  The shadow tables make it safe, as for any guest.  What is validated here is
 * what the interface promises: a guest that breaks its rules is told so.
 */
#include <linux/minmax.h>
#include <linux/string.h>
#include "internal.h"
#include "trace.h"
#include "x86/control.h"

/* The entry of a root that leads to the monitor's part. */
#define RESERVED_ENTRY	256u
#define TABLE_BITS	(PT_P | PT_W | PT_U | PT_A)
#define E820_RAM	1u

static bool frame_exists(const struct gondola_xen *xen, u64 frame)
{
	return frame < xen->config.frames;
}

static bool is_table(struct gondola_xen *xen, u64 frame)
{
	return xa_load(&xen->pins, frame);
}

bool xen_is_data(struct gondola_vm *vm, u64 frame)
{
	return frame < vm->xen->config.first_frame && !is_table(vm->xen, frame);
}

unsigned int xen_pinned_level(struct gondola_xen *xen, u64 frame)
{
	void *entry = xa_load(&xen->pins, frame);

	return entry ? xa_to_value(entry) : 0;
}

/* Why an entry of a pinned table of @level cannot be this; NULL: it can. */
static const char *wrong_entry(struct gondola_xen *xen, unsigned int level, u64 entry)
{
	u64 frame = (entry & PT_ADDR) >> GONDOLA_PAGE_SHIFT;

	if (!(entry & PT_P))
		return NULL;
	if (!frame_exists(xen, frame))
		return "no such frame";
	if (level > 1)
		return entry & PT_PS ? "a large page" : NULL;
	if (!(entry & PT_W))
		return NULL;
	/* Tables are written by hypercalls, and the monitor's pages not at all. */
	if (is_table(xen, frame))
		return "a page table, writable";
	if (frame >= xen->config.first_frame && frame != xen->config.shared_info && !xen_is_grants(xen, frame))
		return "a page of the monitor, writable";
	return NULL;
}

/* The entry at @at of a pinned table of @level is to be this; if it cannot be, that is traced. */
static bool may_map(struct gondola_vcpu *vcpu, unsigned int level, gpa_t at, u64 entry)
{
	const char *why = wrong_entry(vcpu->vm->xen, level, entry);

	if (unlikely(why))
		trace_gondola_xen_refused(vcpu->vm->id, vcpu->id, level, at, entry, why);
	return !why;
}

static s64 refuse_table(struct gondola_vcpu *vcpu, unsigned int level, u64 frame, const char *why)
{
	trace_gondola_xen_refused(vcpu->vm->id, vcpu->id, level, frame << GONDOLA_PAGE_SHIFT, 0, why);
	return -XEN_EINVAL;
}

/* ---- entries -------------------------------------------------------------------------------- */

static s64 write_entry(struct gondola_vcpu *vcpu, gpa_t at, u64 value, u64 keep)
{
	struct gondola_xen *xen = vcpu->vm->xen;
	unsigned int level = xen_pinned_level(xen, at >> GONDOLA_PAGE_SHIFT);

	if (at % sizeof(u64) || at >> GONDOLA_PAGE_SHIFT >= xen->config.first_frame)
		return -XEN_EINVAL;
	if (level && !may_map(vcpu, level, at, value))
		return -XEN_EINVAL;
	return xen_result(gondola_mmu_write_entry(vcpu, at, value, keep));
}

static s64 update_one(struct gondola_vcpu *vcpu, const void *entry)
{
	const struct xen_mmu_update *update = entry;
	gpa_t at = update->ptr & ~7ull;

	switch (update->ptr & 3) {
	case XEN_MMU_NORMAL:
		return write_entry(vcpu, at, update->value, 0);
	case XEN_MMU_KEEP_AD:
		return write_entry(vcpu, at, update->value, PT_A | PT_D);
	case XEN_MMU_MACHPHYS:
		/* The table of M2P is fixed: the guest can only say what it holds. */
		return frame_exists(vcpu->vm->xen, at >> GONDOLA_PAGE_SHIFT) ? 0 : -XEN_EINVAL;
	}
	return -XEN_ENOSYS;
}

/*
 * Do the entries of a list of @bytes each, until one fails, and tell the guest how many were done.
 * arg: list, count, where to tell it or 0, domain
 */
static s64 do_list(struct gondola_vcpu *vcpu, const u64 *arg, unsigned int bytes,
		   s64 (*one)(struct gondola_vcpu *vcpu, const void *entry))
{
	u32 *cursor = &vcpu->xen->nested;
	u64 entry[3];
	s64 r = 0, told = 0;

	if (arg[3] != XEN_DOMID_SELF)
		return -XEN_EPERM;
	if (arg[1] > XEN_MAX_LIST)
		return -XEN_EINVAL;
	for (; *cursor < arg[1]; ++*cursor) {
		r = xen_between_entries() ?: xen_copy_in(vcpu, entry, arg[0] + *cursor * bytes, bytes);
		if (!r)
			r = one(vcpu, entry);
		if (xen_stays(r))
			return r;
		if (r)
			break;
	}
	if (arg[2])
		told = xen_copy_out(vcpu, arg[2], cursor, sizeof(*cursor));
	return told ?: r;
}

s64 xen_mmu_update(struct gondola_vcpu *vcpu, const u64 *arg)
{
	return do_list(vcpu, arg, sizeof(struct xen_mmu_update), update_one);
}

/* Find the guest's entry of the smallest page for @gva.  0, XEN_AGAIN, or -XEN_EINVAL: there is none. */
static s64 find_entry(struct gondola_vcpu *vcpu, u64 gva, gpa_t *at)
{
	u64 table = vcpu->cr3 & PT_ADDR, entry;
	unsigned int level;
	int err;

	for (level = 4;; level--) {
		*at = table + (gva >> (12 + 9 * (level - 1)) & 511) * sizeof(u64);
		if (level == 1)
			return 0;
		err = gondola_gpa_read(vcpu, *at, &entry, sizeof(entry));
		if (err)
			return xen_result(err);
		if (!(entry & PT_P) || entry & PT_PS)
			return -XEN_EINVAL;
		table = entry & PT_ADDR;
	}
}

/* The other vCPUs drop what they know of the tables, too. */
static void flush_all(struct gondola_vcpu *vcpu)
{
	gondola_mmu_flush_guest(vcpu);
	gondola_mmu_flush_others(vcpu);
}

static void flush(struct gondola_vcpu *vcpu, u64 kind, u64 gva, bool everywhere)
{
	if (kind != XEN_UVM_FLUSH && kind != XEN_UVM_INVLPG)
		return;
	if (everywhere)
		flush_all(vcpu);
	else if (kind == XEN_UVM_INVLPG)
		gondola_mmu_invlpg(vcpu, gva);
	else
		gondola_mmu_flush_guest(vcpu);
}

/* arg: address, entry, flags: how to flush, and whose translations */
s64 xen_update_va_mapping(struct gondola_vcpu *vcpu, const u64 *arg)
{
	gpa_t at;
	s64 r = find_entry(vcpu, arg[0], &at);

	if (!r)
		r = write_entry(vcpu, at, arg[1], 0);
	if (!r)
		flush(vcpu, arg[2] & XEN_UVM_KIND, arg[0], arg[2] & ~(u64)XEN_UVM_KIND);
	return r;
}

/* ---- tables ----------------------------------------------------------------------------------- */

int xen_complete_root(struct gondola_vcpu *vcpu, gfn_t root)
{
	gpa_t at = (root << GONDOLA_PAGE_SHIFT) + RESERVED_ENTRY * sizeof(u64);
	u64 entry = (vcpu->vm->xen->config.table << GONDOLA_PAGE_SHIFT) | TABLE_BITS, now;
	int err;

	if (!frame_exists(vcpu->vm->xen, root))
		return -EINVAL;
	err = gondola_gpa_read(vcpu, at, &now, sizeof(now));
	if (!err && now != entry)
		err = gondola_mmu_write_entry(vcpu, at, entry, 0);
	return err && err != -EAGAIN ? -EINVAL : err;
}

int xen_note_pin(struct gondola_xen *xen, u64 frame, unsigned int level)
{
	void *old;

	/* The saved state has all of them. */
	if (atomic_read(&xen->nr_pins) >= XEN_MAX_PINS)
		return -ENOSPC;
	old = xa_store(&xen->pins, frame, xa_mk_value(level), GFP_KERNEL_ACCOUNT);
	if (!old)
		atomic_inc(&xen->nr_pins);
	return xa_err(old);
}

static s64 pin(struct gondola_vcpu *vcpu, u64 frame, unsigned int level)
{
	struct gondola_xen *xen = vcpu->vm->xen;
	gpa_t table = frame << GONDOLA_PAGE_SHIFT;
	u64 entries[64];
	unsigned int i, j;
	int err;

	if (!xen_is_data(vcpu->vm, frame))
		return refuse_table(vcpu, level, frame, "pinned, or the monitor's");
	for (i = 0; i < GONDOLA_PAGE_SIZE; i += sizeof(entries)) {
		err = gondola_gpa_read(vcpu, table + i, entries, sizeof(entries));
		if (err)
			return xen_result(err);
		for (j = 0; j < ARRAY_SIZE(entries); j++)
			if (!may_map(vcpu, level, table + i + j * sizeof(u64), entries[j]))
				return -XEN_EINVAL;
	}
	if (level == 4) {
		err = xen_complete_root(vcpu, frame);
		if (err)
			return xen_result(err);
	}
	return xen_note_pin(xen, frame, level) ? -XEN_ENOSPC : 0;
}

static s64 unpin(struct gondola_vcpu *vcpu, u64 frame)
{
	struct gondola_xen *xen = vcpu->vm->xen;

	if (!xa_erase(&xen->pins, frame))
		return -XEN_EINVAL;
	atomic_dec(&xen->nr_pins);
	return 0;
}

static s64 new_base(struct gondola_vcpu *vcpu, u64 frame)
{
	int err;

	if (xen_pinned_level(vcpu->vm->xen, frame) != 4)
		return refuse_table(vcpu, 4, frame, "no pinned root");
	err = xen_complete_root(vcpu, frame);
	if (err)
		return xen_result(err);
	vcpu->cr3 = frame << GONDOLA_PAGE_SHIFT;
	gondola_mmu_cr3_written(vcpu, true);
	return 0;
}

/* Frame 0: no program runs until there is another. */
static s64 new_user_base(struct gondola_vcpu *vcpu, u64 frame)
{
	int err;

	if (frame && xen_pinned_level(vcpu->vm->xen, frame) != 4)
		return refuse_table(vcpu, 4, frame, "no pinned root");
	err = frame ? xen_complete_root(vcpu, frame) : 0;
	if (err)
		return xen_result(err);
	vcpu->xen->user_cr3 = frame << GONDOLA_PAGE_SHIFT;
	vcpu->xen->user_changed = true;
	return 0;
}

static s64 extended(struct gondola_vcpu *vcpu, const void *entry)
{
	const struct xen_mmuext *ext = entry;

	switch (ext->op) {
	case XEN_PIN_L1:
	case XEN_PIN_L2:
	case XEN_PIN_L3:
	case XEN_PIN_L4:
		return pin(vcpu, ext->arg1, ext->op - XEN_PIN_L1 + 1);
	case XEN_UNPIN:
		return unpin(vcpu, ext->arg1);
	case XEN_NEW_BASE:
		return new_base(vcpu, ext->arg1);
	case XEN_NEW_USER_BASE:
		return new_user_base(vcpu, ext->arg1);
	case XEN_FLUSH_LOCAL:
		gondola_mmu_flush_guest(vcpu);
		return 0;
	case XEN_INVLPG_LOCAL:
		gondola_mmu_invlpg(vcpu, ext->arg1);
		return 0;
	case XEN_FLUSH_MULTI:
	case XEN_INVLPG_MULTI:
	case XEN_FLUSH_ALL:
	case XEN_INVLPG_ALL:
		flush_all(vcpu);
		return 0;
	case XEN_FLUSH_CACHE:
		return 0;	/* no device bypasses the caches */
	case XEN_SET_LDT:
		return (u32)ext->arg2 ? -XEN_ENOSYS : 0;
	}
	return -XEN_ENOSYS;
}

s64 xen_mmuext_op(struct gondola_vcpu *vcpu, const u64 *arg)
{
	return do_list(vcpu, arg, sizeof(struct xen_mmuext), extended);
}

bool gondola_xen_writes_table(struct gondola_vcpu *vcpu, gpa_t gpa)
{
	return vcpu->xen->in_kernel &&
	       xen_pinned_level(vcpu->vm->xen, gpa >> GONDOLA_PAGE_SHIFT) == 1;
}

int gondola_xen_may_write(struct gondola_vcpu *vcpu, gpa_t gpa, const void *buf, unsigned int bytes)
{
	unsigned int part = gpa % sizeof(u64), n;
	u64 entry;
	int err;

	if (!gondola_xen_writes_table(vcpu, gpa) || (part + bytes > sizeof(u64) && (part || bytes % sizeof(u64))))
		return 0;
	for (gpa -= part; bytes; gpa += sizeof(u64), buf += n, bytes -= n) {
		n = min_t(unsigned int, bytes, sizeof(u64));
		err = n < sizeof(u64) ? gondola_gpa_read(vcpu, gpa, &entry, sizeof(entry)) : 0;
		if (err)
			return err == -EAGAIN ? err : 0;
		memcpy((void *)&entry + part, buf, n);
		if (!may_map(vcpu, 1, gpa, entry))
			return 0;
	}
	return 1;
}

/* ---- memory ------------------------------------------------------------------------------------- */

static s64 memory_map(struct gondola_vcpu *vcpu, u64 at)
{
	const struct xen_e820 ram = {
		.bytes = vcpu->vm->xen->config.pages << GONDOLA_PAGE_SHIFT, .type = E820_RAM,
	};
	struct xen_memory_map map;
	s64 r = xen_copy_in(vcpu, &map, at, sizeof(map));

	if (!r && !map.count)
		return -XEN_EINVAL;
	if (!r)
		r = xen_copy_out(vcpu, map.entries, &ram, sizeof(ram));
	map.count = 1;
	return r ?: xen_copy_out(vcpu, at, &map, sizeof(map));
}

/* arg: what, argument */
s64 xen_memory_op(struct gondola_vcpu *vcpu, const u64 *arg)
{
	const struct gondola_xen_config *config = &vcpu->vm->xen->config;
	const struct xen_m2p m2p = {
		.start = XEN_M2P_START,
		.end = XEN_M2P_START + config->frames * sizeof(u64),
		.max_frame = config->frames - 1,
	};

	switch (arg[0]) {
	case XEN_MEMORY_MAX_RAM:
		return config->frames - 1;
	case XEN_MEMORY_CURRENT:
	case XEN_MEMORY_MAXIMUM:
		return config->pages;
	case XEN_MEMORY_MAP:
		return memory_map(vcpu, arg[1]);
	case XEN_MEMORY_M2P:
		return xen_copy_out(vcpu, arg[1], &m2p, sizeof(m2p));
	}
	return -XEN_ENOSYS;
}
