/* SPDX-License-Identifier: GPL-2.0-only */
/* Guest memory: one mapping of the launcher's, seen by the guest in one or two pieces. */
#ifndef VM_MEMORY_H
#define VM_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "base/error.h"

#define MEMORY_LOW_MAX	(3ull << 30)	/* RAM ends here and goes on at MEMORY_HIGH */
#define MEMORY_HIGH	(4ull << 30)
#define MEMORY_MIN	(2ull << 20)
#define MEMORY_MAX	(1ull << 40)	/* fits the smallest physical address widths */

/**
 * struct guest_memory - RAM
 * @base: the mapping; the bytes from gpa 0 come first, then those from MEMORY_HIGH
 * @bytes: all of it
 * @low: how much of it lies at gpa 0
 * @vm_fd: where it is registered
 * @log_dirty: somebody wants to know what is written: memory_log_dirty()
 * @log_lost: the log misses something, since @log_dirty: an -errno; then no copy can be trusted
 * @logged, @userfault: flags of its slots
 * @pagemap: the kernel's view of the mapping, open since memory_register(), or 0
 * @smaps: likewise, of the pages' sizes, or 0
 * @absent: post-copy: pages are missing, and who touches one waits for it
 * @lost: they will never come: there are zeroes in their place, which nobody wrote
 */
struct guest_memory {
	uint8_t *base;
	uint64_t bytes;
	uint64_t low;
	int vm_fd;
	bool log_dirty;
	int log_lost;
	bool logged;
	bool userfault;
	int pagemap;
	int smaps;
	bool absent;
	bool lost;
};

/** memory_create() - false with @error, if the host does not have that much */
bool memory_create(struct guest_memory *memory, uint64_t bytes, struct error *error);
/** memory_create_bare() - the same without a look at the host; 0 or -errno */
int memory_create_bare(struct guest_memory *memory, uint64_t bytes);
void memory_destroy(struct guest_memory *memory);
/** memory_at() - where @bytes at @gpa lie, NULL unless all of them are RAM in one piece */
void *memory_at(const struct guest_memory *memory, uint64_t gpa, uint64_t bytes);
/** memory_register() - tell the module: one slot or two; 0 or -errno */
int memory_register(struct guest_memory *memory, int vm_fd);
/**
 * memory_log_dirty() - from now on GONDOLA_GET_DIRTY knows what the guest and the devices write
 *
 * Any thread; the guest may run.  A reader of memory after this call sees all that was written
 * before it, and finds in the log what is written later.  0 or -errno.
 */
int memory_log_dirty(struct guest_memory *memory, bool on);
/**
 * memory_keep_empty() - clear the bits of pages that hold something
 * @bits: bit n is the page at byte n * 4096 of @base
 *
 * A page that was given to the host and written again, whatever the guest said, is no longer empty.
 * Clears all if that cannot be told.
 */
void memory_keep_empty(const struct guest_memory *memory, uint64_t *bits);
/**
 * memory_holds() - what a device is about to give to the host is what the guest has there
 *
 * Waits for pages that are on their way; false if they are lost.
 */
bool memory_holds(const struct guest_memory *memory, const struct iovec *iov, unsigned int count);
/** memory_userfault() - vCPUs leave for pages that are not there: GONDOLA_MEM_USERFAULT. 0 or -errno. */
int memory_userfault(struct guest_memory *memory, bool on);
/**
 * memory_mark_dirty() - a device has written there; costs nothing while nobody wants to know
 * @device: as named for the module (virtio_name()), or 0
 * @gpa, @bytes: within RAM
 *
 * After the write, never before.  If the module cannot note it, @log_lost says so.
 */
void memory_mark_dirty(struct guest_memory *memory, uint32_t device, uint64_t gpa,
		       uint64_t bytes);

#endif
