// SPDX-License-Identifier: GPL-2.0-only
/* Counts per VM and processor, so that vCPUs do not fight for a line of the cache. */
#include "vm-gone.bpf.h"
#include <asm/ptrace.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <bpf/usdt.bpf.h>

#include "gondola-top.h"

#define RESULT_MMIO	2	/* of gondola_page_fault */

/* The part of the kernel's types that is read, found by BTF wherever it is. */
struct sched_info {
	unsigned long long run_delay;
} __attribute__((preserve_access_index));

struct task_struct {
	struct sched_info sched_info;
} __attribute__((preserve_access_index));

const volatile __u8 class_of[TOP_REASONS];
const volatile bool has_run_delay;

struct vcpu_state {
	__u64 entered_ns;
	__u64 run_delay;
	__u64 count;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, struct top_count);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct top_vcpu_key);
	__type(value, struct vcpu_state);
} vcpus SEC(".maps");

/* Pages in the balloon, by launcher. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u64);
} balloons SEC(".maps");

static const struct top_count nothing;

static __always_inline struct top_count *count_of(__u32 vm)
{
	struct top_count *count;

	if (filtered_out(vm))
		return NULL;
	count = bpf_map_lookup_elem(&counts, &vm);
	if (count)
		return count;
	bpf_map_update_elem(&counts, &vm, &nothing, BPF_NOEXIST);
	count = bpf_map_lookup_elem(&counts, &vm);
	if (!count)
		lose(&lost.room, 1);
	return count;
}

static __always_inline struct vcpu_state *state_of(__u32 vm, __u32 vcpu)
{
	struct top_vcpu_key key = { .vm = vm, .vcpu = vcpu };
	struct vcpu_state *state = bpf_map_lookup_elem(&vcpus, &key), fresh = { 0 };

	if (state)
		return state;
	bpf_map_update_elem(&vcpus, &key, &fresh, BPF_NOEXIST);
	state = bpf_map_lookup_elem(&vcpus, &key);
	if (!state)
		lose(&lost.room, 1);
	return state;
}

static __always_inline void forget_vcpu(__u32 vm, __u32 vcpu)
{
	struct top_vcpu_key key = { .vm = vm, .vcpu = vcpu };

	bpf_map_delete_elem(&vcpus, &key);
}

/* The screen shows those that live: what is counted of one between two screens goes with it. */
static __always_inline void forget_vm(__u32 vm, __u32 pid)
{
	bpf_map_delete_elem(&counts, &vm);
	bpf_map_delete_elem(&balloons, &pid);
}

SEC("tracepoint/gondola/gondola_entry")
int on_entry(struct event_gondola_entry *event)
{
	struct top_count *count = count_of(event->vm);
	struct vcpu_state *state = count ? state_of(event->vm, event->vcpu) : NULL;
	__u64 run_delay;

	if (!state)
		return 0;
	state->entered_ns = bpf_ktime_get_ns();
	if (!has_run_delay)
		return 0;
	run_delay = BPF_CORE_READ((struct task_struct *)bpf_get_current_task(),
				  sched_info.run_delay);
	/* It counts from the thread's beginning: the first value is only where to start. */
	if (state->run_delay && run_delay > state->run_delay)
		count->steal_ns += run_delay - state->run_delay;
	state->run_delay = run_delay;
	return 0;
}

SEC("tracepoint/gondola/gondola_exit")
int on_exit(struct event_gondola_exit *event)
{
	struct top_count *count = count_of(event->vm);
	struct vcpu_state *state = count ? state_of(event->vm, event->vcpu) : NULL;
	__u32 class = event->reason < TOP_REASONS ? class_of[event->reason] : TOP_OTHER;

	if (!state)
		return 0;
	if (state->count && event->count != state->count + 1)
		lose(&lost.events, event->count - state->count - 1);
	state->count = event->count;
	if (state->entered_ns)
		count->guest_ns += bpf_ktime_get_ns() - state->entered_ns;
	state->entered_ns = 0;
	if (class < TOP_NR_CLASSES)
		count->exits[class]++;
	return 0;
}

SEC("tracepoint/gondola/gondola_page_fault")
int on_page_fault(struct event_gondola_page_fault *event)
{
	struct top_count *count = event->result == RESULT_MMIO ? count_of(event->vm) : NULL;

	if (count)
		count->mmio++;
	return 0;
}

SEC("tracepoint/gondola/gondola_leave")
int on_leave(struct event_gondola_leave *event)
{
	struct top_count *count = event->error ? NULL : count_of(event->vm);

	if (count)
		count->user++;
	return 0;
}

SEC("tracepoint/gondola/gondola_inject")
int on_inject(struct event_gondola_inject *event)
{
	struct top_count *count = count_of(event->vm);

	if (count)
		count->injected++;
	return 0;
}

SEC("tracepoint/gondola/gondola_dirty")
int on_dirty(struct event_gondola_dirty *event)
{
	struct top_count *count = count_of(event->vm);

	if (count)
		count->dirtied++;
	return 0;
}

static __always_inline int balloon_holds(struct pt_regs *ctx, unsigned int argument)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	long held = 0;
	__u64 pages;

	if (bpf_usdt_arg(ctx, argument, &held))
		return 0;
	pages = held;
	if (bpf_map_update_elem(&balloons, &pid, &pages, BPF_ANY))
		lose(&lost.room, 1);
	return 0;
}

SEC("usdt")
int on_balloon_pages(struct pt_regs *ctx)
{
	return balloon_holds(ctx, 3);
}

SEC("usdt")
int on_balloon_goal(struct pt_regs *ctx)
{
	return balloon_holds(ctx, 2);
}
