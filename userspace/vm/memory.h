/* SPDX-License-Identifier: GPL-2.0-only */
/* Guest memory: one mapping in the launcher, in one or two pieces for the guest. */
#ifndef VM_MEMORY_H
#define VM_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "base/error.h"

#define MEMORY_LOW_MAX	(3ull << 30)	/* RAM ends here and continues at MEMORY_HIGH */
#define MEMORY_HIGH	(4ull << 30)
#define MEMORY_MIN	(2ull << 20)
#define MEMORY_MAX	(1ull << 40)	/* fits the smallest width of physical addresses */

/**
 * struct guest_memory - RAM
 * @base: the mapping: first the bytes from gpa 0, then those from MEMORY_HIGH
 * @bytes: size
 * @low: bytes of it at gpa 0
 * @vm_fd: the VM where it is registered
 * @log_dirty: writes must be logged: memory_log_dirty()
 * @log_lost: -errno if the log misses a write since @log_dirty; then no copy can be trusted
 * @logged, @userfault: flags of its slots
 * @pagemap: the kernel's view of the mapping, open since memory_register(), or 0
 * @smaps: likewise, of the pages' sizes, or 0
 * @absent: post-copy: pages are missing, and a thread that touches one waits for it
 * @lost: missing pages will not come, and read as zeroes, which nobody wrote
 * @fd: a file in memory that other programs can map, of all of it; 0: it is private
 * @image: it is private, and pages that were not written are those of a file
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
	int fd;
	bool image;
};

/**
 * memory_create() - create guest memory; false with @error, if the host does not have that much
 * @shared: other programs can map it, by @memory->fd
 */
bool memory_create(struct guest_memory *memory, uint64_t bytes, bool shared, struct error *error);
/** memory_create_bare() - the same without a check of the host's memory; 0 or -errno */
int memory_create_bare(struct guest_memory *memory, uint64_t bytes, bool shared);
void memory_destroy(struct guest_memory *memory);
/** memory_share() - create a file of @bytes in memory, whose length nobody can change; or -errno */
int memory_share(uint64_t bytes);
/**
 * memory_map_image() - let private memory begin with the contents of @fd, which has its size
 *
 * All that map the file share its pages until they write them.  Nobody changes the file meanwhile.
 * 0 or -errno.
 */
int memory_map_image(struct guest_memory *memory, int fd);
/** memory_discard() - give whole pages back to the host, which read as zeroes then; 0 or -errno */
int memory_discard(const struct guest_memory *memory, void *at, uint64_t bytes);
/** memory_at() - get the address of @bytes at @gpa; NULL unless all of them are RAM in one piece */
void *memory_at(const struct guest_memory *memory, uint64_t gpa, uint64_t bytes);
/** memory_register() - register it with the module, as one slot or two; 0 or -errno */
int memory_register(struct guest_memory *memory, int vm_fd);
/**
 * memory_log_dirty() - log writes of guest and devices from now on, for GONDOLA_GET_DIRTY
 *
 * Any thread; the guest may run.  A reader of memory after this call finds all earlier writes in
 * memory, and all later ones in the log.  0 or -errno.
 */
int memory_log_dirty(struct guest_memory *memory, bool on);
/**
 * memory_keep_empty() - clear the bits of pages that hold something
 * @bits: bit n is the page at byte n * 4096 of @base
 *
 * A page that was given to the host and written again is not empty, whatever the guest said. Clears
 * all bits if the kernel cannot tell.
 */
void memory_keep_empty(const struct guest_memory *memory, uint64_t *bits);
/**
 * memory_holds() - does memory have the guest's contents, which a device will give to the host?
 *
 * Waits for missing pages; false if they are lost.
 */
bool memory_holds(const struct guest_memory *memory, const struct iovec *iov, unsigned int count);
/** memory_userfault() - let vCPUs exit for missing pages: GONDOLA_MEM_USERFAULT; 0 or -errno */
int memory_userfault(struct guest_memory *memory, bool on);
/**
 * memory_mark_dirty() - log a device's write; cheap while there is no log
 * @device: number named for the module (virtio_name()), or 0
 * @gpa, @bytes: within RAM
 *
 * Call it after the write.  If the module cannot log it, @log_lost is set.
 */
void memory_mark_dirty(struct guest_memory *memory, uint32_t device, uint64_t gpa,
		       uint64_t bytes);

#endif
