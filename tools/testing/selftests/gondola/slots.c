// SPDX-License-Identifier: GPL-2.0-only
/* Memory slots: what is refused, and what a guest sees of those that are taken. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "machine.h"

#define PAGE	4096ull
#define MIB	(1ull << 20)

static void *map_pages(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	require(at != MAP_FAILED);
	return at;
}

static void refused(void)
{
	struct machine machine;
	char *at = map_pages(4 * MIB);

	machine_bare(&machine);
#define SET(slot, flags, gpa, bytes, hva) \
	__gondola_set_memory(machine.vm, slot, flags, gpa, bytes, hva)
	expect_equal(SET(0, 0, 0, 100, at), -EINVAL);
	expect_equal(SET(0, 0, 100, PAGE, at), -EINVAL);
	expect_equal(SET(0, 0, 0, PAGE, at + 8), -EINVAL);
	expect_equal(SET(GONDOLA_MAX_SLOTS, 0, 0, PAGE, at), -EINVAL);
	expect_equal(SET(~0u, 0, 0, PAGE, at), -EINVAL);
	expect_equal(SET(0, 8, 0, PAGE, at), -EINVAL);
	/* It wraps, in the guest's addresses or in ours. */
	expect_equal(SET(0, 0, ~0ull - PAGE + 1, 2 * PAGE, at), -EINVAL);
	expect_equal(SET(0, 0, 0, ~0ull - PAGE + 1, at), -EINVAL);
	expect_equal(SET(0, 0, 0, 2 * PAGE, (void *)(~0ull - PAGE + 1)), -EINVAL);
	/* The kernel's half of our addresses. */
	expect_equal(SET(0, 0, 0, PAGE, (void *)0xffff888000000000), -EINVAL);
	/* More than any guest-physical address. */
	expect_equal(SET(0, 0, 1ull << 60, PAGE, at), -EINVAL);
	/* A slot that is not there cannot be removed. */
	expect_equal(SET(3, 0, 0, 0, at), -EINVAL);
	munmap(at, 4 * MIB);
	expect_equal(SET(0, 0, 0, 4 * MIB, at), -EFAULT);
	machine_destroy(&machine);
}

static void overlapping(void)
{
	struct machine machine;
	char *at = map_pages(4 * MIB);

	machine_bare(&machine);
	expect_equal(SET(0, 0, MIB, MIB, at), 0);
	expect_equal(SET(1, 0, MIB, PAGE, at), -EEXIST);
	expect_equal(SET(1, 0, 2 * MIB - PAGE, 2 * PAGE, at), -EEXIST);
	expect_equal(SET(1, 0, 0, 4 * MIB, at), -EEXIST);
	expect_equal(SET(1, 0, MIB - PAGE, 2 * PAGE, at), -EEXIST);
	/* Beside it there is room. */
	expect_equal(SET(1, 0, 2 * MIB, PAGE, at), 0);
	expect_equal(SET(2, 0, MIB - PAGE, PAGE, at), 0);
	/* In place only the flags may change. */
	expect_equal(SET(0, GONDOLA_MEM_LOG_DIRTY, MIB, MIB, at), 0);
	expect_equal(SET(0, 0, MIB, 2 * PAGE, at), -EEXIST);
	expect_equal(SET(0, 0, MIB, MIB, at + PAGE), -EEXIST);
	expect_equal(SET(0, 0, 0, 0, NULL), 0);
	expect_equal(SET(0, 0, MIB, PAGE, at), 0);
	machine_destroy(&machine);
	munmap(at, 4 * MIB);
}

static void every_slot(void)
{
	struct machine machine;
	char *at = map_pages(PAGE);

	machine_bare(&machine);
	for (uint32_t i = 0; i < GONDOLA_MAX_SLOTS; i++)
		expect_equal(SET(i, 0, i * MIB, PAGE, at), 0);
	for (uint32_t i = 0; i < GONDOLA_MAX_SLOTS; i++)
		expect_equal(SET(i, 0, 0, 0, NULL), 0);
	machine_destroy(&machine);
	munmap(at, PAGE);
}

/* Reads and writes at DATA + 0x100000, reports what it read. */
GUEST_CODE(touch, 64, "1: mov 0x140000, %eax; out %eax, $0x80; incl 0x140000; jmp 1b");
#define WINDOW	0x140000u

/* The guest sees what the host changes under it: the slot, and the page itself. */
static void replaced(void)
{
	uint32_t *other = map_pages(PAGE);
	struct machine machine;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, touch);
	other[0] = 500;
	*(uint32_t *)(machine.memory + WINDOW) = 10;
	expect_equal(machine_result(&machine), 10);
	expect_equal(machine_result(&machine), 11);
	/* The host takes the page away: the guest finds a new one, of zeroes, and adds one. */
	require_equal(madvise(machine.memory + WINDOW, PAGE, MADV_DONTNEED), 0);
	expect_equal(machine_result(&machine), 1);
	expect_equal(machine_result(&machine), 2);
	/* The slot is cut in three, another page in the middle. */
	require_equal(__gondola_set_memory(machine.vm, 0, 0, 0, 0, NULL), 0);
	require_equal(__gondola_set_memory(machine.vm, 0, 0, 0, WINDOW, machine.memory), 0);
	require_equal(__gondola_set_memory(machine.vm, 1, 0, WINDOW, PAGE, other), 0);
	expect_equal(machine_result(&machine), 501);
	expect_equal(other[0], 501);
	machine_destroy(&machine);
	munmap(other, PAGE);
}

static void read_only(void)
{
	struct machine machine;
	uint32_t *other = map_pages(PAGE);

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, touch);
	other[0] = 42;
	require_equal(__gondola_set_memory(machine.vm, 0, 0, 0, 0, NULL), 0);
	require_equal(__gondola_set_memory(machine.vm, 0, 0, 0, WINDOW, machine.memory), 0);
	require_equal(__gondola_set_memory(machine.vm, 1, GONDOLA_MEM_READONLY, WINDOW, PAGE,
					   other), 0);
	expect_equal(machine_result(&machine), 42);
	/* The write comes to us. */
	machine_run(&machine);
	require_equal(machine.run->exit, GONDOLA_EXIT_MMIO);
	expect_equal(machine.run->mmio.gpa, WINDOW);
	expect_equal(machine.run->mmio.write, 1);
	expect_equal(machine.run->mmio.bytes, 4);
	expect_equal(*(uint32_t *)machine.run->mmio.data, 43);
	expect_equal(machine_result(&machine), 42);
	/* Mapped anew, by a guest entry that is dirty by now: nothing has to come by for D. */
	require_equal(__gondola_set_memory(machine.vm, 1, 0, 0, 0, NULL), 0);
	require_equal(__gondola_set_memory(machine.vm, 1, GONDOLA_MEM_READONLY, WINDOW, PAGE,
					   other), 0);
	require_equal(__gondola_get_registers(machine.vcpu, &machine.regs, &machine.sregs), 0);
	machine.regs.rip = CODE;
	machine_set(&machine);
	expect_equal(machine_result(&machine), 42);
	machine_run(&machine);
	require_equal(machine.run->exit, GONDOLA_EXIT_MMIO);
	expect_equal(machine.run->mmio.write, 1);
	expect_equal(other[0], 42);
	machine_destroy(&machine);
	munmap(other, PAGE);
}

GUEST_CODE(dirty_pages, 64,
	   "mov $0x100000, %edi\n"
	   "1: movl $1, (%rdi); add $0x2000, %edi; cmp $0x120000, %edi; jb 1b\n"
	   "out %eax, $0x80; mov $0x100000, %edi; jmp 1b");

static void dirty_log(void)
{
	uint64_t bitmap[8] = { 0 }, again[8] = { 0 };
	struct machine machine;

	machine_create(&machine, MODE_LONG);
	GUEST_LOAD(&machine, dirty_pages);
	machine_result(&machine);
	/* Enabled while pages are mapped writable. */
	require_equal(__gondola_set_memory(machine.vm, 0, GONDOLA_MEM_LOG_DIRTY, 0, MEMORY_BYTES,
					   machine.memory), 0);
	require_equal(__gondola_get_dirty(machine.vm, 0, 256, 64, bitmap), 0);
	expect_equal(bitmap[0], ~0ull);
	require_equal(__gondola_clear_dirty(machine.vm, 0, 256, 64, bitmap), 0);
	machine_result(&machine);
	require_equal(__gondola_get_dirty(machine.vm, 0, 256, 64, bitmap), 0);
	expect_equal(bitmap[0], 0x55555555);
	/* Reading does not clear; clearing clears what it is told. */
	require_equal(__gondola_get_dirty(machine.vm, 0, 256, 64, again), 0);
	expect_equal(again[0], bitmap[0]);
	bitmap[0] = 0xffff;
	require_equal(__gondola_clear_dirty(machine.vm, 0, 256, 64, bitmap), 0);
	expect_equal(bitmap[0], 0x5555);
	require_equal(__gondola_get_dirty(machine.vm, 0, 256, 64, again), 0);
	expect_equal(again[0], 0x55550000);
	machine_result(&machine);
	require_equal(__gondola_get_dirty(machine.vm, 0, 256, 64, again), 0);
	expect_equal(again[0], 0x55555555);
	/* Our own write is dirty once we say so. */
	require_equal(__gondola_mark_dirty(machine.vm, GONDOLA_DIRTY_DEVICE, 0, 0x101800, 0x1000), 0);
	require_equal(__gondola_get_dirty(machine.vm, 0, 256, 64, again), 0);
	expect_equal(again[0], 0x55555557);
	machine_destroy(&machine);
}

static void dirty_log_refused(void)
{
	struct machine machine;
	uint64_t bitmap[64] = { 0 };

	machine_create(&machine, MODE_LONG);
	expect_equal(__gondola_get_dirty(machine.vm, 0, 0, 64, bitmap), -EINVAL);
	require_equal(__gondola_set_memory(machine.vm, 0, GONDOLA_MEM_LOG_DIRTY, 0, MEMORY_BYTES,
					   machine.memory), 0);
	expect_equal(__gondola_get_dirty(machine.vm, 0, 3, 64, bitmap), -EINVAL);
	expect_equal(__gondola_get_dirty(machine.vm, 0, 0, 0, bitmap), -EINVAL);
	expect_equal(__gondola_get_dirty(machine.vm, 0, 0, MEMORY_BYTES / 4096 + 1, bitmap),
		     -EINVAL);
	expect_equal(__gondola_get_dirty(machine.vm, 0, 64, ~0ull, bitmap), -EINVAL);
	expect_equal(__gondola_get_dirty(machine.vm, 5, 0, 64, bitmap), -EINVAL);
	expect_equal(__gondola_get_dirty(machine.vm, 0, 0, 64, (uint64_t *)8), -EFAULT);
	bitmap[0] = ~0ull;
	expect_equal(__gondola_clear_dirty(machine.vm, 0, 0, 10, bitmap), -EINVAL);
	expect_equal(__gondola_mark_dirty(machine.vm, GONDOLA_DIRTY_VCPU, 0, 0, 1), -EINVAL);
	expect_equal(__gondola_mark_dirty(machine.vm, GONDOLA_DIRTY_HOST, 0, ~0ull, 2), -EINVAL);
	machine_destroy(&machine);
}

static const struct tap_test tests[] = {
	{ "unaligned, wrapping and unmapped slots are refused", refused },
	{ "overlapping slots are refused", overlapping },
	{ "every slot can be set and removed", every_slot },
	{ "pages and slots changed under a guest are seen by it", replaced },
	{ "writes to read-only memory come to the launcher", read_only },
	{ "the dirty log has what was written, until it is cleared", dirty_log },
	{ "wrong ranges of the dirty log are refused", dirty_log_refused },
};

TAP_MAIN(tests)
