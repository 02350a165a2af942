// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counts and times exits.  A vCPU is one thread at a time, so what is kept per
 * vCPU needs no atomics; addresses are shared by all vCPUs of a VM.
 */
#include "vm-gone.bpf.h"
#include "gondola-exits.h"

const volatile __s32 filter_vcpu = -1;
const volatile __u64 filter_reasons = ~0ull;
const volatile bool by_phase;
const volatile bool count_calls;
const volatile bool by_rip;
const volatile bool show_slow;
const volatile __u64 slow_ns;
const volatile __u32 room = 256;

__u32 epoch = 1;
__u32 used;

/* The state of a vCPU: between an exit and the next entry if @exit_ns is set. */
struct vcpu_state {
	__u64 exit_ns;
	__u64 left_ns;
	__u64 count;
	__u64 rip;
	__u32 reason;
	__u32 fault;
	__u32 phase;
	__u32 index;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct vcpu_key);
	__type(value, struct vcpu_state);
} vcpus SEC(".maps");

/* Which of @cells belongs to which key. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct index_key);
	__type(value, __u32);
} indexes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, struct cells);
} cells SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, struct calls);
} calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct rip_key);
	__type(value, struct rip_count);
} rips SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} ring SEC(".maps");

static __always_inline struct cell *cell_of(struct cells *all, __u32 kind)
{
	/* Or the compiler multiplies before it compares, and the verifier loses track. */
	if (kind >= KINDS)
		return NULL;
	asm volatile("" : "+r"(kind));
	return &all->kind[kind];
}

static __always_inline void add_time(struct cell *cell, __u64 ns, __u64 user_ns)
{
	cell->timed++;
	cell->total_ns += ns;
	cell->user_ns += user_ns;
	cell->slots[log2_slot(ns) & (SLOTS - 1)]++;
	if (cell->epoch != epoch) {
		cell->epoch = epoch;
		cell->max_ns = 0;
	}
	if (ns > cell->max_ns)
		cell->max_ns = ns;
}

/* The index + 1 of a vCPU's counts in a phase; 0: there is no room. */
static __noinline __u32 find_index(__u32 vm, __u32 vcpu, __u32 phase)
{
	struct index_key key = { .vm = vm, .vcpu = vcpu, .phase = by_phase ? phase : 0 };
	__u32 *known = bpf_map_lookup_elem(&indexes, &key);
	__u32 index;

	if (known)
		return *known + 1;
	if (used >= room)
		return 0;
	index = __sync_fetch_and_add(&used, 1);
	if (index >= room || bpf_map_update_elem(&indexes, &key, &index, BPF_NOEXIST))
		return 0;
	return index + 1;
}

static __always_inline struct vcpu_state *state_of(__u32 vm, __u32 vcpu)
{
	struct vcpu_key key = { .vm = vm, .vcpu = vcpu };

	return bpf_map_lookup_elem(&vcpus, &key);
}

static __always_inline void forget_vcpu(__u32 vm, __u32 vcpu)
{
	struct vcpu_key key = { .vm = vm, .vcpu = vcpu };

	bpf_map_delete_elem(&vcpus, &key);
}

/* Its counts are in the reports to come; those that have no room are told as lost. */
static __always_inline void forget_vm(__u32 vm, __u32 pid)
{
	(void)vm;
	(void)pid;
}

static __noinline struct vcpu_state *new_state(__u32 vm, __u32 vcpu)
{
	struct vcpu_key key = { .vm = vm, .vcpu = vcpu };
	struct vcpu_state fresh = { 0 };

	bpf_map_update_elem(&vcpus, &key, &fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(&vcpus, &key);
}

/* The vCPU, if it is between an exit that is counted and the next entry. */
static __always_inline struct vcpu_state *outside(__u32 vm, __u32 vcpu)
{
	struct vcpu_state *state = filtered_out(vm) ? NULL : state_of(vm, vcpu);

	return state && state->exit_ns ? state : NULL;
}

static __always_inline struct cells *cells_of(const struct vcpu_state *state)
{
	__u32 index = state->index - 1;

	return bpf_map_lookup_elem(&cells, &index);
}

/* Of a page fault also by what came of it; NULL for other exits. */
static __always_inline struct cell *fault_cell(struct cells *all, const struct vcpu_state *state)
{
	return state->fault ? cell_of(all, MAX_REASONS + state->fault - 1) : NULL;
}

static __always_inline void count_rip(__u32 vm, const struct vcpu_state *state, __u64 count,
				      __u64 ns)
{
	struct rip_key key = { .rip = state->rip, .vm = vm, .reason = state->reason };
	struct rip_count *known = bpf_map_lookup_elem(&rips, &key);
	struct rip_count fresh = { 0 };

	if (!known) {
		if (!count)
			return;
		bpf_map_update_elem(&rips, &key, &fresh, BPF_NOEXIST);
		known = bpf_map_lookup_elem(&rips, &key);
	}
	if (!known) {
		lose(&lost.addresses, count);
		return;
	}
	__sync_fetch_and_add(&known->count, count);
	__sync_fetch_and_add(&known->total_ns, ns);
}

SEC("tracepoint/gondola/gondola_exit")
int on_exit(struct event_gondola_exit *event)
{
	__u32 reason = event->reason;
	struct vcpu_state *state;
	struct cells *all;
	struct cell *cell;

	if (filtered_out(event->vm) || (filter_vcpu >= 0 && (__s32)event->vcpu != filter_vcpu))
		return 0;
	state = state_of(event->vm, event->vcpu);
	if (!state) {
		state = new_state(event->vm, event->vcpu);
		if (!state) {
			lose(&lost.room, 1);
			return 0;
		}
	} else if (event->count != state->count + 1) {
		lose(&lost.events, event->count - state->count - 1);
	}
	state->count = event->count;
	state->exit_ns = 0;
	if (reason < 64 && !(filter_reasons >> reason & 1))
		return 0;

	if (!state->index || (by_phase && state->phase != event->phase)) {
		state->phase = event->phase;
		state->index = find_index(event->vm, event->vcpu, event->phase);
	}
	all = cells_of(state);
	cell = all ? cell_of(all, reason) : NULL;
	if (!cell) {
		lose(&lost.room, 1);
		return 0;
	}
	cell->count++;
	state->reason = reason;
	state->fault = 0;
	state->left_ns = 0;
	state->rip = event->rip;
	if (by_rip)
		count_rip(event->vm, state, 1, 0);
	state->exit_ns = bpf_ktime_get_ns();
	return 0;
}

/* Comes between the exit of a page fault and the next entry. */
SEC("tracepoint/gondola/gondola_page_fault")
int on_page_fault(struct event_gondola_page_fault *event)
{
	struct vcpu_state *state = outside(event->vm, event->vcpu);
	struct cells *all = state ? cells_of(state) : NULL;
	struct cell *cell;

	if (!all || event->result >= FAULT_RESULTS)
		return 0;
	state->fault = event->result + 1;
	cell = fault_cell(all, state);
	if (cell)
		cell->count++;
	return 0;
}

/* An interpreted one comes without an exit. */
SEC("tracepoint/gondola/gondola_xen_call")
int on_xen_call(struct event_gondola_xen_call *event)
{
	struct vcpu_state *state;
	struct calls *all;
	__u32 index;

	if (!count_calls || filtered_out(event->vm) || event->number >= CALLS ||
	    (filter_vcpu >= 0 && (__s32)event->vcpu != filter_vcpu))
		return 0;
	state = state_of(event->vm, event->vcpu);
	index = find_index(event->vm, event->vcpu, state ? state->phase : 0) - 1;
	all = bpf_map_lookup_elem(&calls, &index);
	if (all)
		all->count[event->number & (CALLS - 1)]++;
	else
		lose(&lost.room, 1);
	return 0;
}

SEC("tracepoint/gondola/gondola_leave")
int on_leave(struct event_gondola_leave *event)
{
	struct vcpu_state *state = outside(event->vm, event->vcpu);
	struct cells *all = state ? cells_of(state) : NULL;
	struct cell *cell;

	if (!all)
		return 0;
	if (!state->left_ns)
		state->left_ns = bpf_ktime_get_ns();
	if (event->error)
		return 0;
	cell = cell_of(all, state->reason);
	if (cell)
		cell->user++;
	cell = fault_cell(all, state);
	if (cell)
		cell->user++;
	return 0;
}

static __noinline int show(const struct event_gondola_entry *event, __u64 now, __u64 ns,
			   __u64 user_ns)
{
	struct vcpu_state *state = state_of(event->vm, event->vcpu);
	struct slow_exit *out = bpf_ringbuf_reserve(&ring, sizeof(*out), 0);

	if (!out) {
		lose(&lost.ring, 1);
		return 0;
	}
	out->end_ns = now;
	out->ns = ns;
	out->user_ns = user_ns;
	out->vm = event->vm;
	out->vcpu = event->vcpu;
	out->rip = state ? state->rip : 0;
	out->reason = state ? state->reason : 0;
	out->fault = state ? state->fault : 0;
	bpf_ringbuf_submit(out, 0);
	return 0;
}

SEC("tracepoint/gondola/gondola_entry")
int on_entry(struct event_gondola_entry *event)
{
	struct vcpu_state *state = outside(event->vm, event->vcpu);
	struct cells *all = state ? cells_of(state) : NULL;
	__u64 now, ns, user_ns;
	struct cell *cell;

	if (!all)
		return 0;
	now = bpf_ktime_get_ns();
	ns = now - state->exit_ns;
	user_ns = state->left_ns ? now - state->left_ns : 0;
	state->exit_ns = 0;
	cell = cell_of(all, state->reason);
	if (cell)
		add_time(cell, ns, user_ns);
	cell = fault_cell(all, state);
	if (cell)
		add_time(cell, ns, user_ns);
	if (by_rip)
		count_rip(event->vm, state, 0, ns);
	if (show_slow && ns >= slow_ns)
		show(event, now, ns, user_ns);
	return 0;
}
