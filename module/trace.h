/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All tracepoints of the monitor.  Arguments are plain numbers (VM id, vCPU id, guest addresses),
 * never kernel pointers, so that a BPF program needs no types of the module.  Without
 * CONFIG_TRACEPOINTS each trace_gondola_*() is an empty inline.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM gondola

#if !defined(GONDOLA_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define GONDOLA_TRACE_H

#include <linux/tracepoint.h>
#include <linux/types.h>
#include <uapi/linux/gondola.h>

#define GONDOLA_TRACE_REASON_ENUM(symbol, name) TRACE_DEFINE_ENUM(GONDOLA_REASON_##symbol);
GONDOLA_REASONS(GONDOLA_TRACE_REASON_ENUM)
TRACE_DEFINE_ENUM(GONDOLA_REASON_COUNT);
TRACE_DEFINE_ENUM(GONDOLA_DIRTY_VCPU);
TRACE_DEFINE_ENUM(GONDOLA_DIRTY_DEVICE);
TRACE_DEFINE_ENUM(GONDOLA_DIRTY_HOST);

#define GONDOLA_TRACE_REASON_NAME(symbol, name) { GONDOLA_REASON_##symbol, name },

/* The last pair only ends the list: no exit has this number. */
#define gondola_show_reason(reason)					\
	__print_symbolic(reason, GONDOLA_REASONS(GONDOLA_TRACE_REASON_NAME) \
			 { GONDOLA_REASON_COUNT, "?" })

/* enum gondola_event_kind */
#define gondola_show_event(kind)					\
	__print_symbolic(kind, { 0, "none" }, { 1, "interrupt" }, { 2, "nmi" }, \
			 { 3, "exception" }, { 4, "soft_interrupt" }, { 5, "triple_fault" })

/* enum gondola_access_result */
#define gondola_show_access(result)					\
	__print_symbolic(result, { 0, "filled" }, { 1, "guest_fault" }, { 2, "mmio" }, \
			 { 3, "interpret" }, { 4, "memory" }, { 5, "error" })

/* enum gondola_user_exit */
#define gondola_show_user_exit(why)					\
	__print_symbolic(why, { 0, "none" }, { 1, "intr" }, { 2, "io" }, { 3, "mmio" }, \
			 { 4, "shutdown" }, { 5, "entry_failed" }, { 6, "unknown" }, \
			 { 7, "emulation" }, { 8, "memory" }, { 10, "debug" })

#define gondola_show_dirty_source(source)				\
	__print_symbolic(source, { GONDOLA_DIRTY_VCPU, "vcpu" },	\
			 { GONDOLA_DIRTY_DEVICE, "device" }, { GONDOLA_DIRTY_HOST, "host" })

/* The guest is about to run at @rip. */
TRACE_EVENT(gondola_entry,
	TP_PROTO(u32 vm, u32 vcpu, u64 rip),
	TP_ARGS(vm, vcpu, rip),
	TP_STRUCT__entry(
		__field(u32, vm)
		__field(u32, vcpu)
		__field(u64, rip)
	),
	TP_fast_assign(
		__entry->vm = vm;
		__entry->vcpu = vcpu;
		__entry->rip = rip;
	),
	TP_printk("vm %u vcpu %u rip 0x%llx", __entry->vm, __entry->vcpu, __entry->rip)
);

/*
 * The guest has exited.  @reason is enum gondola_reason, @hw_reason the engine's own number.
 * @count: number of the vCPU's exits so far, so that a reader notices lost events.
 */
TRACE_EVENT(gondola_exit,
	TP_PROTO(u32 vm, u32 vcpu, u32 reason, u32 hw_reason, u32 phase, u32 round, u64 rip,
		 u64 count),
	TP_ARGS(vm, vcpu, reason, hw_reason, phase, round, rip, count),
	TP_STRUCT__entry(
		__field(u32, vm)
		__field(u32, vcpu)
		__field(u32, reason)
		__field(u32, hw_reason)
		__field(u32, phase)
		__field(u32, round)
		__field(u64, rip)
		__field(u64, count)
	),
	TP_fast_assign(
		__entry->vm = vm;
		__entry->vcpu = vcpu;
		__entry->reason = reason;
		__entry->hw_reason = hw_reason;
		__entry->phase = phase;
		__entry->round = round;
		__entry->rip = rip;
		__entry->count = count;
	),
	TP_printk("vm %u vcpu %u reason %s hw_reason 0x%x phase %u round %u rip 0x%llx count %llu",
		  __entry->vm, __entry->vcpu, gondola_show_reason(__entry->reason),
		  __entry->hw_reason, __entry->phase, __entry->round, __entry->rip,
		  __entry->count)
);

/* GONDOLA_RUN returns: @why is enum gondola_user_exit, @error 0 or a negative errno. */
TRACE_EVENT(gondola_leave,
	TP_PROTO(u32 vm, u32 vcpu, u32 why, s32 error, u64 rip),
	TP_ARGS(vm, vcpu, why, error, rip),
	TP_STRUCT__entry(
		__field(u32, vm)
		__field(u32, vcpu)
		__field(u32, why)
		__field(s32, error)
		__field(u64, rip)
	),
	TP_fast_assign(
		__entry->vm = vm;
		__entry->vcpu = vcpu;
		__entry->why = why;
		__entry->error = error;
		__entry->rip = rip;
	),
	TP_printk("vm %u vcpu %u %s error %d rip 0x%llx", __entry->vm, __entry->vcpu,
		  gondola_show_user_exit(__entry->why), __entry->error, __entry->rip)
);

/* A page fault that exited, and its result (enum gondola_access_result). */
TRACE_EVENT(gondola_page_fault,
	TP_PROTO(u32 vm, u32 vcpu, u64 gva, u64 rip, u32 error, u32 result),
	TP_ARGS(vm, vcpu, gva, rip, error, result),
	TP_STRUCT__entry(
		__field(u32, vm)
		__field(u32, vcpu)
		__field(u64, gva)
		__field(u64, rip)
		__field(u32, error)
		__field(u32, result)
	),
	TP_fast_assign(
		__entry->vm = vm;
		__entry->vcpu = vcpu;
		__entry->gva = gva;
		__entry->rip = rip;
		__entry->error = error;
		__entry->result = result;
	),
	TP_printk("vm %u vcpu %u gva 0x%llx rip 0x%llx error 0x%x result %s", __entry->vm,
		  __entry->vcpu, __entry->gva, __entry->rip, __entry->error,
		  gondola_show_access(__entry->result))
);

/* An event handed to the engine for delivery; @kind is enum gondola_event_kind. */
TRACE_EVENT(gondola_inject,
	TP_PROTO(u32 vm, u32 vcpu, u32 kind, u32 vector, u32 error),
	TP_ARGS(vm, vcpu, kind, vector, error),
	TP_STRUCT__entry(
		__field(u32, vm)
		__field(u32, vcpu)
		__field(u32, kind)
		__field(u32, vector)
		__field(u32, error)
	),
	TP_fast_assign(
		__entry->vm = vm;
		__entry->vcpu = vcpu;
		__entry->kind = kind;
		__entry->vector = vector;
		__entry->error = error;
	),
	TP_printk("vm %u vcpu %u %s vector 0x%x error 0x%x", __entry->vm, __entry->vcpu,
		  gondola_show_event(__entry->kind), __entry->vector, __entry->error)
);

/* RDMSR or WRMSR that exited; @fault: it raised #GP. */
TRACE_EVENT(gondola_msr,
	TP_PROTO(u32 vm, u32 vcpu, bool write, u32 index, u64 value, bool fault),
	TP_ARGS(vm, vcpu, write, index, value, fault),
	TP_STRUCT__entry(
		__field(u32, vm)
		__field(u32, vcpu)
		__field(u64, value)
		__field(u32, index)
		__field(bool, write)
		__field(bool, fault)
	),
	TP_fast_assign(
		__entry->vm = vm;
		__entry->vcpu = vcpu;
		__entry->value = value;
		__entry->index = index;
		__entry->write = write;
		__entry->fault = fault;
	),
	TP_printk("vm %u vcpu %u %s 0x%x = 0x%llx%s", __entry->vm, __entry->vcpu,
		  __entry->write ? "write" : "read", __entry->index, __entry->value,
		  __entry->fault ? " #GP" : "")
);

/*
 * A frame was written for the first time since its bit was cleared.  @vcpu and @rip are the
 * writer's if @source is GONDOLA_DIRTY_VCPU, else ~0 and 0.
 * @phase and @round: those at which the bit was last cleared, see GONDOLA_CLEAR_DIRTY. @count:
 *	number of the VM's events so far, so that a reader notices lost events. @device: its name,
 *	if @source is GONDOLA_DIRTY_DEVICE and the launcher named it, else "".
 */
TRACE_EVENT(gondola_dirty,
	TP_PROTO(u32 vm, u32 vcpu, u64 gfn, u64 rip, u32 source, u32 phase, u32 round, u64 count,
		 const char *device),
	TP_ARGS(vm, vcpu, gfn, rip, source, phase, round, count, device),
	TP_STRUCT__entry(
		__field(u32, vm)
		__field(u32, vcpu)
		__field(u64, gfn)
		__field(u64, rip)
		__field(u32, source)
		__field(u32, phase)
		__field(u32, round)
		__field(u64, count)
		__array(char, device, GONDOLA_DEVICE_NAME_LEN)
	),
	TP_fast_assign(
		__entry->vm = vm;
		__entry->vcpu = vcpu;
		__entry->gfn = gfn;
		__entry->rip = rip;
		__entry->source = source;
		__entry->phase = phase;
		__entry->round = round;
		__entry->count = count;
		strscpy_pad(__entry->device, device, sizeof(__entry->device));
	),
	TP_printk("vm %u vcpu %u gfn 0x%llx rip 0x%llx source %s phase %u round %u count %llu device %s",
		  __entry->vm, __entry->vcpu, __entry->gfn, __entry->rip,
		  gondola_show_dirty_source(__entry->source), __entry->phase, __entry->round,
		  __entry->count, __entry->device)
);

/* The launcher set marks (GONDOLA_MARK). */
TRACE_EVENT(gondola_mark,
	TP_PROTO(u32 vm, u32 phase, u32 round),
	TP_ARGS(vm, phase, round),
	TP_STRUCT__entry(
		__field(u32, vm)
		__field(u32, phase)
		__field(u32, round)
	),
	TP_fast_assign(
		__entry->vm = vm;
		__entry->phase = phase;
		__entry->round = round;
	),
	TP_printk("vm %u phase %u round %u", __entry->vm, __entry->phase, __entry->round)
);

/* A VM was created (@alive) or destroyed; @pid is its launcher's. */
TRACE_EVENT(gondola_vm,
	TP_PROTO(u32 vm, u32 pid, bool alive),
	TP_ARGS(vm, pid, alive),
	TP_STRUCT__entry(
		__field(u32, vm)
		__field(u32, pid)
		__field(bool, alive)
	),
	TP_fast_assign(
		__entry->vm = vm;
		__entry->pid = pid;
		__entry->alive = alive;
	),
	TP_printk("vm %u pid %u %s", __entry->vm, __entry->pid,
		  __entry->alive ? "created" : "destroyed")
);

/* A hypercall of a paravirtualized guest is complete: its number, the first arguments, the result. */
TRACE_EVENT(gondola_xen_call,
	TP_PROTO(u32 vm, u32 vcpu, u64 number, u64 arg0, u64 arg1, s64 result),
	TP_ARGS(vm, vcpu, number, arg0, arg1, result),
	TP_STRUCT__entry(
		__field(u32, vm)
		__field(u32, vcpu)
		__field(u64, number)
		__field(u64, arg0)
		__field(u64, arg1)
		__field(s64, result)
	),
	TP_fast_assign(
		__entry->vm = vm;
		__entry->vcpu = vcpu;
		__entry->number = number;
		__entry->arg0 = arg0;
		__entry->arg1 = arg1;
		__entry->result = result;
	),
	TP_printk("vm %u vcpu %u call %llu (0x%llx, 0x%llx) = %lld", __entry->vm, __entry->vcpu,
		  __entry->number, __entry->arg0, __entry->arg1, __entry->result)
);

/*
 * A paravirtualized guest asked for a page table, or for an entry of one, that the interface does not allow.
 * @level: of the table; @at: of its entry, or of the table itself where @value is 0
 */
TRACE_EVENT(gondola_xen_refused,
	TP_PROTO(u32 vm, u32 vcpu, u32 level, u64 at, u64 value, const char *why),
	TP_ARGS(vm, vcpu, level, at, value, why),
	TP_STRUCT__entry(
		__field(u32, vm)
		__field(u32, vcpu)
		__field(u32, level)
		__field(u64, at)
		__field(u64, value)
		__array(char, why, 40)
	),
	TP_fast_assign(
		__entry->vm = vm;
		__entry->vcpu = vcpu;
		__entry->level = level;
		__entry->at = at;
		__entry->value = value;
		strscpy_pad(__entry->why, why, sizeof(__entry->why));
	),
	TP_printk("vm %u vcpu %u level %u at 0x%llx value 0x%llx: %s", __entry->vm, __entry->vcpu,
		  __entry->level, __entry->at, __entry->value, __entry->why)
);

/* One field of a VMCS at an exit; @name as in Intel's manual. */
TRACE_EVENT(gondola_vmcs,
	TP_PROTO(u32 vm, u32 vcpu, u32 field, u64 value, const char *name),
	TP_ARGS(vm, vcpu, field, value, name),
	TP_STRUCT__entry(
		__field(u32, vm)
		__field(u32, vcpu)
		__field(u64, value)
		__field(u32, field)
		__array(char, name, 40)
	),
	TP_fast_assign(
		__entry->vm = vm;
		__entry->vcpu = vcpu;
		__entry->value = value;
		__entry->field = field;
		strscpy_pad(__entry->name, name, sizeof(__entry->name));
	),
	TP_printk("vm %u vcpu %u field 0x%x %s: 0x%llx", __entry->vm, __entry->vcpu, __entry->field,
		  __entry->name, __entry->value)
);

#endif /* GONDOLA_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH module
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
