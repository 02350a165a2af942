// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counts dirty pages.  The module fires the event with the lock of the VM's
 * memory held, so that what belongs to one VM needs no atomics.
 */
#include "vm-gone.bpf.h"
#include "gondola-dirty.h"

const volatile bool by_rip;
const volatile bool heat_map;
const volatile __u64 start_ns;
const volatile __u64 column_ns = 250000000;
const volatile __u32 row_shift = 8;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct vm_count);
} vms SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct source_key);
	__type(value, __u64);
} sources SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, struct round_key);
	__type(value, struct round_count);
} rounds SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct writer_key);
	__type(value, __u64);
} writers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 20);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct page_key);
	__type(value, struct page_count);
} pages SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 18);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct heat_key);
	__type(value, __u64);
} heat SEC(".maps");

/* All that is kept is reported at the end; what has no room is told as lost. */
static __always_inline void forget_vm(__u32 vm, __u32 pid)
{
	(void)vm;
	(void)pid;
}

static __always_inline void forget_vcpu(__u32 vm, __u32 vcpu)
{
	(void)vm;
	(void)vcpu;
}

static __always_inline struct vm_count *vm_of(__u32 vm)
{
	struct vm_count *known = bpf_map_lookup_elem(&vms, &vm);
	struct vm_count fresh = { 0 };

	if (known)
		return known;
	bpf_map_update_elem(&vms, &vm, &fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(&vms, &vm);
}

/*
 * Which round this is, counted without gaps.  Slots take a mark over one after
 * the other, so an event of the round before may still come.
 */
static __always_inline __u32 epoch_of(struct vm_count *vm, __u32 phase, __u32 round)
{
	__u32 step = 1;

	if (vm->epoch && vm->phase == phase && vm->round == round)
		return vm->epoch;
	if (vm->before_epoch && vm->before_phase == phase && vm->before_round == round)
		return vm->before_epoch;
	/* Rounds in which nothing was dirtied count too. */
	if (vm->epoch && vm->phase == phase && round > vm->round)
		step = round - vm->round;
	vm->before_epoch = vm->epoch;
	vm->before_phase = vm->phase;
	vm->before_round = vm->round;
	vm->phase = phase;
	vm->round = round;
	vm->epoch += step;
	return vm->epoch;
}

static __always_inline struct round_count *round_of(__u32 vm, __u32 phase, __u32 round)
{
	struct round_key key = { .vm = vm, .phase = phase, .round = round };
	struct round_count *known = bpf_map_lookup_elem(&rounds, &key);
	struct round_count fresh = { 0 };

	if (known)
		return known;
	bpf_map_update_elem(&rounds, &key, &fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(&rounds, &key);
}

static __noinline int count_source(const struct event_gondola_dirty *event)
{
	struct source_key key = { .vm = event->vm, .source = event->source, .vcpu = event->vcpu };
	__u64 *known, one = 1;

	__builtin_memcpy(key.device, event->device, sizeof(key.device));
	known = bpf_map_lookup_elem(&sources, &key);
	if (known)
		++*known;
	else if (bpf_map_update_elem(&sources, &key, &one, BPF_NOEXIST))
		return -1;
	return 0;
}

static __noinline int count_writer(const struct event_gondola_dirty *event)
{
	struct writer_key key = { .vm = event->vm, .rip = event->rip };
	__u64 *known = bpf_map_lookup_elem(&writers, &key), one = 1;

	if (known)
		++*known;
	else if (bpf_map_update_elem(&writers, &key, &one, BPF_NOEXIST))
		lose(&lost.addresses, 1);
	return 0;
}

static __noinline int count_page(__u32 vm_id, __u64 gfn, __u32 epoch)
{
	struct page_key key = { .vm = vm_id, .gfn = gfn };
	struct page_count *page = bpf_map_lookup_elem(&pages, &key);
	struct page_count fresh = { .rounds = 1, .epoch = epoch, .count = 1 };
	struct vm_count *vm;
	__u32 age;

	if (!page) {
		if (bpf_map_update_elem(&pages, &key, &fresh, BPF_NOEXIST))
			return -1;
		vm = bpf_map_lookup_elem(&vms, &vm_id);
		if (vm)
			vm->different++;
		return 0;
	}
	age = epoch - page->epoch;
	/* An event of the round before, behind one of this round: it is not far back. */
	if ((__s32)age < 0) {
		page->rounds |= 1ull << (-age & (EPOCHS - 1));
	} else {
		page->rounds = (age < EPOCHS ? page->rounds << age : 0) | 1;
		page->epoch = epoch;
	}
	page->count++;
	return 0;
}

static __noinline int count_heat(__u32 vm, __u64 gfn, __u64 now)
{
	struct heat_key key = { .vm = vm, .row = gfn >> row_shift };
	__u64 *known, one = 1;

	key.column = (now - start_ns) / column_ns;
	known = bpf_map_lookup_elem(&heat, &key);
	if (known)
		++*known;
	else if (bpf_map_update_elem(&heat, &key, &one, BPF_NOEXIST))
		return -1;
	return 0;
}

SEC("tracepoint/gondola/gondola_dirty")
int on_dirty(struct event_gondola_dirty *event)
{
	struct round_count *round;
	struct vm_count *vm;
	__u32 source = event->source;
	__u64 now;
	int failed;

	if (filtered_out(event->vm))
		return 0;
	vm = vm_of(event->vm);
	round = round_of(event->vm, event->phase, event->round);
	if (!vm || !round || source >= SOURCES) {
		lose(&lost.room, 1);
		return 0;
	}
	if (vm->count && event->count != vm->count + 1)
		lose(&lost.events, event->count - vm->count - 1);
	vm->count = event->count;

	now = bpf_ktime_get_ns();
	if (!round->first_ns)
		round->first_ns = now;
	round->last_ns = now;
	round->pages[source]++;
	failed = count_source(event);
	failed |= count_page(event->vm, event->gfn, epoch_of(vm, event->phase, event->round));
	if (by_rip && source == 0)
		count_writer(event);
	if (heat_map)
		failed |= count_heat(event->vm, event->gfn, now);
	if (failed)
		lose(&lost.room, 1);
	return 0;
}

SEC("tracepoint/gondola/gondola_mark")
int on_mark(struct event_gondola_mark *event)
{
	struct round_count *round;

	if (filtered_out(event->vm))
		return 0;
	round = round_of(event->vm, event->phase, event->round);
	if (!round)
		lose(&lost.room, 1);
	else if (!round->marked_ns)
		round->marked_ns = bpf_ktime_get_ns();
	return 0;
}
