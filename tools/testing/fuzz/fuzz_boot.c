// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel images: bzImage, ELF with a PVH note, multiboot with ELF and without, boot sectors. An
 * input is a byte of what goes along (an initrd, a module, a long command line, little memory) and of
 * how it starts, and the file.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "boot/boot.h"
#include "tests/images.h"
#include "world.h"

#define MEMORY		(32ull << 20)
#define GUARD		(1ull << 20)	/* behind memory: whatever reaches it ends the run */
#define INITRD		1
#define MODULE		2
#define LONG		4
#define SMALL		8
#define AS_XEN		16

static uint8_t *base;

static void prepare(void)
{
	base = mmap(NULL, MEMORY + GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		    -1, 0);
	if (base == MAP_FAILED || mprotect(base, MEMORY, PROT_READ | PROT_WRITE))
		abort();
}

static void check(const struct boot *boot)
{
	/* A guest starts in memory that it was told of, or in none: it must not be the host's. */
	if (!boot->protocol || (boot->regs.rip >> 32 && !boot->as_xen))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static char append[4000];
	struct input input = { data, data + bytes };
	uint8_t how = input_take(&input, 1);
	uint64_t room = how & SMALL ? MEMORY_MIN : MEMORY;
	struct guest_memory memory = { .bytes = room, .low = room, .vm_fd = -1 };
	struct boot boot = { .memory = &memory, .append = "console=ttyS0", .cpus = 2 };

	boot.as_xen = how & AS_XEN;
	if (!base)
		prepare();
	memory.base = base + MEMORY - room;
	boot.kernel = world_file(input.at, input.end - input.at);
	if (how & INITRD)
		boot.initrd = world_file(data, bytes);
	if (how & MODULE)
		boot.modules[boot.nr_modules++] = (struct boot_module){
			world_file(data, bytes), "an argument" };
	memset(append, 'a', sizeof(append) - 1);
	if (how & LONG)
		boot.append = append;
	if (!boot_load(&boot))
		check(&boot);
	else if (!memchr(boot.error.words, 0, sizeof(boot.error.words)) || !boot.error.words[0])
		abort();
	madvise(base, MEMORY, MADV_DONTNEED);
	world_forget();
	return 0;
}

void world_make_seeds(void)
{
	make_bzimage(1);
	world_seed("bzimage-64", INITRD, made.data, made.bytes);
	make_bzimage(0);
	world_seed("bzimage-32", INITRD | LONG, made.data, made.bytes);
	make_pvh(1);
	world_seed("pvh-64", INITRD, made.data, made.bytes);
	make_xen();
	world_seed("xen", AS_XEN, made.data, made.bytes);
	make_pvh(0);
	world_seed("pvh-32", SMALL, made.data, made.bytes);
	make_multiboot();
	world_seed("multiboot", INITRD | MODULE, made.data, made.bytes);
	make_multiboot2((const uint32_t []){ 1, 16, 4, 6, 3, 12, 0x100020, 0, 0, 8 }, 10);
	world_seed("multiboot2", INITRD | MODULE, made.data, made.bytes);
	make_pvh(1);
	((Elf64_Phdr *)(made.data + 64))[1].p_type = PT_NULL;
	world_seed("elf-64", INITRD, made.data, made.bytes);
	make_flat();
	world_seed("flat", MODULE | SMALL, made.data, made.bytes);
	memset(&made, 0, sizeof(made));
	made.data[510] = 0x55;
	made.data[511] = 0xaa;
	world_seed("sector", SMALL, made.data, 512);
}
