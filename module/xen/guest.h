/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The Xen personality: a guest whose kernel runs in ring 3 and asks for what it may not do itself, by
 * hypercalls.  It is apart from the engine: that only says why the guest left.
 */
#ifndef GONDOLA_XEN_GUEST_H
#define GONDOLA_XEN_GUEST_H

#include "record.h"
#include "vcpu.h"

struct gondola_access;
struct gondola_exit;

/*
 * What the functions below return that handle an exit: 1: enter the guest again; 0: GONDOLA_RUN
 * returns, and the run page says why; -EAGAIN: memory is missing (vcpu->missing), and the same is
 * tried again; another -errno: GONDOLA_RUN fails.
 */

/** gondola_xen_create() - make a new VM one of this personality; 0, -EOPNOTSUPP or -ENOMEM */
int gondola_xen_create(struct gondola_vm *vm);
void gondola_xen_destroy(struct gondola_vm *vm);
int gondola_xen_vcpu_create(struct gondola_vcpu *vcpu);
void gondola_xen_vcpu_destroy(struct gondola_vcpu *vcpu);

/** gondola_xen_syscall() - SYSCALL of @insn_len bytes at RIP: a hypercall, or a program's system call */
int gondola_xen_syscall(struct gondola_vcpu *vcpu, unsigned int insn_len);
/**
 * gondola_xen_prepare() - before each entry: let the guest's kernel begin with what is due
 *
 * That is the exception in vcpu->event, or else an event that is pending and not masked.
 */
int gondola_xen_prepare(struct gondola_vcpu *vcpu);
/** gondola_xen_wakes() - does an event end the vCPU's sleep? */
bool gondola_xen_wakes(struct gondola_vcpu *vcpu);
/** gondola_xen_waiting() - is the vCPU down?  If so, it must not run. */
bool gondola_xen_waiting(const struct gondola_vcpu *vcpu);
/** gondola_xen_timer_fired() - GONDOLA_REQ_TIMER, by the vCPU's thread */
void gondola_xen_timer_fired(struct gondola_vcpu *vcpu);

/**
 * gondola_xen_trap_by_int() - the vector for which INT raised this exception
 * @vector, @error: of the exception
 *
 * -1: it was not INT, or the guest's program may not raise it so.
 */
int gondola_xen_trap_by_int(struct gondola_vcpu *vcpu, u8 vector, u32 error);
/** gondola_xen_in_kernel() - does the guest's kernel run? */
bool gondola_xen_in_kernel(const struct gondola_vcpu *vcpu);
/** gondola_xen_writes_table() - may the guest's kernel write @gpa, which it sees as read-only? */
bool gondola_xen_writes_table(struct gondola_vcpu *vcpu, gpa_t gpa);
/**
 * gondola_xen_may_write() - may it write just this there?
 * @bytes: within a page; more than an entry: whole entries
 *
 * 1: it is a leaf table, and may have these entries; 0: it is none, or may not; -EAGAIN.
 */
int gondola_xen_may_write(struct gondola_vcpu *vcpu, gpa_t gpa, const void *buf, unsigned int bytes);
/* The length of CPUID with its prefix. */
#define GONDOLA_XEN_CPUID_LEN	7u

/** gondola_xen_cpuid_prefix() - does RIP point to the instructions that ask for CPUID?  1, 0 or -EAGAIN */
int gondola_xen_cpuid_prefix(struct gondola_vcpu *vcpu);
/** gondola_xen_cpuid() - answer a leaf of the personality's own; false: it is none */
bool gondola_xen_cpuid(struct gondola_vcpu *vcpu, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx);

/** gondola_xen_configure() - do GONDOLA_SET_XEN; vm->lock held; 0 or -errno as the ioctl's */
int gondola_xen_configure(struct gondola_vm *vm, const struct gondola_xen_config *config);
/** gondola_xen_get_unknown() - do GONDOLA_XEN_UNKNOWN */
int gondola_xen_get_unknown(struct gondola_vm *vm, struct gondola_xen_unknown *out);
/** gondola_xen_event() - do GONDOLA_XEN_RAISE */
int gondola_xen_event(struct gondola_vm *vm, u32 port);

/* state.c: what is saved of such a VM and of its vCPUs; of a machine there is nothing to save. */
extern const struct gondola_record_row gondola_xen_record, gondola_xen_ports_record,
	gondola_xen_pins_record, gondola_xen_vcpu_record, gondola_xen_context_record;

#endif
