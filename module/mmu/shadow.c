// SPDX-License-Identifier: GPL-2.0-only
/* Shadow pages: their life, the hash table by (gfn, role), and their bound. */
#include <linux/slab.h>
#include <linux/string.h>
#include "host.h"
#include "internal.h"

/* The most pages zapped in one hold of the lock: each may have 512 entries in full bags. */
#define REAP_BATCH	16
#define EVICT_BATCH	32u

static struct kmem_cache *page_cache;
static atomic_long_t pages_total = ATOMIC_LONG_INIT(0);

long gondola_mmu_pages_total(void)
{
	return atomic_long_read(&pages_total);
}

struct gondola_shadow_page *mmu_page_alloc(gfp_t gfp, bool pae_root)
{
	struct gondola_shadow_page *sp = kmem_cache_zalloc(page_cache, gfp);

	if (!sp)
		return NULL;
	/* Outside long mode CR3 has 32 bits.  The pages to which a PAE root points may be anywhere. */
	sp->spt = (u64 *)__get_free_page(pae_root ? gfp | GFP_DMA32 : gfp);
	sp->gpt = (u64 *)__get_free_page(gfp);
	if (!sp->spt || !sp->gpt) {
		free_page((unsigned long)sp->spt);
		free_page((unsigned long)sp->gpt);
		kmem_cache_free(page_cache, sp);
		return NULL;
	}
	set_page_private(virt_to_page(sp->spt), (unsigned long)sp);
	atomic_long_inc(&pages_total);
	return sp;
}

void mmu_page_free(struct gondola_shadow_page *sp)
{
	set_page_private(virt_to_page(sp->spt), 0);
	free_page((unsigned long)sp->spt);
	free_page((unsigned long)sp->gpt);
	kmem_cache_free(page_cache, sp);
	atomic_long_dec(&pages_total);
}

/* For all VMs since the module was loaded; written with a VM's lock held and preemption off. */
static DEFINE_PER_CPU(struct gondola_lock_stats, lock_stats);

static noinline void lock_waiting(struct gondola_vm *vm) __acquires(&vm->mmu.lock)
{
	cycles_t begin = get_cycles();

	spin_lock(&vm->mmu.lock);
	__this_cpu_inc(lock_stats.waited);
	__this_cpu_add(lock_stats.cycles, get_cycles() - begin);
}

void mmu_lock(struct gondola_vm *vm) __acquires(&vm->mmu.lock)
{
	if (unlikely(!spin_trylock(&vm->mmu.lock)))
		lock_waiting(vm);
	mmu_steps_begin();
	__this_cpu_inc(lock_stats.taken);
}

void gondola_mmu_lock_stats(struct gondola_lock_stats *sum)
{
	const struct gondola_lock_stats *stats;
	int cpu;

	memset(sum, 0, sizeof(*sum));
	for_each_possible_cpu(cpu) {
		stats = per_cpu_ptr(&lock_stats, cpu);
		sum->taken += READ_ONCE(stats->taken);
		sum->waited += READ_ONCE(stats->waited);
		sum->cycles += READ_ONCE(stats->cycles);
	}
}

bool mmu_broken(struct gondola_vm *vm, const char *what)
{
	lockdep_assert_held(&vm->mmu.lock);
	WRITE_ONCE(vm->dead, true);
	/* All vCPUs come out of the guest. */
	vm->mmu.flush_due = true;
	WARN_ONCE(!mmu_audit_quiet, "gondola: VM %u is dead: %s\n", vm->id, what);
	return true;
}

/* No entry points to them any more, and no processor walks them. */
void mmu_free_doomed(struct gondola_vm *vm)
{
	struct gondola_shadow_page *sp, *next;

	list_for_each_entry_safe(sp, next, &vm->mmu.doomed, link)
		mmu_page_free(sp);
	INIT_LIST_HEAD(&vm->mmu.doomed);
}

static bool superfluous(const struct gondola_vm *vm, const struct gondola_shadow_page *sp)
{
	return sp->orphan || sp->generation != vm->mmu.generation;
}

/* Free a few only: later holders of the lock free the rest. */
static void reap(struct gondola_vm *vm)
{
	struct gondola_shadow_page *sp;
	unsigned int n;

	for (n = 0; n < REAP_BATCH && !list_empty(&vm->mmu.pages); n++) {
		sp = list_last_entry(&vm->mmu.pages, struct gondola_shadow_page, link);
		if (!superfluous(vm, sp))
			break;
		shadow_zap(vm, sp);
	}
	vm->mmu.reap_due = n == REAP_BATCH;
}

/* Do the work that is left to the end of the hold. */
static noinline void clean_up(struct gondola_vm *vm)
{
	if (vm->mmu.reap_due)
		reap(vm);
	if (!list_empty(&vm->mmu.doomed) || vm->mmu.flush_due) {
		/* No processor may still walk the pages that are freed. */
		mmu_flush_all(vm);
		if (likely(!vm->dead))
			mmu_free_doomed(vm);
	}
}

void mmu_unlock(struct gondola_vm *vm) __releases(&vm->mmu.lock)
{
	if (unlikely(vm->mmu.reap_due || vm->mmu.flush_due || !list_empty(&vm->mmu.doomed)))
		clean_up(vm);
	mmu_steps_end();
	spin_unlock(&vm->mmu.lock);
	mmu_host_unlocked(vm);
}

void mmu_flush_all(struct gondola_vm *vm)
{
	lockdep_assert_held(&vm->mmu.lock);
	vm->mmu.stale_tlb = false;
	vm->mmu.flush_due = false;
	gondola_kick_all_and_wait(vm, GONDOLA_REQ_TLB_FLUSH);
}

struct gondola_shadow_page *shadow_find(struct gondola_vm *vm, gfn_t gfn,
					union gondola_role role)
{
	struct gondola_shadow_page *sp;

	hlist_for_each_entry(sp, mmu_hash_bucket(vm, gfn), hash_link) {
		mmu_step(1);
		if (sp->gfn == gfn && sp->role.word == role.word &&
		    sp->generation == vm->mmu.generation)
			return sp;
	}
	return NULL;
}

bool mmu_write_protect(struct gondola_vm *vm, gfn_t gfn, struct gondola_frame *frame)
{
	bool written, any = rmap_write_protect(frame->rmap, &written);

	if (unlikely(written && frame->nr_tables > frame->nr_synced))
		mmu_touch_tables(vm, gfn);
	return any;
}

void mmu_protect_table(struct gondola_vm *vm, gfn_t gfn, struct gondola_frame *frame)
{
	bool first = frame->nr_synced == 0;
	bool flush = first && mmu_write_protect(vm, gfn, frame);

	frame->nr_synced++;
	if (flush || (first && vm->mmu.stale_tlb))
		mmu_flush_all(vm);
}

struct gondola_shadow_page *shadow_get(struct gondola_vcpu *vcpu, gfn_t gfn,
				       union gondola_role role)
{
	struct gondola_mmu_cache *cache = &vcpu->mmu.page_cache;
	struct gondola_vm *vm = vcpu->vm;
	struct gondola_shadow_page *sp;

	lockdep_assert_held(&vm->mmu.lock);
	sp = shadow_find(vm, gfn, role);
	if (sp)
		return sp;
	if (WARN_ON_ONCE(!cache->count))
		return NULL;
	if (!role.direct && !mmu_find_frame(vm, gfn))
		return NULL;
	sp = cache->objects[--cache->count];
	sp->gfn = gfn;
	sp->role = role;
	sp->generation = vm->mmu.generation;
	clear_page(sp->spt);
	clear_page(sp->gpt);
	if (!role.direct) {
		sp->frame = mmu_find_frame(vm, gfn);
		mmu_protect_table(vm, gfn, sp->frame);
		sp->frame->nr_tables++;
	}
	hlist_add_head(&sp->hash_link, mmu_hash_bucket(vm, gfn));
	list_add(&sp->link, &vm->mmu.pages);
	vm->mmu.nr_pages++;
	return sp;
}

/* Do not zap it at once: the guest may have hung a tree of any size below it. */
static void orphan(struct gondola_vm *vm, struct gondola_shadow_page *sp)
{
	if (sp->invalid)
		return;
	sp->orphan = true;
	list_move_tail(&sp->link, &vm->mmu.pages);
	vm->mmu.reap_due = true;
}

void shadow_adopt(struct gondola_vm *vm, struct gondola_shadow_page *sp)
{
	if (likely(!sp->orphan))
		return;
	sp->orphan = false;
	list_move(&sp->link, &vm->mmu.pages);
}

void mmu_make_room_in(struct gondola_vm *vm, unsigned long head)
{
	u64 *spte;

	if (likely(!rmap_is_full(head)))
		return;
	spte = rmap_victim(head, vm->mmu.evictions++);
	mmu_entry_clear(vm, page_of(spte), spte_index(spte));
	/* The guest did not cause this, so no flush of its own is due. */
	vm->mmu.flush_due = true;
}

void mmu_entry_remove(struct gondola_vm *vm, struct gondola_shadow_page *sp, unsigned int i)
{
	u64 *spte = &sp->spt[i], old = mmu_entry_change(spte, 0, 0);

	sp->present--;
	/* The guest must flush by itself.  The host flushes before it reuses the frame. */
	vm->mmu.stale_tlb = true;
	if (sp->role.level == 1) {
		gfn_t gfn = mmu_leaf_gfn(sp, i);
		struct gondola_frame *frame = mmu_find_frame(vm, gfn);

		vm->mmu.nr_sptes--;
		if (MMU_BUG_ON(vm, !frame || !rmap_remove(&frame->rmap, spte)))
			return;
		mmu_keep_written(vm, frame, gfn, old);
	} else {
		struct gondola_shadow_page *child = child_of(old);

		if (MMU_BUG_ON(vm, !rmap_remove(&child->parents, spte)))
			return;
		/* The guest is most likely freeing a table to which no entry leads. */
		if (!child->parents && !child->root_count && !is_pae_root(sp))
			orphan(vm, child);
		/* The guest invalidates one address of a large page and means the whole page. */
		else if (child->role.direct && !sp->role.direct)
			vm->mmu.flush_due = true;
	}
}

void shadow_clear(struct gondola_vm *vm, struct gondola_shadow_page *sp)
{
	unsigned int i;

	for (i = 0; i < MMU_ENTRIES && sp->present; i++) {
		mmu_step(1);
		if (spte_present(sp->spt[i]))
			mmu_entry_clear(vm, sp, i);
	}
}

void shadow_zap(struct gondola_vm *vm, struct gondola_shadow_page *sp)
{
	struct gondola_vcpu *vcpu;
	unsigned int i;
	u64 *parent;

	lockdep_assert_held(&vm->mmu.lock);
	if (sp->invalid)
		return;
	/* Set this first: a cyclic guest table must not bring us back here. */
	sp->invalid = true;
	hlist_del(&sp->hash_link);
	list_del(&sp->link);
	vm->mmu.nr_pages--;
	while ((parent = rmap_first(sp->parents))) {
		struct gondola_shadow_page *above = page_of(parent);

		mmu_step(1);
		rmap_remove(&sp->parents, parent);
		mmu_entry_change(parent, 0, 0);
		above->present--;
	}
	shadow_clear(vm, sp);
	if (sp->frame) {
		sp->frame->nr_tables--;
		if (sp->unsync) {
			list_del(&sp->unsync_link);
			vm->mmu.nr_unsync--;
		} else {
			sp->frame->nr_synced--;
		}
		sp->frame = NULL;
	}
	if (!sp->root_count) {
		list_add(&sp->link, &vm->mmu.doomed);
		return;
	}
	gondola_for_each_vcpu(vcpu, vm, i)
		gondola_request(vcpu, GONDOLA_REQ_MMU_RELOAD);
	vm->mmu.stale_tlb = true;
}

void mmu_forget_nowhere(struct gondola_vm *vm)
{
	struct gondola_shadow_page *sp;

again:
	hlist_for_each_entry(sp, mmu_hash_bucket(vm, GFN_NOWHERE), hash_link)
		if (sp->gfn == GFN_NOWHERE) {
			shadow_zap(vm, sp);
			goto again;
		}
}

void shadow_put_root(struct gondola_vm *vm, struct gondola_shadow_page *sp)
{
	lockdep_assert_held(&vm->mmu.lock);
	if (--sp->root_count == 0 && sp->invalid)
		list_add(&sp->link, &vm->mmu.doomed);
}

/* Zap about @pages of the least recently used; returns their number. */
unsigned long shadow_evict(struct gondola_vm *vm, unsigned long pages)
{
	u32 before = vm->mmu.nr_pages;

	lockdep_assert_held(&vm->mmu.lock);
	/* A zap moves its orphans in the list, so take the tail each time. */
	while (before - vm->mmu.nr_pages < pages && !list_empty(&vm->mmu.pages))
		shadow_zap(vm, list_last_entry(&vm->mmu.pages, struct gondola_shadow_page,
					       link));
	return before - vm->mmu.nr_pages;
}

/* Evict in batches, so that a guest at its bound does not evict at each fault. */
void shadow_evict_for(struct gondola_vm *vm, u32 pages)
{
	shadow_evict(vm, min(vm->mmu.max_pages / 8, EVICT_BATCH) + pages);
}

void gondola_mmu_zap_all(struct gondola_vm *vm)
{
	struct gondola_vcpu *vcpu;
	unsigned int i, at;

	mmu_lock(vm);
	/* From now on existing pages are unreachable: roots, lookups and PAE roots skip them. */
	vm->mmu.generation++;
	gondola_for_each_vcpu(vcpu, vm, i) {
		for (at = 0; at < 4; at++)
			mmu_entry_clear(vm, vcpu->mmu.pae_root, at);
		gondola_request(vcpu, GONDOLA_REQ_MMU_RELOAD);
	}
	vm->mmu.reap_due = true;
	vm->mmu.flush_due = true;
	do {
		mmu_unlock(vm);
		cond_resched();
		mmu_lock(vm);
	} while (vm->mmu.reap_due);
	mmu_unlock(vm);
}

int gondola_mmu_module_init(void)
{
	int err;

	page_cache = kmem_cache_create("gondola_shadow", sizeof(struct gondola_shadow_page), 0,
				       SLAB_ACCOUNT, NULL);
	if (!page_cache)
		return -ENOMEM;
	err = rmap_init();
	if (err)
		goto destroy_pages;
	err = mmu_host_module_init();
	if (err)
		goto exit_rmap;
	return 0;

exit_rmap:
	rmap_exit();
destroy_pages:
	kmem_cache_destroy(page_cache);
	return err;
}

void gondola_mmu_module_exit(void)
{
	mmu_host_module_exit();
	rmap_exit();
	kmem_cache_destroy(page_cache);
}
