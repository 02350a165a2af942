/* SPDX-License-Identifier: GPL-2.0-only */
/* A VM under test: the launcher as a child, its guest's console as questions and answers. */
#ifndef BALLOON_TEST_VM_H
#define BALLOON_TEST_VM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "policy/guest.h"
#include "tap.h"

#define MIB(n)	((uint64_t)(n) << 20)

struct vm {
	char name[32];
	pid_t pid;
	int to;
	FILE *from;
	FILE *log;
	char answer[256];
	struct guest guest;
};

/** vm_start() - boot a guest of @mib; @options: more words for "gondola run", or NULL */
void vm_start(struct vm *vm, const char *name, unsigned int mib, const char *options);
/** vm_create() - gondola create */
void vm_create(const char *name, unsigned int mib, const char *options);
/** vm_start_created() - gondola start; 0, or its exit status if it did not come so far */
int vm_start_created(struct vm *vm, const char *name);
/** vm_receive() - gondola receive, on a socket; it listens when this returns */
void vm_receive(struct vm *vm, const char *name, const char *path);
/** vm_arrived() - it has the VM now */
void vm_arrived(struct vm *vm);
/** vm_left() - the launcher of a VM that was moved away ends as it should */
void vm_left(struct vm *vm);
/** vm_ask() - a line for the guest; vm->answer is its last answer; returns its status */
int vm_ask(struct vm *vm, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** vm_end() - powers it off; checks that the launcher ends well */
void vm_end(struct vm *vm);
/** vm_kill_all() - those that a failed test left */
void vm_kill_all(void);
/** vm_rss() - the launcher's resident memory, bytes */
uint64_t vm_rss(const struct vm *vm);
/** vm_cpu_ns() - processor time of the launcher, its guest's included */
uint64_t vm_cpu_ns(const struct vm *vm);
/** vm_mem() - the guest's MemTotal and MemAvailable, KiB */
void vm_mem(struct vm *vm, uint64_t *total, uint64_t *available);

/** vm_balloon() - a goal, waited for; returns why it ended: vm->guest.reason */
const char *vm_balloon(struct vm *vm, const struct guest_request *request);
/** vm_wait() - until the goal under way has ended */
const char *vm_wait(struct vm *vm);
/** figure() - a line of JSON for what was measured */
void figure(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** run() - a shell command; its status, and its output in @output (1024 bytes) if that is not NULL */
int run(char *output, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
