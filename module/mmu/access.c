// SPDX-License-Identifier: GPL-2.0-only
/* Access to guest memory for emulated instructions, and by guest-physical address. */
#include <linux/string.h>
#include "internal.h"

/* Access memory at a known address, with the lock held. */
typedef bool (*access_fn)(void *data, void *arg, unsigned int bytes);

static bool do_read(void *data, void *arg, unsigned int bytes)
{
	switch (bytes) {
	case 8:
		*(u64 *)arg = READ_ONCE(*(u64 *)data);
		break;
	case 4:
		*(u32 *)arg = READ_ONCE(*(u32 *)data);
		break;
	default:
		memcpy(arg, data, bytes);
	}
	return false;
}

static bool do_write(void *data, void *arg, unsigned int bytes)
{
	/* Write an entry of a table in one piece, since another vCPU may be walking the table. */
	switch (bytes) {
	case 8:
		WRITE_ONCE(*(u64 *)data, *(u64 *)arg);
		break;
	case 4:
		WRITE_ONCE(*(u32 *)data, *(u32 *)arg);
		break;
	default:
		memcpy(data, arg, bytes);
	}
	return true;
}

struct exchange {
	void *old;
	const void *new;
};

#define EXCHANGE(type)								\
({										\
	type want = *(type *)x->old;						\
	type was = cmpxchg((type *)data, want, *(const type *)x->new);		\
	*(type *)x->old = was;							\
	was == want;								\
})

static bool exchange16(u64 *data, u64 *old, const u64 *new)
{
	bool done;

	asm volatile("lock cmpxchg16b %1"
		     : "=@ccz" (done), "+m" (*(unsigned __int128 *)data),
		       "+a" (old[0]), "+d" (old[1])
		     : "b" (new[0]), "c" (new[1]) : "memory");
	return done;
}

static bool do_exchange(void *data, void *arg, unsigned int bytes)
{
	struct exchange *x = arg;

	switch (bytes) {
	case 1:
		return EXCHANGE(u8);
	case 2:
		return EXCHANGE(u16);
	case 4:
		return EXCHANGE(u32);
	case 8:
		return EXCHANGE(u64);
	default:
		return exchange16(data, x->old, x->new);
	}
}

/* A function of its own, so that translate() does not need this room on the stack. */
static noinline enum mmu_walk_result translate_by_walk(struct gondola_vcpu *vcpu, gva_t gva,
						       u32 access, struct gondola_access *out,
						       struct missing *missing)
{
	enum mmu_walk_result result;
	struct mmu_walk w;

	result = mmu_walk(vcpu, gva, access, &w);
	out->error = w.error;
	out->gpa = w.gfn << GONDOLA_PAGE_SHIFT | (gva & ~GONDOLA_PAGE_MASK);
	if (result == WALK_MISSING)
		*missing = w.missing;
	return result;
}

/* Translate by the shadow if possible, else by a walk.  Sets gpa and error of @out. */
static enum mmu_walk_result translate(struct gondola_vcpu *vcpu, gva_t gva, u32 access,
				      struct gondola_access *out, struct missing *missing)
{
	enum mmu_walk_result result;
	struct mmu_place at;

	if (!gondola_paging(vcpu)) {
		out->gpa = (u32)gva;
		return WALK_OK;
	}
	result = mmu_root_is_gone(vcpu) ? WALK_MISSING : mmu_lookup(vcpu, gva, access, &at);
	if (unlikely(result == WALK_MISSING))
		return translate_by_walk(vcpu, gva, access, out, missing);
	out->gpa = at.gpa;
	out->error = at.error;
	return result;
}

static enum gondola_access_result access_locked(struct gondola_vcpu *vcpu, gva_t gva,
						access_fn fn, void *arg, unsigned int bytes,
						u32 access, struct gondola_access *out,
						struct missing *missing)
{
	struct gondola_vm *vm = vcpu->vm;
	bool write = access & PFEC_W;
	struct gondola_frame *frame;
	struct gondola_slot *slot;
	gfn_t gfn;

	switch (translate(vcpu, gva, access, out, missing)) {
	case WALK_OK:
		break;
	case WALK_FAULT:
		return GONDOLA_ACCESS_FAULT;
	case WALK_MISSING:
		return GONDOLA_ACCESS_MEMORY;
	}
	gfn = out->gpa >> GONDOLA_PAGE_SHIFT;
	slot = mmu_find_slot(vm, gfn);
	if (!slot || (write && (slot->flags & GONDOLA_MEM_READONLY)))
		return GONDOLA_ACCESS_MMIO;
	if (!fn)
		return GONDOLA_ACCESS_OK;
	frame = mmu_frame_in(slot, gfn);
	if (!(frame->host & FRAME_PRESENT) || (write && !(frame->host & FRAME_WRITABLE))) {
		*missing = (struct missing){ gfn, write };
		return GONDOLA_ACCESS_MEMORY;
	}
	if (fn(frame_data(frame) + (gva & ~GONDOLA_PAGE_MASK), arg, bytes)) {
		mmu_mark_page_dirty(vm, vcpu, slot, gfn, GONDOLA_DIRTY_VCPU);
		if (frame->nr_tables)
			mmu_table_written(vcpu, gfn, gva & ~GONDOLA_PAGE_MASK, bytes);
	}
	return GONDOLA_ACCESS_OK;
}

static enum gondola_access_result access(struct gondola_vcpu *vcpu, gva_t gva, access_fn fn,
					 void *arg, unsigned int bytes, u32 access,
					 struct gondola_access *out)
{
	enum gondola_access_result result;
	struct missing missing;
	int err;

	for (;;) {
		/* A write to a table may need objects for links. */
		if ((access & PFEC_W) && unlikely(mmu_cache_fill(vcpu)))
			return GONDOLA_ACCESS_ERROR;
		mmu_lock(vcpu->vm);
		result = access_locked(vcpu, gva, fn, arg, bytes, access, out, &missing);
		mmu_unlock(vcpu->vm);
		if (result != GONDOLA_ACCESS_MEMORY)
			return result;
		err = mmu_fault_in(vcpu, missing);
		if (err)
			return err == -EAGAIN ? GONDOLA_ACCESS_MEMORY : GONDOLA_ACCESS_ERROR;
	}
}

enum gondola_access_result gondola_mmu_access(struct gondola_vcpu *vcpu, gva_t gva, void *buf,
					      unsigned int bytes, u32 error,
					      struct gondola_access *out)
{
	return access(vcpu, gva, error & PFEC_W ? do_write : do_read, buf, bytes, error, out);
}

enum gondola_access_result gondola_mmu_cmpxchg(struct gondola_vcpu *vcpu, gva_t gva, void *old,
					       const void *new, unsigned int bytes, u32 error,
					       struct gondola_access *out)
{
	struct exchange x = { .old = old, .new = new };

	return access(vcpu, gva, do_exchange, &x, bytes, error | PFEC_W, out);
}

enum gondola_access_result gondola_mmu_translate(struct gondola_vcpu *vcpu, gva_t gva, u32 error,
						 struct gondola_access *out)
{
	return access(vcpu, gva, NULL, NULL, 0, error, out);
}

static int gpa_access(struct gondola_vcpu *vcpu, gpa_t gpa, void *buf, unsigned int bytes,
		      bool write)
{
	struct gondola_vm *vm = vcpu->vm;
	gfn_t gfn = gpa >> GONDOLA_PAGE_SHIFT;
	unsigned int offset = gpa & ~GONDOLA_PAGE_MASK;
	int err;

	for (;;) {
		struct gondola_slot *slot;
		struct gondola_frame *frame;

		mmu_lock(vm);
		slot = mmu_find_slot(vm, gfn);
		if (!slot || (write && (slot->flags & GONDOLA_MEM_READONLY))) {
			mmu_unlock(vm);
			return -ENXIO;
		}
		frame = mmu_frame_in(slot, gfn);
		if ((frame->host & FRAME_PRESENT) && (!write || (frame->host & FRAME_WRITABLE))) {
			if (write) {
				memcpy(frame_data(frame) + offset, buf, bytes);
				mmu_mark_page_dirty(vm, NULL, slot, gfn, GONDOLA_DIRTY_HOST);
				if (frame->nr_tables)
					mmu_zap_tables(vm, gfn);
			} else {
				memcpy(buf, frame_data(frame) + offset, bytes);
			}
			mmu_unlock(vm);
			return 0;
		}
		mmu_unlock(vm);
		err = mmu_fault_in(vcpu, (struct missing){ gfn, write });
		if (err)
			return err;
	}
}

static int gpa_access_all(struct gondola_vcpu *vcpu, gpa_t gpa, void *buf, unsigned int bytes,
			  bool write)
{
	while (bytes) {
		unsigned int n = min_t(unsigned int, bytes,
				       GONDOLA_PAGE_SIZE - (gpa & ~GONDOLA_PAGE_MASK));
		int err = gpa_access(vcpu, gpa, buf, n, write);

		if (err)
			return err;
		gpa += n;
		buf += n;
		bytes -= n;
	}
	return 0;
}

int gondola_gpa_read(struct gondola_vcpu *vcpu, gpa_t gpa, void *buf, unsigned int bytes)
{
	return gpa_access_all(vcpu, gpa, buf, bytes, false);
}

int gondola_gpa_write(struct gondola_vcpu *vcpu, gpa_t gpa, const void *buf, unsigned int bytes)
{
	return gpa_access_all(vcpu, gpa, (void *)buf, bytes, true);
}
