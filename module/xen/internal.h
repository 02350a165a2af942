/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by the files of the Xen personality. */
#ifndef GONDOLA_XEN_INTERNAL_H
#define GONDOLA_XEN_INTERNAL_H

#include <linux/hrtimer.h>
#include <linux/mutex.h>
#include <linux/xarray.h>
#include "abi.h"
#include "vcpu.h"
#include "vm.h"
#include "guest.h"

/*
 * Results of hypercalls are the guest's, which does not get these.  XEN_AGAIN: memory is missing.
 * XEN_LEAVE: the launcher has to do something first.  XEN_SIGNAL: a signal is to be handled.  The
 * hypercall goes on where it stood.
 */
#define XEN_SIGNAL	(S64_MIN + 2)	/* neither errors nor addresses: no call returns these */
#define XEN_AGAIN	(S64_MIN + 1)
#define XEN_LEAVE	S64_MIN

/* A port of the event channels. */
struct xen_port {
	u8 status;			/* enum xen_port_status */
	u8 vcpu;
	u16 virq;
};

/**
 * struct gondola_xen - a VM of this personality
 * @config: see struct gondola_xen_config
 * @lock: for @ports
 * @ports: the event channels
 * @pins: level of the page table that each pinned frame holds, by frame; @nr_pins of them
 * @started: a vCPU has run, and the shared page is filled in
 * @unknown: how often each hypercall was asked for that there is not
 */
struct gondola_xen {
	struct gondola_xen_config config;
	struct mutex lock;
	struct xen_port *ports;
	struct xarray pins;
	atomic_t nr_pins;
	bool started;
	atomic_t unknown[XEN_CALLS];
};

/* A handler of the guest's kernel. */
struct xen_handler {
	u64 rip;
	bool mask;
};

/**
 * struct gondola_xen_vcpu - a vCPU of such a VM
 * @up: it may run; the first one is so from the beginning
 * @initialised: it was told what it starts with
 * @context: that, if @context_due: it has not started yet
 * @in_kernel: the guest's kernel runs
 * @user_changed: the user's root is new: its tables are to be synced
 * @traps: by vector, with the privilege that INT needs
 * @callbacks: by enum xen_callback_type
 * @kernel_sp: where the kernel's stack begins when a program is interrupted
 * @user_cr3: root while programs run; 0: there is none
 * @gdt: frames of the guest's part of the GDT
 * @gdt_entries: how many descriptors they have
 * @info: address of its struct xen_vcpu_info
 * @raised: ports raised and not yet in memory, a bit each
 * @any_raised: any of them is
 * @upcall: the pending byte may be set
 * @woken: an event came since the vCPU slept
 * @timer: fires GONDOLA_REQ_TIMER, when the vCPU looks at @deadline, in the guest's time, if @armed
 * @runstate: frames of the area that says how long it ran, at @runstate_offset of the first, if @has_runstate
 * @stolen: ns for which it waited for a processor since then; not in the area yet if @stolen_due
 * @call_rip: of the hypercall that stands at its SYSCALL
 * @cursor: entries of a hypercall that are done
 * @nested: those of a call in a multicall
 * @result: of a call in a multicall, which is complete but not in memory yet, if @result_due
 * @leave: the launcher is to be told @leave_op and @leave_value, see struct gondola_run
 */
struct gondola_xen_vcpu {
	bool up;
	bool initialised;
	bool context_due;
	struct xen_vcpu_context context;
	bool in_kernel;
	bool user_changed;
	struct xen_handler traps[256];
	u8 privilege[256];
	struct xen_handler callbacks[3];
	u64 kernel_sp;
	u64 user_cr3;
	u64 gdt[XEN_GDT_PAGES];
	u32 gdt_entries;
	gpa_t info;
	unsigned long raised[XEN_MAX_PORTS / BITS_PER_LONG];
	bool any_raised;
	bool upcall;
	bool woken;
	struct hrtimer timer;
	u64 deadline;
	bool armed;
	u64 runstate[2];
	u16 runstate_offset;
	bool has_runstate;
	u64 stolen;
	bool stolen_due;
	struct gondola_vcpu *vcpu;
	u64 call_rip;
	u32 cursor;
	u32 nested;
	s64 result;
	bool result_due;
	bool leave;
	u32 leave_op;
	u32 leave_value;
};

/* hypercall.c */
/* Copy from and to the guest's linear addresses: 0, -XEN_EFAULT or XEN_AGAIN. */
s64 xen_copy_in(struct gondola_vcpu *vcpu, void *to, u64 from, unsigned int bytes);
s64 xen_copy_out(struct gondola_vcpu *vcpu, u64 to, const void *from, unsigned int bytes);
/* The result for an access to them: 0, -XEN_EFAULT or XEN_AGAIN. */
s64 xen_access_result(enum gondola_access_result result);
/* The result for an access to guest-physical memory: 0, XEN_AGAIN or -XEN_EINVAL. */
s64 xen_result(int err);
/* Does the hypercall stay at its SYSCALL, to go on there? */
static inline bool xen_stays(s64 result)
{
	return result <= XEN_SIGNAL;
}

/* Let the launcher know when the hypercall is complete.  False: it does not know the last thing yet. */
bool xen_tell(struct gondola_vcpu *vcpu, u32 op, u32 value);
/* The most entries of a list. */
#define XEN_MAX_LIST	65536u

/* Between two entries of a list, which the guest sizes: 0, or XEN_SIGNAL. */
s64 xen_between_entries(void);
/* Is a hypercall under way, part of which is done? */
static inline bool xen_under_way(const struct gondola_vcpu *vcpu)
{
	const struct gondola_xen_vcpu *xen = vcpu->xen;

	return (xen->cursor || xen->nested || xen->result_due) &&
	       xen->call_rip == vcpu->regs.rip;
}

/* mmu.c */
/* The level of the table that is pinned there; 0: none is. */
unsigned int xen_pinned_level(struct gondola_xen *xen, u64 frame);
/* Note a pinned table: 0, -ENOSPC or -ENOMEM. */
int xen_note_pin(struct gondola_xen *xen, u64 frame, unsigned int level);
s64 xen_mmu_update(struct gondola_vcpu *vcpu, const u64 *arg);
s64 xen_mmuext_op(struct gondola_vcpu *vcpu, const u64 *arg);
s64 xen_update_va_mapping(struct gondola_vcpu *vcpu, const u64 *arg);
s64 xen_memory_op(struct gondola_vcpu *vcpu, const u64 *arg);
/* May the monitor write there for the guest?  Neither its own pages nor tables that the guest has pinned. */
bool xen_is_data(struct gondola_vm *vm, u64 frame);
/* Write the entry for the monitor's part of the address space into a root; 0, -EAGAIN or -EINVAL. */
int xen_complete_root(struct gondola_vcpu *vcpu, gfn_t root);

/* cpu.c */
s64 xen_set_trap_table(struct gondola_vcpu *vcpu, const u64 *arg);
s64 xen_set_gdt(struct gondola_vcpu *vcpu, const u64 *arg);
s64 xen_update_descriptor(struct gondola_vcpu *vcpu, const u64 *arg);
s64 xen_stack_switch(struct gondola_vcpu *vcpu, const u64 *arg);
s64 xen_fpu_taskswitch(struct gondola_vcpu *vcpu, const u64 *arg);
s64 xen_set_debugreg(struct gondola_vcpu *vcpu, const u64 *arg);
s64 xen_get_debugreg(struct gondola_vcpu *vcpu, const u64 *arg);
s64 xen_set_segment_base(struct gondola_vcpu *vcpu, const u64 *arg);
s64 xen_callback_op(struct gondola_vcpu *vcpu, const u64 *arg);
/* Map the frames of a GDT into the window of @target. */
s64 xen_map_gdt(struct gondola_vcpu *vcpu, struct gondola_vcpu *target, const u64 *frames, u64 entries);
/* Take the 256 handlers of a table that was checked. */
void xen_take_traps(struct gondola_xen_vcpu *xen, const struct xen_trap *traps);
s64 xen_place_info(struct gondola_vcpu *vcpu, struct gondola_vcpu *target, u64 from);
bool xen_canonical(u64 address);
/* Switch between the guest's kernel and its programs: GS base and root. */
void xen_toggle(struct gondola_vcpu *vcpu, bool kernel);

/* xen.c */
bool xen_config_is_good(const struct gondola_xen_config *config);

/* smp.c */
/* Are all addresses of a context such that registers can hold them? */
bool xen_context_is_canonical(const struct xen_vcpu_context *context);
s64 xen_vcpu_op(struct gondola_vcpu *vcpu, const u64 *arg);
/* The vCPU begins with its context; 0 or -EAGAIN. */
int xen_start_vcpu(struct gondola_vcpu *vcpu);

/* bounce.c */
void xen_set_flat_code(struct gondola_vcpu *vcpu);
/*
 * Enter a handler of the guest's kernel, with a frame on its stack.  1; -EAGAIN; 0 if the guest has no
 * such handler or no stack, which ends it.
 */
int xen_bounce(struct gondola_vcpu *vcpu, const struct xen_handler *to, bool has_error, u32 error);
int xen_bounce_syscall(struct gondola_vcpu *vcpu, u64 next_rip);
/* XEN_IRET: 0, -XEN_EFAULT or XEN_AGAIN. */
s64 xen_iret(struct gondola_vcpu *vcpu);
int xen_get_mask(struct gondola_vcpu *vcpu, bool *mask);
int xen_set_mask(struct gondola_vcpu *vcpu, bool mask);

/* grant.c */
s64 xen_grant_table_op(struct gondola_vcpu *vcpu, const u64 *arg);
/* Is the frame one of the table of grants? */
bool xen_is_grants(const struct gondola_xen *xen, u64 frame);

/* event.c */
s64 xen_event_channel_op(struct gondola_vcpu *vcpu, const u64 *arg);
s64 xen_sched_op(struct gondola_vcpu *vcpu, const u64 *arg);
/* Raise an event on a port for its vCPU; any context. */
void xen_raise(struct gondola_vcpu *target, u32 port);
/* Raise a virtual interrupt of this vCPU. */
void xen_raise_virq(struct gondola_vcpu *vcpu, u32 virq);
/* Move what was raised to memory, and look whether the guest takes it.  1: it does; 0; -EAGAIN. */
int xen_event_due(struct gondola_vcpu *vcpu);

/* time.c */
void xen_time_init(struct gondola_vcpu *vcpu);
void xen_time_destroy(struct gondola_vcpu *vcpu);
/* Write the vCPU's clock where its struct xen_vcpu_info is. */
int xen_time_publish(struct gondola_vcpu *vcpu);
/* Write the wall clock into the shared page. */
int xen_wall_clock_publish(struct gondola_vcpu *vcpu);
s64 xen_set_one_shot(struct gondola_vcpu *vcpu, u64 from);
void xen_stop_one_shot(struct gondola_vcpu *vcpu);
/* The area that says how long @target ran is where the guest says, at @from. */
s64 xen_runstate_area(struct gondola_vcpu *vcpu, struct gondola_vcpu *target, u64 from);

/* Before an entry: tell the guest if its thread waited.  0 or -EAGAIN. */
int xen_account_steal(struct gondola_vcpu *vcpu);

#endif
