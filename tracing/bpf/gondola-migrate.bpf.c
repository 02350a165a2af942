// SPDX-License-Identifier: GPL-2.0-only
/* Hands on what the launcher's probes say of a migration; counts the faults of a post-copy. */
#include "vm-gone.bpf.h"
#include <asm/ptrace.h>
#include <bpf/bpf_tracing.h>
#include <bpf/usdt.bpf.h>

#include "gondola-migrate.h"

const volatile __u32 filter_pid;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct migrate_faults);
} faults SEC(".maps");

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

static __always_inline int tell(struct pt_regs *ctx, enum migrate_kind kind, unsigned int count)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct migrate_event *event;

	if (filter_pid && pid != filter_pid)
		return 0;
	event = bpf_ringbuf_reserve(&ring, sizeof(*event), 0);
	if (!event) {
		lose(&lost.ring, 1);
		return 0;
	}
	event->ns = bpf_ktime_get_ns();
	event->pid = pid;
	event->kind = kind;
	for (unsigned int i = 0; i < 5; i++) {
		long value = 0;

		if (i < count)
			bpf_usdt_arg(ctx, i, &value);
		event->arguments[i] = value;
	}
	bpf_ringbuf_submit(event, 0);
	return 0;
}

#define X(kind, probe, arguments)			\
SEC("usdt")						\
int on_##probe(struct pt_regs *ctx)			\
{							\
	return tell(ctx, MIGRATE_EVENT_##kind, arguments); \
}
MIGRATE_PROBES(X)
#undef X

SEC("usdt")
int on_migrate_fault_end(struct pt_regs *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct migrate_faults *known, fresh = { 0 };
	long ns = 0;

	if (filter_pid && pid != filter_pid)
		return 0;
	bpf_usdt_arg(ctx, 1, &ns);
	known = bpf_map_lookup_elem(&faults, &pid);
	if (!known) {
		bpf_map_update_elem(&faults, &pid, &fresh, BPF_NOEXIST);
		known = bpf_map_lookup_elem(&faults, &pid);
	}
	if (!known) {
		lose(&lost.room, 1);
		return 0;
	}
	/* Several vCPUs wait at once. */
	__sync_fetch_and_add(&known->count, 1);
	__sync_fetch_and_add(&known->total_ns, ns);
	__sync_fetch_and_add(&known->slots[log2_slot(ns) & (SLOTS - 1)], 1);
	if (ns > 0 && (__u64)ns > known->max_ns)
		known->max_ns = ns;
	return 0;
}
