// SPDX-License-Identifier: GPL-2.0-only
/* The hostile guest does one thing at random at a time. */
#include "guest.h"
#include "machine.h"

#define WINDOW		0x10000000u
#define WINDOW_BYTES	0x4000000u
#define EFER		0xc0000080u
#define ICR_LOW		(APIC + 0x300)
#define ICR_HIGH	(APIC + 0x310)

/* The pool as it is mapped one to one; and the page at 0, where large pages and tables may begin. */
static uint8_t *pool_page(struct random *r)
{
	if (one_in(r, 16))
		return NULL;
	return (uint8_t *)(uintptr_t)(HOSTILE_POOL + below(r, HOSTILE_POOL_PAGES) * PAGE_BYTES);
}

static uintptr_t new_address(struct random *r)
{
	uint32_t table = below(r, 8), entry = one_in(r, 4) ? below(r, 512) : below(r, 8);
	uint32_t offset = one_in(r, 4) ? PAGE_BYTES - below(r, 16) : below(r, PAGE_BYTES);

	switch (below(r, 16)) {
	case 0:
		return (uintptr_t)pool_page(r) + offset;
	case 1:
		return HOSTILE_DATA + below(r, 256) * PAGE_BYTES + offset;
	case 2:
		return one_in(r, 2) ? APIC + below(r, 0x400) : HOSTILE_NO_MEMORY + offset;
	case 3:
		return one_in(r, 4) ? next(r) : WINDOW + below(r, WINDOW_BYTES);
	default:
		return WINDOW + table * (wide() ? 0x200000u : 0x400000u) + entry * PAGE_BYTES + offset;
	}
}

/* A few places again and again: what is seldom touched twice goes wrong seldom. */
uintptr_t any_address(struct random *r)
{
	struct cpu *cpu = this_cpu();

	if (cpu->near && one_in(r, 2))
		return one_in(r, 2) ? cpu->near : cpu->near ^ below(r, 512 * PAGE_BYTES);
	cpu->near = new_address(r);
	return cpu->near;
}

/* Where an entry leads: to tables of all kinds, data, the guest itself, other slots, nowhere. */
static uint64_t any_frame(struct random *r)
{
	switch (below(r, 24)) {
	case 0:
		return HOSTILE_TABLES + below(r, 16) * PAGE_BYTES;
	case 1:
		return HOSTILE_OTHER + below(r, HOSTILE_POOL_PAGES) * PAGE_BYTES;
	case 2:
		return HOSTILE_READ_ONLY + below(r, 256) * PAGE_BYTES;
	case 3:
		return HOSTILE_LATE + below(r, 64) * PAGE_BYTES;
	case 4:
		return HOSTILE_NO_MEMORY + below(r, 16) * PAGE_BYTES;
	case 5:
		return one_in(r, 2) ? APIC : HOSTILE_CODE + below(r, 64) * PAGE_BYTES;
	case 6:
		return next(r) & 0x000ffffffffff000ull >> below(r, 24);
	case 7:
	case 8:
	case 9:
		return HOSTILE_DATA + below(r, 256) * PAGE_BYTES;
	default:
		return (uintptr_t)pool_page(r);
	}
}

uint64_t any_entry(struct random *r)
{
	uint64_t entry = any_frame(r);

	/* A large page that is memory: it may be taken for a table, and a table for it. */
	if (one_in(r, 6))
		entry = PTE_PS | (wide() && one_in(r, 2) ? HOSTILE_POOL : 0);
	entry |= one_in(r, 10) ? 0 : PTE_P;
	entry |= one_in(r, 4) ? 0 : PTE_W;
	entry |= one_in(r, 4) ? 0 : PTE_U;
	entry |= one_in(r, 6) ? PTE_PS : 0;
	entry |= one_in(r, 4) ? PTE_G : 0;
	entry |= below(r, 4) << 5;
	entry |= one_in(r, 16) ? below(r, 4) << 3 : 0;
	if (wide()) {
		entry |= one_in(r, 10) ? PTE_NX : 0;
		entry |= one_in(r, 32) ? next(r) & 0x7ff0000000000000ull : 0;
	}
	return entry;
}

/* ---- tables -------------------------------------------------------------------------- */

static void put_entry(struct random *r, void *table)
{
	uint32_t at = one_in(r, 3) ? below(r, 512) : below(r, 8);

	if (wide())
		((volatile uint64_t *)table)[at] = any_entry(r);
	else
		((volatile uint32_t *)table)[at * (1 + below(r, 2))] = any_entry(r);
}

static void write_tables(struct random *r)
{
	for (uint32_t i = below(r, 8); i; i--)
		put_entry(r, pool_page(r));
}

/* All of a page at once, as a kernel clears or copies one. */
static void fill_table(struct random *r)
{
	volatile uint32_t *to = (void *)pool_page(r);
	volatile uint32_t *from = (void *)pool_page(r);
	uint32_t what = below(r, 3);
	uint64_t entry = any_entry(r);

	for (uint32_t i = 0; i < 1024; i++) {
		if (what == 2)
			to[i] = from[i];
		else if (what == 1 && wide())
			to[i] = i % 2 ? entry >> 32 : entry + i / 2 * PAGE_BYTES;
		else if (what == 1)
			to[i] = entry + i * PAGE_BYTES;
		else
			to[i] = 0;
	}
}

/* Windows of the tables that the guest stands on lead somewhere else; seldom the rest does. */
static void write_windows(struct random *r)
{
	uintptr_t table = HOSTILE_TABLES + (wide() ? 5 : 0) * PAGE_BYTES;
	uint32_t at = wide() ? 128 + below(r, 32) : 64 + below(r, 16);

	if (one_in(r, 1000))
		put_entry(r, (void *)(uintptr_t)(HOSTILE_TABLES + below(r, 14) * PAGE_BYTES));
	if (wide())
		((volatile uint64_t *)table)[at] = any_entry(r);
	else
		((volatile uint32_t *)table)[at] = any_entry(r);
}

static void invalidate(struct random *r)
{
	asm volatile("invlpg (%0)" : : "r"(any_address(r)) : "memory");
}

/* Another root: a copy of the good one in the pool, with a few entries of its own. */
static void load_root(struct random *r)
{
	uint32_t *copy = (void *)pool_page(r);
	const uint32_t *good = (void *)(good_root() & ~(PAGE_BYTES - 1ul));

	switch (below(r, 4)) {
	case 0:
		for (uint32_t i = 0; i < 1024; i++)
			copy[i] = good[i];
		if (!wide())
			copy[64 + below(r, 16)] = any_entry(r);
		else if (sizeof(uintptr_t) == 8)
			((uint64_t *)copy)[1 + below(r, 511)] = any_entry(r);
		write_cr3((uintptr_t)copy);
		break;
	case 1:
		if (one_in(r, 100))
			write_cr3(any_frame(r));
		break;
	default:
		write_cr3(good_root());
	}
}

/* ---- accesses ----------------------------------------------------------------------- */

static void read_or_write(struct random *r)
{
	volatile uint8_t *at = (void *)any_address(r);
	uint32_t count = one_in(r, 8) ? below(r, 4096) : below(r, 64);
	uint64_t value = next(r);

	switch (below(r, 9)) {
	case 0:
		(void)*at;
		break;
	case 1:
		(void)*(volatile uint32_t *)at;
		break;
	case 2:
		*(volatile uint32_t *)at = value;
		break;
	case 3:
		*at = value;
		break;
	case 4:
		asm volatile("lock btsl %1, (%0)" : : "r"(at), "r"((uint32_t)value & 31) : "memory");
		break;
	case 5:
		asm volatile("lock cmpxchg8b (%0)" : : "r"(at), "a"(0), "d"(0), "b"(1), "c"(2) :
			     "memory");
		break;
	case 6:
		asm volatile("rep stosb" : : "D"(at), "c"(count), "a"((uint32_t)value) :
			     "memory");
		break;
	case 7:
		asm volatile("rep movsl" : : "D"(at), "S"(any_address(r)), "c"(count) :
			     "memory");
		break;
	default:
		/* An entry of a table, through a window that may lead to the table. */
		*(volatile uint64_t *)((uintptr_t)at & ~7ul) = any_entry(r);
	}
}

/* Code in a page that is a table too, written just before it runs, or by another one meanwhile. */
static void run_from_pool(struct random *r)
{
	uint8_t *page = pool_page(r);
	uint32_t at = below(r, PAGE_BYTES - 32);

	page[at] = 0xb8;	/* mov $n, %eax */
	*(volatile uint32_t *)(page + at + 1) = any_entry(r);
	page[at + 5] = 0xa3;	/* mov %eax, n; 8 bytes of address with 64 bits */
	*(volatile uint64_t *)(page + at + 6) = (uintptr_t)page + below(r, PAGE_BYTES);
	page[at + 6 + sizeof(uintptr_t)] = one_in(r, 16) ? next(r) : 0xc3;
	if (one_in(r, 2))
		page = (void *)(any_address(r) & ~(PAGE_BYTES - 1ul));
	((void (*)(void))(page + at))();
}

static uint64_t canonical(uint64_t address)
{
	return (int64_t)(address << 16) >> 16;
}

/* ---- registers -------------------------------------------------------------------------- */

static void flip_control(struct random *r)
{
	static const uint32_t cr0[] = { CR0_WP, CR0_WP, CR0_WP, CR0_AM, CR0_TS, CR0_EM, CR0_MP,
					CR0_NE, CR0_CD, CR0_NW };
	/* VME, PVI, TSD, DE, PSE, PGE twice, PCE, OSFXSR, OSXMMEXCPT, UMIP, SMEP, SMAP, PCIDE, ... */
	static const uint8_t cr4[] = { 0, 1, 2, 3, 4, 4, 4, 7, 7, 8, 9, 10, 11, 13, 16, 17, 18, 20,
				       20, 21 };
	uintptr_t bit;

	switch (below(r, 5)) {
	case 0:
		write_cr0(read_cr0() ^ cr0[below(r, sizeof(cr0) / sizeof(cr0[0]))]);
		break;
	case 1:
		change_mode(r);
		break;
	case 2:
		/* NXE; LME under paging is a fault. */
		wrmsr(EFER, rdmsr(EFER) ^ (one_in(r, 8) ? 1ull << below(r, 16) : 0x800));
		break;
	default:
		bit = 1ul << cr4[below(r, sizeof(cr4))];
		write_cr4(read_cr4() ^ bit);
	}
}

static void touch_msr(struct random *r)
{
	static const uint32_t some[] = {
		0x10, 0x1b, 0x3a, 0x3b, 0x48, 0x49, 0x8b, 0xfe, 0x174, 0x175, 0x176, 0x179, 0x17a,
		0x1a0, 0x1d9, 0x200, 0x201, 0x20f, 0x250, 0x258, 0x268, 0x26f, 0x277, 0x2ff, 0x6e0,
		0x802, 0x808, 0x80b, 0x830, 0x832, 0x838, 0x83f, 0xc0000080, 0xc0000081, 0xc0000082,
		0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103, 0xc0010015,
		0xc001001f, 0xc0010114, 0xc0010117, 0x4b564d00, 0x4b564d01, 0x4b564d03, 0x4b564d04,
	};
	uint32_t index = some[below(r, sizeof(some) / sizeof(some[0]))];
	uint64_t value = one_in(r, 2) ? next(r) >> below(r, 64) : any_frame(r) | below(r, 4);

	if (one_in(r, 16))
		index = next(r);
	/* SYSCALL would be one's own end, and the APIC's base everybody's. */
	if (index == 0x1b && !one_in(r, 64))
		return;
	if (one_in(r, 3))
		value = rdmsr(index) ^ 1ull << below(r, 64);
	/* QEMU takes any value for these addresses, which a processor and SET_STATE refuse. */
	if (index - 0xc0000082 < 2 || index - 0xc0000100 < 3)
		value = canonical(value);
	wrmsr(index, value);
}

static void odd_descriptors(struct random *r)
{
	struct {
		uint16_t limit;
		uintptr_t base;
	} __attribute__((packed)) pointer = { 0xfff, 0 };
	uint8_t *page = pool_page(r);
	uint64_t *gdt = gdt_of(this_cpu()->id);

	switch (below(r, 6)) {
	case 0:		/* the IDT in a page that is a table too, and a fault through it */
		for (uint32_t i = 0; i < 1024; i++)
			((uint32_t *)page)[i] = idt[i];
		pointer.base = one_in(r, 8) ? any_address(r) : (uintptr_t)page;
		/* QEMU takes a base that is not canonical, which a processor and SET_STATE refuse. */
		pointer.base = canonical(pointer.base);
		asm volatile("lidt %0; ud2" : : "m"(pointer));
		break;
	case 1:
		pointer.base = (uintptr_t)page;
		for (uint32_t i = 0; i < GDT_ENTRIES; i++)
			((uint64_t *)page)[i] = gdt[i];
		asm volatile("lgdt %0; mov %1, %%es" : : "m"(pointer), "r"(DATA_SELECTOR));
		break;
	case 2:		/* a descriptor that is anything */
		gdt[8 + below(r, 8)] = one_in(r, 2) ? next(r) :
					 gdt[1 + below(r, 5)] ^ 1ull << below(r, 64);
		asm volatile("mov %0, %%fs" : : "r"(64 + below(r, 64)));
		break;
	case 3:
		asm volatile("lldt %w0" : : "r"(below(r, 128)));
		break;
	case 4:
		gdt[9] = gdt[5] & ~(1ull << 41);
		/* Not a null selector: QEMU takes it, and later ends itself for it. */
		asm volatile("ltr %w0" : : "r"(one_in(r, 2) ? 72 : 4 + below(r, 124)));
		break;
	default:
		asm volatile("mov %0, %%gs" : : "r"(below(r, 128)));
	}
}

/* Floating point, with images of it that were never saved. */
static void odd_fpu(struct random *r)
{
	uint32_t *image = (void *)(pool_page(r) + 512 * below(r, 8));

	switch (below(r, 6)) {
	case 0:
		for (uint32_t i = 0; i < 128; i++)
			image[i] = one_in(r, 2) ? next(r) : 0;
		image[6] &= 0xffff;
		asm volatile("fxrstor (%0); fld1; faddp; fwait" : : "r"(image) : "memory");
		break;
	case 1:
		image[0] = next(r) & 0xf7f;
		asm volatile("fldcw (%0); fldz; fdiv %%st; fwait" : : "r"(image) : "memory");
		break;
	case 2:
		image[0] = next(r) & 0xffff;
		asm volatile("ldmxcsr (%0); divps %%xmm0, %%xmm1" : : "r"(image) : "memory");
		break;
	case 3:
		asm volatile("fxsave (%0); fnsave (%0)" : : "r"(any_address(r) & ~15ul) : "memory");
		break;
	case 4:
		asm volatile("frstor (%0); fnstenv (%0); fldenv (%0); fsqrt" : : "r"(image) : "memory");
		break;
	default:
		asm volatile("movups (%0), %%xmm0; sqrtps %%xmm0, %%xmm1; movups %%xmm1, (%1)"
			     : : "r"(any_address(r)), "r"(any_address(r)) : "memory");
	}
}

static void odd_debug(struct random *r)
{
	uintptr_t value = any_address(r);

	switch (below(r, 4)) {
	case 0:
		asm volatile("mov %0, %%dr0" : : "r"(value));
		break;
	case 1:
		asm volatile("mov %0, %%dr6" : : "r"(value & 0xffff));
		break;
	case 2:
		asm volatile("mov %0, %%dr7" : : "r"((uintptr_t)(next(r) & 0xffffffff)));
		break;
	default:
		asm volatile("pushf; orl $0x100, (%%esp); popf; cpuid; nop"
			     : : "a"(0) : "ebx", "ecx", "edx", "memory");
	}
}

/* ---- the world outside ---------------------------------------------------------------- */

static void ports(struct random *r)
{
	static const uint16_t some[] = { 0x20, 0x21, 0xa0, 0xa1, 0x40, 0x41, 0x42, 0x43, 0x60, 0x61,
					 0x64, 0x70, 0x71, 0x80, 0x3f8, 0x4d0, 0x4d1, 0xcf8, 0xcfc };
	uint16_t port = one_in(r, 8) ? next(r) : some[below(r, sizeof(some) / 2)];
	uint32_t value = next(r), count = one_in(r, 8) ? below(r, 3000) : below(r, 16);
	uintptr_t at = any_address(r);

	switch (below(r, 6)) {
	case 0:
		asm volatile("outb %%al, %%dx" : : "a"(value), "d"(port));
		break;
	case 1:
		asm volatile("outl %%eax, %%dx" : : "a"(value), "d"(port));
		break;
	case 2:
		asm volatile("inb %%dx, %%al" : "=a"(value) : "d"(port));
		break;
	case 3:
		asm volatile("inw %%dx, %%ax" : "=a"(value) : "d"(port));
		break;
	case 4:
		asm volatile("rep insb" : : "D"(at), "c"(count), "d"(port) : "memory");
		break;
	default:
		asm volatile("rep outsl" : : "S"(at), "c"(count), "d"(port) : "memory");
	}
}

static void interrupts(struct random *r)
{
	static const uint16_t registers[] = { 0x20, 0x80, 0xb0, 0xd0, 0xe0, 0xf0, 0x280, 0x320, 0x330,
					      0x340, 0x350, 0x360, 0x370, 0x380, 0x3e0 };
	volatile uint32_t *ioapic = (volatile uint32_t *)IOAPIC;
	uint32_t icr = below(r, 256) | below(r, 2) << 11 | below(r, 4) << 18;

	switch (below(r, 8)) {
	case 0:		/* an IPI, seldom an INIT, a start-up or an NMI */
		if (one_in(r, 8))
			icr = (icr & ~0xffu) | (one_in(r, 4) ? below(r, 256) : 8) |
			      below(r, 8) << 8 | 0x4000;
		*(volatile uint32_t *)ICR_HIGH = below(r, HOSTILE_MAX_CPUS) << 24;
		*(volatile uint32_t *)ICR_LOW = icr;
		break;
	case 1:
		*(volatile uint32_t *)(uintptr_t)(APIC + registers[below(r, 15)]) = next(r) >>
										    below(r, 32) >> 32;
		break;
	case 2:		/* the timer, soon */
		*(volatile uint32_t *)(APIC + 0x3e0) = below(r, 16);
		*(volatile uint32_t *)(APIC + 0x320) = 32 + below(r, 224) + (below(r, 3) << 17);
		*(volatile uint32_t *)(APIC + 0x380) = 1 + below(r, 100000);
		break;
	case 3:
		ioapic[0] = 0x10 + below(r, 48);
		ioapic[4] = next(r);
		break;
	case 4:
		asm volatile("sti; nop; pause; cli");
		break;
	case 5:		/* with a timer that ends it, mostly */
		*(volatile uint32_t *)(APIC + 0x3e0) = 11;
		*(volatile uint32_t *)(APIC + 0x320) = 64;
		*(volatile uint32_t *)(APIC + 0x380) = 1 + below(r, 10000);
		asm volatile("sti; hlt; cli");
		break;
	case 6:
		*(volatile uint32_t *)(APIC + 0xb0) = 0;
		break;
	default:
		asm volatile("sti; int %0" : : "i"(0x40));
	}
}

static void odd_instructions(struct random *r)
{
	uint32_t a = one_in(r, 2) ? below(r, 16) : next(r), b = next(r), c = b, d = b;

	switch (below(r, 12)) {
	case 0:
		asm volatile("cpuid" : "+a"(a), "+b"(b), "+c"(c), "+d"(d));
		break;
	case 1:
		asm volatile("vmcall" : "+a"(a) : "b"(b), "c"(c), "d"(d), "S"((uint32_t)b) :
			     "memory");
		break;
	case 2:
		asm volatile("vmmcall" : "+a"(a) : "b"(b), "c"(c), "d"(d), "S"(below(r, 4096)) :
			     "memory");
		break;
	case 3:
		asm volatile("wbinvd");
		break;
	case 4:
		asm volatile("xsetbv" : : "a"(a), "c"(0), "d"(0));
		break;
	case 5:
		asm volatile("monitor; mwait" : : "a"(any_address(r)), "c"(0), "d"(0));
		break;
	case 6:
		asm volatile("clts; rdtsc; pause" : : : "eax", "edx");
		break;
	case 7:
		asm volatile("ud2");
		break;
	case 8:
		asm volatile("int3");
		break;
	case 9:
		asm volatile("vmrun; vmload" : : "a"(any_address(r)));
		break;
	case 10:
		asm volatile("lmsw %w0" : : "r"(below(r, 16) | 1));
		break;
	default:
		asm volatile("rdpmc" : "=a"(a), "=d"(d) : "c"(c));
	}
}

/* How often each is done, among all. */
static const struct {
	void (*act)(struct random *r);
	uint32_t weight;
} acts[] = {
	{ read_or_write, 32 }, { write_tables, 16 }, { write_windows, 8 }, { invalidate, 12 },
	{ run_program, 20 }, { load_root, 8 }, { flip_control, 12 }, { run_from_pool, 4 },
	{ fill_table, 2 }, { interrupts, 8 }, { ports, 2 }, { touch_msr, 3 },
	{ odd_descriptors, 4 }, { odd_fpu, 5 }, { odd_debug, 2 }, { odd_instructions, 3 },
};

void step(struct random *r)
{
	uint32_t all = 0, which, i;

	for (i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
		all += acts[i].weight;
	which = below(r, all);
	for (i = 0; which >= acts[i].weight; i++)
		which -= acts[i].weight;
	acts[i].act(r);
}
