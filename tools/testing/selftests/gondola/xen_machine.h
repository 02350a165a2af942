/* SPDX-License-Identifier: GPL-2.0-only */
/* A paravirtualized guest of a page of code, which makes hypercalls. */
#ifndef XEN_MACHINE_H
#define XEN_MACHINE_H

#include <signal.h>
#include "machine.h"

#define PAGE		4096u
#define PAGES		(MEMORY_BYTES / PAGE)
#define SHARED		0x700u			/* frames of the monitor's */
#define THIRD		0x701u
#define SECOND		0x702u
#define FIRST		0x703u
#define EMPTY		0x704u
#define GRANTS		0x705u			/* and the next */
#define NR_GRANTS	2u
#define ENTRY		0x67ull			/* present, writable, a user's, used */
#define READ_ONLY	0x65ull
#define BATCH		8u
#define RANDOM		(DATA + PAGE)		/* what pointers lead to */
#define HANDLER		0x800u			/* in the page of code */
#define CONSOLE_PORT	1u

/* Makes as many calls of the list at RBX as EBP says, then says so. */
extern const char make_calls[], make_calls_end[];
/* A handler of traps and events: the stack that the monitor made is at DATA afterwards. */
extern const char take_trap[], take_trap_end[];

/* The guest has done nothing within the time. */
extern volatile sig_atomic_t xen_late;
/* That time, in us; at first: */
#define XEN_LIMIT_US	50000
extern unsigned int xen_limit_us;

/** xen_create() - a VM with one vCPU, ready to run; xen_create_bare(): it has no configuration yet */
void xen_create(struct machine *machine);
void xen_create_bare(struct machine *machine);
void xen_create_vcpu(struct machine *machine, unsigned int id);
struct gondola_xen_config xen_config(void);
/** xen_begin() - its tables and registers are those of the beginning */
void xen_begin(struct machine *machine);

/** xen_list() - number, six arguments and result of a call of the list */
uint64_t *xen_list(struct machine *machine, unsigned int call);
uint64_t *xen_at(struct machine *machine, uint64_t gpa);
/**
 * xen_run_batch() - run until the guest writes to RESULT_PORT; the console is not listened to
 *
 * False: it has ended, or done nothing for long.
 */
bool xen_run_batch(struct machine *machine);
/* One call from the beginning; its result. */
int64_t xen_call_with(struct machine *machine, uint64_t number, const uint64_t arg[4]);
int64_t xen_call(struct machine *machine, uint64_t number, uint64_t arg0, uint64_t arg1);
int64_t xen_call3(struct machine *machine, uint64_t number, uint64_t arg0, uint64_t arg1, uint64_t arg2);
int64_t xen_call4(struct machine *machine, uint64_t number, uint64_t arg0, uint64_t arg1, uint64_t arg3);

#endif
