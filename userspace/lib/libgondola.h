/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libgondola: the ABI of /dev/gondola as functions.
 *
 * __gondola_x() returns 0, a descriptor or -errno.  For programs that cannot handle errors,
 * gondola_x() returns only on success, and otherwise ends the program with a line about the refusal
 * and its reason.
 */
#ifndef LIBGONDOLA_H
#define LIBGONDOLA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/gondola.h>
#include <linux/gondola_state.h>

#define GONDOLA_DEVICE		"/dev/gondola"
#define GONDOLA_RECORD_VERSION	1

/**
 * gondola_on_die - called by gondola_die() with its message
 *
 * Must not return. The default prints it to stderr and exits with status 14.
 */
extern void (*gondola_on_die)(int error, const char *message);
/** gondola_die() - end the program: @error is an errno (or 0), the rest says what was tried */
void gondola_die(int error, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));

/* ---- names: NULL for a number that this header does not know --------------- */

const char *gondola_reason_name(unsigned int reason);
const char *gondola_counter_name(unsigned int counter);
/** gondola_user_exit_name() - enum gondola_user_exit */
const char *gondola_user_exit_name(unsigned int why);
const char *gondola_engine_name(unsigned int engine);
/** gondola_engine_by_name() - enum gondola_engine_id, or -1; "auto" is ANY */
int gondola_engine_by_name(const char *name);
/** gondola_preflight_words() - enum gondola_preflight_reason as half a sentence */
const char *gondola_preflight_words(unsigned int reason);
/** gondola_preflight_advice() - advice for the user, or NULL */
const char *gondola_preflight_advice(unsigned int engine, unsigned int reason);

/* ---- system ------------------------------------------------------------------ */

/** __gondola_open() - the device, its ABI version checked (-EPROTO: another one) */
int __gondola_open(void);
int __gondola_preflight(int sys, uint32_t engine, struct gondola_preflight *out);
int __gondola_create_vm(int sys, uint32_t engine, const char *name);
/** __gondola_create_vm_as() - the same with GONDOLA_VM_* as @flags */
int __gondola_create_vm_as(int sys, uint32_t engine, uint32_t flags, const char *name);
int gondola_create_vm(int sys, uint32_t engine, const char *name);
/** __gondola_engine_cpuid() - for VMs of @engine; @count: in: room, out: entries */
int __gondola_engine_cpuid(int sys, uint32_t engine, struct gondola_cpuid_entry *entries,
			   uint32_t *count);
/** __gondola_supported_cpuid() - the same, for the engine that would be chosen */
int __gondola_supported_cpuid(int sys, struct gondola_cpuid_entry *entries, uint32_t *count);

/* ---- VM ---------------------------------------------------------------------- */

int __gondola_set_memory(int vm, uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t bytes,
			 const void *hva);
int __gondola_irq_line(int vm, uint32_t gsi, bool level);
void gondola_irq_line(int vm, uint32_t gsi, bool level);
/** gondola_ioeventfd() - @word may be NULL; see struct gondola_ioeventfd */
int __gondola_ioeventfd(int vm, uint32_t flags, int fd, uint64_t address, uint32_t bytes,
			uint64_t datamatch, void *word);
int __gondola_irqfd(int vm, uint32_t flags, int fd, uint32_t gsi);
int __gondola_create_vcpu(int vm, uint32_t id);
int gondola_create_vcpu(int vm, uint32_t id);
int __gondola_get_dirty(int vm, uint32_t slot, uint64_t first, uint64_t pages, uint64_t *bitmap);
/** gondola_clear_dirty() - clear the log of the pages in @bitmap, which then has those that were dirty */
int __gondola_clear_dirty(int vm, uint32_t slot, uint64_t first, uint64_t pages, uint64_t *bitmap);
/** gondola_mark_dirty() - @device: see gondola_name_device(), or 0 */
int __gondola_mark_dirty(int vm, uint32_t source, uint32_t device, uint64_t gpa, uint64_t bytes);
/** gondola_name_device() - @device: 1 … GONDOLA_MAX_DEVICES; a name that is too long is cut */
int __gondola_name_device(int vm, uint32_t device, const char *name);
int __gondola_mark(int vm, uint32_t phase, uint32_t round);
/** gondola_hold_clock() - @held_ns, @lost_ns: see struct gondola_hold_clock; may be NULL */
int __gondola_hold_clock(int vm, bool hold, uint64_t *held_ns, uint64_t *lost_ns);
/** gondola_set_xen() - see struct gondola_xen_config, whose size is set here */
int __gondola_set_xen(int vm, const struct gondola_xen_config *config);
int __gondola_xen_raise(int vm, uint32_t port);
int __gondola_xen_unknown(int vm, struct gondola_xen_unknown *unknown);
/** gondola_get_shadows() - all shadow tables, counted */
int __gondola_get_shadows(int vm, struct gondola_shadows *shadows);

/* ---- vCPU -------------------------------------------------------------------- */

/** __gondola_map_run() - the shared page of a vCPU, GONDOLA_RUN_SIZE bytes */
int __gondola_map_run(int vcpu, struct gondola_run **run);
int __gondola_run(int vcpu);
int __gondola_set_cpuid(int vcpu, const struct gondola_cpuid_entry *entries, uint32_t count);
int __gondola_nmi(int vcpu);
int __gondola_get_stats(int vcpu, struct gondola_stats *stats);
/** gondola_set_debug() - see struct gondola_debug, whose size is set here */
int __gondola_set_debug(int vcpu, const struct gondola_debug *debug);
/** gondola_get_history() - the last exits; @count: in: room, out: written; @total: so far */
int __gondola_get_history(int vcpu, struct gondola_history_entry *entries, uint32_t *count,
			  uint64_t *total);
/** gondola_get_shadow() - the shadow entries of @gva, and what is known of the page at @gpa */
int __gondola_get_shadow(int vcpu, uint64_t gva, uint64_t gpa, struct gondola_shadow *shadow);

/* ---- state records ------------------------------------------------------------ */

/** struct gondola_fault - the field that SET_STATE refused */
struct gondola_fault {
	uint32_t record;
	uint32_t field;
};

/** gondola_get_state() - @bytes: in: room at @buffer, out: written */
int __gondola_get_state(int fd, void *buffer, uint64_t *bytes);
/**
 * gondola_read_state() - likewise, in a buffer of as many bytes as it takes, which the caller frees
 *
 * 0, or -errno, and *@buffer is NULL then.
 */
int __gondola_read_state(int fd, void **buffer, uint64_t *bytes);
/** gondola_set_state() - @fault may be NULL */
int __gondola_set_state(int fd, const void *buffer, uint64_t bytes, struct gondola_fault *fault);

/** gondola_put_record() - append a record; returns the bytes used from then on */
size_t gondola_put_record(void *buffer, size_t room, size_t used, uint32_t type,
			  const void *payload, uint32_t bytes);
/** gondola_find_record() - payload of the first record of @type, NULL if none has @bytes */
const void *gondola_find_record(const void *buffer, size_t used, uint32_t type, uint32_t bytes);

int __gondola_set_registers(int vcpu, const struct gondola_rec_regs *regs,
			    const struct gondola_rec_sregs *sregs, struct gondola_fault *fault);
void gondola_set_registers(int vcpu, const struct gondola_rec_regs *regs,
			   const struct gondola_rec_sregs *sregs);
int __gondola_get_registers(int vcpu, struct gondola_rec_regs *regs,
			    struct gondola_rec_sregs *sregs);
/** gondola_record_name() - enum gondola_record_type in a word */
const char *gondola_record_name(uint32_t type);
/** gondola_record_field() - the refused field of a record, in words */
const char *gondola_record_field(uint32_t type, uint32_t offset, char *buffer, size_t room);
/** gondola_sregs_field() - name of the field at byte @offset of struct gondola_rec_sregs */
const char *gondola_sregs_field(uint32_t offset, char *buffer, size_t room);

#endif
