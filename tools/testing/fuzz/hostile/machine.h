/* SPDX-License-Identifier: GPL-2.0-only */
/* Of the hostile guest: its processors, their registers, and the tables that it begins with. */
#ifndef HOSTILE_MACHINE_H
#define HOSTILE_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../abi/random.h"

#define PAGE_BYTES	4096u
#define STACK_BYTES	16384u
#define APIC		0xfee00000u
#define IOAPIC		0xfec00000u
#define ICR_INIT_OTHERS		0x000c4500u
#define ICR_STARTUP_OTHERS	0x000c4600u
#define VECTOR_BACK	0x80u		/* from privilege level 3 */

#define CR0_PG		0x80000000u
#define CR0_CD		0x40000000u
#define CR0_NW		0x20000000u
#define CR0_AM		0x00040000u
#define CR0_WP		0x00010000u
#define CR0_NE		0x00000020u
#define CR0_TS		0x00000008u
#define CR0_EM		0x00000004u
#define CR0_MP		0x00000002u
#define CR4_PSE		0x00000010u
#define CR4_PAE		0x00000020u
#define CR4_OSFXSR	0x00000200u
#define CR4_OSXMMEXCPT	0x00000400u
#define CR4_SMEP	0x00100000u
#define CR4_SMAP	0x00200000u

/* Entries of tables: 32 bits wide with two levels, else 64. */
#define PTE_P		1u
#define PTE_W		2u
#define PTE_U		4u
#define PTE_PS		0x80u
#define PTE_G		0x100u
#define PTE_NX		(1ull << 63)

#define CODE_SELECTOR	0x08u
#define DATA_SELECTOR	0x10u
#define TSS_SELECTOR	0x28u
/* On ring3 programs run directly where their selectors are none of the switcher's. */
#define USER_CODE	0x83u
#define USER_DATA	0x8bu
#define GDT_ENTRIES	18u

/**
 * struct cpu - one processor
 * @random: what it does next
 * @id: its number
 * @near: an address that was touched
 * @steps: since the last beat
 * @faults: steps that ended in an exception, since the last beat
 * @row: exceptions without a step that went well between them
 * @back: where the processor goes on after an exception
 */
struct cpu {
	struct random random;
	uint32_t id;
	uintptr_t near;
	uint32_t steps;
	uint32_t faults;
	uint32_t row;
	void *back[5];
};

#define CONTROL_REGISTER(name)								\
static inline uintptr_t read_##name(void)						\
{											\
	uintptr_t value;								\
											\
	asm volatile("mov %%" #name ", %0" : "=r"(value) : : "memory");			\
	return value;									\
}											\
static inline void write_##name(uintptr_t value)					\
{											\
	asm volatile("mov %0, %%" #name : : "r"(value) : "memory");			\
}

CONTROL_REGISTER(cr0)
CONTROL_REGISTER(cr3)
CONTROL_REGISTER(cr4)

static inline void wrmsr(uint32_t index, uint64_t value)
{
	asm volatile("wrmsr" : : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) :
		     "memory");
}

static inline uint64_t rdmsr(uint32_t index)
{
	uint32_t low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
	return (uint64_t)high << 32 | low;
}

extern uint8_t stacks[][STACK_BYTES];
extern const uint8_t trampoline[], trampoline_end[], vectors[], user_read[], user_write[];

void guest_main(void);
void guest_trap(uintptr_t number);
/** this_cpu() - the processor whose stack is in use */
struct cpu *this_cpu(void);
/** step() - do one thing at random */
void step(struct random *r);
/** any_address() - memory of all kinds, a few places again and again */
uintptr_t any_address(struct random *r);
/** any_entry() - what a table may hold */
uint64_t any_entry(struct random *r);
/** run_program() - leave for level 3; only an exception comes back (64 bits) */
void run_program(struct random *r);
/** prepare_calls() - SYSCALL ends a step as well (64 bits) */
void prepare_calls(void);

/** make_good_tables() - low memory one to one, the APICs, and windows through the pool */
void make_good_tables(void);
/** good_root() - for CR3, of the paging mode that is on */
uintptr_t good_root(void);
/** go_paged() - switch paging on as it is in the beginning */
void go_paged(void);
/** change_mode() - another paging mode; 64 bits stay what they are */
void change_mode(struct random *r);
void make_descriptors(uint32_t id);
void load_descriptors(uint32_t id);
uint64_t *gdt_of(uint32_t id);
extern uint32_t idt[];
/** wide() - are the entries of the tables that are in use 64 bits wide? */
bool wide(void);

#endif
