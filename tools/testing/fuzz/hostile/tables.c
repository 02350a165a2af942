// SPDX-License-Identifier: GPL-2.0-only
/* Page tables, descriptors and paging modes of the hostile guest. */
#include "guest.h"
#include "machine.h"

/* Pages of HOSTILE_TABLES. */
enum {
	PD32, PT32, APIC_PT32, PML4, PDPT, PD0 = PDPT + 1, PD1, PD2, PD3, PT0, PT1, APIC_PT, PDPT_PAE,
};

#define TABLE(n)	(HOSTILE_TABLES + (n) * PAGE_BYTES)
#define WINDOW_MIB	256u

struct descriptor_pointer {
	uint16_t limit;
	uintptr_t base;
} __attribute__((packed));

uint32_t idt[1024] __attribute__((aligned(4096)));
static uint64_t gdt[HOSTILE_MAX_CPUS][GDT_ENTRIES] __attribute__((aligned(4096)));
static uint32_t tss[HOSTILE_MAX_CPUS][32] __attribute__((aligned(128)));

static void set32(uint32_t table, uint32_t index, uint32_t entry)
{
	((volatile uint32_t *)(uintptr_t)TABLE(table))[index] = entry;
}

static void set64(uint32_t table, uint32_t index, uint64_t entry)
{
	((volatile uint64_t *)(uintptr_t)TABLE(table))[index] = entry;
}

/* Of a page of low memory: code that runs at level 3, pool and data are the user's. */
static uint32_t rights_of(uint32_t page)
{
	uintptr_t at = (uintptr_t)page * PAGE_BYTES;
	bool user = at >= HOSTILE_POOL || at == ((uintptr_t)user_read & ~(PAGE_BYTES - 1ul));

	return PTE_P | PTE_W | (user ? PTE_U : 0);
}

static void make32(void)
{
	for (uint32_t i = 0; i < 1024; i++)
		set32(PT32, i, i * PAGE_BYTES | rights_of(i));
	set32(PD32, 0, TABLE(PT32) | PTE_P | PTE_W | PTE_U);
	set32(PD32, APIC >> 22, TABLE(APIC_PT32) | PTE_P | PTE_W);
	set32(APIC_PT32, APIC >> 12 & 1023, APIC | PTE_P | PTE_W);
	set32(APIC_PT32, IOAPIC >> 12 & 1023, IOAPIC | PTE_P | PTE_W);
	for (uint32_t i = 0; i < 16; i++)
		set32(PD32, WINDOW_MIB / 4 + i, (HOSTILE_POOL + i * PAGE_BYTES) | 7);
}

static void make64(void)
{
	set64(PML4, 0, TABLE(PDPT) | PTE_P | PTE_W | PTE_U);
	for (uint32_t i = 0; i < 4; i++) {
		set64(PDPT, i, TABLE(PD0 + i) | PTE_P | PTE_W | PTE_U);
		set64(PDPT_PAE, i, TABLE(PD0 + i) | PTE_P);
	}
	for (uint32_t i = 0; i < 512; i++) {
		set64(PT0, i, i * PAGE_BYTES | rights_of(i));
		set64(PT1, i, (512 + i) * PAGE_BYTES | rights_of(512 + i));
	}
	set64(PD0, 0, TABLE(PT0) | PTE_P | PTE_W | PTE_U);
	set64(PD0, 1, TABLE(PT1) | PTE_P | PTE_W | PTE_U);
	set64(PD3, APIC >> 21 & 511, TABLE(APIC_PT) | PTE_P | PTE_W);
	set64(PD3, IOAPIC >> 21 & 511, TABLE(APIC_PT) | PTE_P | PTE_W);
	set64(APIC_PT, APIC >> 12 & 511, APIC | PTE_P | PTE_W);
	set64(APIC_PT, 256, IOAPIC | PTE_P | PTE_W);
	for (uint32_t i = 0; i < 32; i++)
		set64(PD0, WINDOW_MIB / 2 + i, (HOSTILE_POOL + i * PAGE_BYTES) | 7);
}

void make_good_tables(void)
{
	make32();
	make64();
}

#ifdef __x86_64__
bool wide(void)
{
	return true;
}

uintptr_t good_root(void)
{
	return TABLE(PML4);
}

void go_paged(void)
{
	write_cr3(good_root());
	write_cr0(read_cr0() | CR0_NE);
	write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT);
	prepare_calls();
}

void change_mode(struct random *r)
{
	write_cr3(one_in(r, 2) ? good_root() : TABLE(PML4) | below(r, PAGE_BYTES));
}
#else
bool wide(void)
{
	return read_cr4() & CR4_PAE;
}

uintptr_t good_root(void)
{
	return wide() ? TABLE(PDPT_PAE) : TABLE(PD32);
}

void go_paged(void)
{
	write_cr4(read_cr4() | CR4_PSE);
	write_cr3(good_root());
	write_cr0(read_cr0() | CR0_PG | CR0_WP);
}

/* Low memory is one to one in all of them, so the code goes on. */
void change_mode(struct random *r)
{
	write_cr0(read_cr0() & ~CR0_PG);
	if (one_in(r, 2))
		write_cr4(read_cr4() ^ CR4_PAE);
	if (one_in(r, 16))
		return;
	write_cr3(good_root());
	write_cr0(read_cr0() | CR0_PG);
}
#endif

/* Bases in pieces, as the processor wants them. */
static uint64_t segment(uintptr_t base, uint64_t rest)
{
	return rest | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)(base >> 24 & 0xff) << 56;
}

static void make_gate(uint32_t vector, uintptr_t at, uint32_t rights)
{
	uint32_t *gate = idt + vector * (sizeof(uintptr_t) / 2);

	gate[0] = CODE_SELECTOR << 16 | (at & 0xffff);
	gate[1] = (at & 0xffff0000) | rights;
	if (sizeof(uintptr_t) == 8)
		gate[2] = gate[3] = 0;
}

void make_descriptors(uint32_t id)
{
	bool long_mode = sizeof(uintptr_t) == 8;
	uintptr_t stack = (uintptr_t)stacks[id] + STACK_BYTES / 2;
	uint64_t code = long_mode ? 0x00af9b000000ffff : 0x00cf9b000000ffff;
	uint64_t *g = gdt[id];

	g[1] = code;
	g[2] = 0x00cf93000000ffff;
	g[USER_CODE / 8] = code | 0x0000600000000000;
	g[USER_DATA / 8] = 0x00cff3000000ffff;
	g[5] = segment((uintptr_t)tss[id], 0x0000890000000067);
	g[6] = 0;
	/* Where an exception of level 3 finds its stack: half-way, since level 0 is deep in it. */
	tss[id][1] = stack;
	tss[id][2] = long_mode ? 0 : DATA_SELECTOR;
	for (uint32_t i = 0; i < 256; i++)
		make_gate(i, (uintptr_t)vectors + 16 * i, i == VECTOR_BACK ? 0xee00 : 0x8e00);
}

uint64_t *gdt_of(uint32_t id)
{
	return gdt[id];
}

void load_descriptors(uint32_t id)
{
	struct descriptor_pointer g = { sizeof(gdt[0]) - 1, (uintptr_t)gdt[id] };
	struct descriptor_pointer i = { 256 * 2 * sizeof(uintptr_t) - 1, (uintptr_t)idt };

	asm volatile("lgdt %0" : : "m"(g));
	asm volatile("lidt %0" : : "m"(i));
	asm volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%ss" : : "r"(DATA_SELECTOR) : "memory");
#ifdef __x86_64__
	asm volatile("push %0; lea 1f(%%rip), %%rax; push %%rax; lretq; 1:"
		     : : "i"(CODE_SELECTOR) : "rax", "memory");
#else
	asm volatile("ljmp %0, $1f; 1:" : : "i"(CODE_SELECTOR) : "memory");
#endif
	/* It was made busy when it was loaded last. */
	gdt[id][5] &= ~(1ull << 41);
	asm volatile("ltr %w0" : : "r"(TSS_SELECTOR));
}
