/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fuzzer of the ABI: threads call all ioctls at random on the same descriptors, while
 * others rewrite run pages and take memory away.
 *
 * A round is a function of its lineage, a row of seeds: the first makes a sequence of calls
 * for each thread, each further one changes it a little. What reached new code of the module
 * is kept, and the lineages of later rounds go on from there.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <pthread.h>
#include <stdatomic.h>
#include <linux/gondola.h>
#include <linux/gondola_state.h>
#include "random.h"

#define PAGE		4096ul
#define MAX_THREADS	4
#define MAX_CALLS	96	/* of one thread in a round */
#define MAX_LINEAGE	24
#define STATE_BYTES	(32u << 10)	/* room for a saved state, at the begin of a thread's arguments */
#define MAX_RECORDS	24
#define JOURNAL		24	/* last calls that are remembered */
#define NOTE		160

#define MAX_SYS		2
#define MAX_VMS		3
#define MAX_VCPUS	8
#define MAX_EVENTS	6

/**
 * struct note - one call in a thread's journal
 * @seed: what the call is made of
 * @words: what it was, in words
 * @result: of it; INT_MIN: it has not come back yet
 */
struct note {
	uint64_t seed;
	char words[NOTE];
	long result;
};

/**
 * struct worker - one thread that makes calls
 * @number: of it
 * @random: of the call that is made
 * @calls: seeds of the calls of this round
 * @nr_calls: how many
 * @done: how many have been made
 * @kicks: signals of the watcher that arrived
 * @kicked_at: where the program was at the last one
 * @journal: the last ones, a ring
 * @args: memory for arguments
 * @coverage: the buffer of KCOV, or NULL
 * @kcov: its descriptor
 * @fail_nth: descriptor by which an allocation of the thread fails, or -1
 * @failing: one is to fail in this call
 */
struct worker {
	unsigned int number;
	pthread_t thread;
	pid_t tid;
	struct random random;
	uint64_t calls[MAX_CALLS];
	unsigned int nr_calls;
	atomic_uint done;
	atomic_uint kicks;
	atomic_ullong kicked_at;
	struct note journal[JOURNAL];
	uint8_t *args;
	uint64_t *coverage;
	int kcov;
	int fail_nth;
	bool failing;
};

/**
 * struct vcpu - a vCPU's descriptor, and its run page where it was mapped
 * @vm: index of its VM
 */
struct vcpu {
	atomic_int fd;
	int vm;
	struct gondola_run *_Atomic run;
};

#define MAX_SLOTS	6

/* A slot as it was last set; threads race for it, and it may be wrong. */
struct slot {
	uint64_t gpa;
	uint64_t bytes;
	uint64_t hva;
	uint32_t flags;
};

/**
 * struct world - what the calls of a round share
 * @sys: descriptors of the device; those that are not there are -1, here and below
 * @ended: the threads that disturb are to end
 */
struct world {
	atomic_int sys[MAX_SYS];
	atomic_int vms[MAX_VMS];
	struct vcpu vcpus[MAX_VCPUS];
	struct slot slots[MAX_VMS][MAX_SLOTS];
	atomic_int events[MAX_EVENTS];
	atomic_bool ended;
};

extern struct world world;

/* Memory (memory.c) */

/* Held by those who make mappings, so that none of them lands in a hole of the arena. */
extern pthread_mutex_t mappings;
/** memory_begin() - a new arena for a round; memory_end() takes it away */
void memory_begin(struct random *r);
void memory_end(void);
/** memory_disturb() - one step of a thread that changes the arena */
void memory_disturb(struct random *r);
/** memory_answer() - give those who wait for a page of the userfaultfd what they wait for */
void memory_answer(void);
/** memory_any() - an address in the arena, or beside it; memory_good(): one with memory */
uint64_t memory_any(struct random *r);
uint64_t memory_good(void);
#define GOOD_BYTES	(2u << 20)
/** memory_is_own() - some of it is the fuzzer's, and no guest and no call may write there */
bool memory_is_own(uint64_t from, uint64_t bytes);
/** memory_put() - copy to an address that may be anything */
void memory_put(uint64_t to, const void *from, size_t bytes);

/* Calls (calls.c, objects.c, states.c, guest.c) */

/** call() - make the call that a seed says */
void call(struct worker *w, uint64_t seed);
/** do_ioctl() - with @bytes at @arg, which are sometimes put where they cannot be read */
long do_ioctl(struct worker *w, int fd, unsigned int request, const void *arg, size_t bytes,
	      const char *name);
/** say() - the words of the call that comes next */
__attribute__((format(printf, 2, 3)))
void say(struct worker *w, const char *format, ...);
/** do_set_memory() - a slot, of which a note is kept */
void do_set_memory(struct worker *w, int fd, const struct gondola_memory_slot *arg);
/** print_calls() - which calls were made and succeeded, so that a fuzzer of refusals shows */
void print_calls(void);
/** said() - its result */
long said(struct worker *w, long result);

int any_sys(struct random *r);
int any_vm(struct random *r);
/** any_slot() - one of a VM that is there, where it can be found; *@fd is the VM's descriptor */
struct slot *any_slot(struct random *r, int *fd, uint32_t *number);
struct vcpu *any_vcpu(struct random *r);
int any_event(struct random *r);

/** any_place() - a guest-physical address where a slot may be, or may come to be */
uint64_t any_place(struct random *r);

/** find_records() - those of a state, which may say anything of their lengths; how many */
size_t find_records(uint8_t *state, uint64_t bytes, struct gondola_record *out[MAX_RECORDS]);
/** records_end() - find_records() ends, whatever the lengths are */
bool records_end(void);

void call_state(struct worker *w);
void call_boot(struct worker *w);
void call_run(struct worker *w);
void call_create_vm(struct worker *w);
void call_create_vcpu(struct worker *w);
void call_map_run(struct worker *w);
void call_close(struct worker *w);
void call_cpuid(struct worker *w);

/* The kernel's side (kernel.c) */

/** kernel_begin() - switch on what there is: coverage, failing allocations, the kernel's log */
void kernel_begin(void);
void kernel_thread(struct worker *w);
/** kernel_before_call() - @may_fail: signals may wait, so that something in it may be made to fail */
void kernel_before_call(struct worker *w, bool may_fail);
void kernel_after_call(struct worker *w);
/** kernel_new_code() - how many addresses were never reached before the last call of this */
unsigned int kernel_new_code(void);
unsigned int kernel_reached(void);
/** kernel_complains() - print what the kernel's log complains of; false: nothing */
bool kernel_complains(void);
/** kernel_times() - ticks of a thread in user mode and in the kernel */
void kernel_times(int tid, unsigned long ticks[2]);
/** kernel_threads() - print where all threads of this process are; the kernel's log has more */
void kernel_threads(void);
/** kernel_number() - of a file of the module in debugfs, or -1 */
long long kernel_number(const char *name);
/** kernel_own_vms() - how many VMs of this process the module has */
unsigned int kernel_own_vms(void);

#endif
