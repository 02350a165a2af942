// SPDX-License-Identifier: GPL-2.0-only
/* Around the world switch: descriptors, and the host's interrupts that end a stay. */
#include <linux/cc_platform.h>
#include <linux/irqflags.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <asm/cpufeature.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/special_insns.h>
#include <asm/tlbflush.h>
#include <asm/trapnr.h>
#include <xen/xen.h>
#include "engine/machine_check.h"
#include "host/compat.h"
#include "preflight.h"
#include "processor.h"
#include "ring3.h"

/* The guest's; the host's own are few, and far below. */
#define GUEST_PCID	0x100
#define NOFLUSH		BIT_ULL(63)
#define CR4_FRED_BIT	BIT_ULL(32)
#define DR6_AT_REST	0xffff0ff0ull
/* Of the GDT; with the higher one it has a hole between its pages, where a load of a selector faults. */
#define LOW_LIMIT	(RING3_GDT_ENTRIES * 8 - 1)
#define HIGH_LIMIT	(AREA_GDT_HIGH - AREA_GDT + RING3_GDT_ENTRIES * 8 - 1)

static void *page_at(struct ring3_area *area, unsigned long offset)
{
	return page_address(area->pages[offset / PAGE_SIZE]) + offset % PAGE_SIZE;
}

/* ---- descriptors ------------------------------------------------------------------ */

/* As in the host's IDT, so that any mixture of old and new tables means the same. */
static const u8 stack_of[256] = {
	[X86_TRAP_DF] = 1 + IST_INDEX_DF,
	[X86_TRAP_NMI] = 1 + IST_INDEX_NMI,
	[X86_TRAP_DB] = 1 + IST_INDEX_DB,
	[X86_TRAP_MC] = 1 + IST_INDEX_MCE,
};

static void fill_idt(struct ring3_area *area)
{
	gate_desc *idt = page_at(area, AREA_IDT);
	unsigned long stubs = area->base + (ring3_stubs - ring3_text);
	unsigned int i;

	for (i = 0; i < 256; i++)
		idt[i] = (gate_desc) {
			.offset_low = (u16)(stubs + 16 * i),
			.segment = RING3_CS,
			.bits.ist = stack_of[i],
			.bits.type = GATE_INTERRUPT,
			.bits.p = 1,
			.offset_middle = (u16)((stubs + 16 * i) >> 16),
			.offset_high = (stubs + 16 * i) >> 32,
		};
}

static void set_tss_descriptor(u64 *gdt, unsigned int selector, unsigned long base,
			       unsigned int limit)
{
	struct ldttss_desc desc = {
		.limit0 = (u16)limit,
		.limit1 = limit >> 16,
		.base0 = (u16)base,
		.base1 = (base >> 16) & 0xff,
		.base2 = (base >> 24) & 0xff,
		.base3 = base >> 32,
		.type = DESC_TSS,	/* available: LTR marks it as busy */
		.p = 1,
	};

	memcpy(&gdt[selector / 8], &desc, sizeof(desc));
}

static void fill_tss(struct ring3_area *area)
{
	struct x86_hw_tss *tss = page_at(area, AREA_TSS);
	unsigned int i;

	tss->sp0 = area->base + AREA_CONTEXT + CTX_REGS_END;
	for (i = 0; i < 4; i++)
		tss->ist[i] = area->base + AREA_STACKS + i * AREA_STACK_STRIDE + PAGE_SIZE;
	/* Beyond the limit: no port is open. */
	tss->io_bitmap_base = sizeof(*tss);
}

static void fill_area(struct ring3_area *area)
{
	u64 *gdt = page_at(area, AREA_GDT);
	struct ring3_context *context = area->context;

	fill_idt(area);
	fill_tss(area);
	gdt[RING3_CS / 8] = 0x00af9b000000ffffull;
	gdt[RING3_SS / 8] = 0x00cf93000000ffffull;
	context->idtr = (struct desc_ptr){ 256 * 16 - 1, area->base + AREA_IDT };
	context->gdtr = (struct desc_ptr){ LOW_LIMIT, area->base + AREA_GDT };
	context->entry = area->base + (ring3_enter - ring3_text);
}

int ring3_area_create(struct ring3_area *area)
{
	int err = ring3_area_place(area);

	if (!err)
		fill_area(area);
	return err;
}

static bool is_high(u16 selector)
{
	return selector / 8 >= RING3_GDT_HIGH;
}

static u64 *gdt_entry(struct ring3_area *area, u16 selector)
{
	return page_at(area, AREA_GDT + (selector & ~7ul));
}

/* The places of our own, and what a selector for ring 3 cannot be. */
static bool place_is_free(u16 selector)
{
	unsigned int i = selector / 8;

	if ((selector & 7) == 3 && is_high(selector))
		return i < RING3_GDT_HIGH + RING3_GDT_ENTRIES;
	return (selector & 7) == 3 && i && i < RING3_GDT_ENTRIES && i != RING3_CS / 8 &&
	       i != RING3_SS / 8 && i != RING3_HOST_TSS / 8 && i != RING3_HOST_TSS / 8 + 1 &&
	       i != RING3_TSS / 8 && i != RING3_TSS / 8 + 1;
}

bool ring3_set_user_segments(struct ring3_area *area, u16 cs, u16 ss)
{
	u64 *gdt = page_at(area, AREA_GDT);
	u64 kept[2] = { gdt[RING3_CS / 8], gdt[RING3_SS / 8] };

	if (!place_is_free(cs) || !place_is_free(ss) || cs == ss)
		return false;
	memset(gdt, 0, RING3_GDT_ENTRIES * 8);
	memset(page_at(area, AREA_GDT_HIGH), 0, RING3_GDT_ENTRIES * 8);
	gdt[RING3_CS / 8] = kept[0];
	gdt[RING3_SS / 8] = kept[1];
	*gdt_entry(area, cs) = 0x00affb000000ffffull;
	*gdt_entry(area, ss) = 0x00cff3000000ffffull;
	area->context->gdtr.size = is_high(cs) || is_high(ss) ? HIGH_LIMIT : LOW_LIMIT;
	return true;
}

/* Present, for ring 3, data, accessed: else loading it changes the guest's memory. */
#define DATA_MASK	0x0000f90000000000ull
#define DATA_BITS	0x0000f10000000000ull

void ring3_add_data_segments(struct ring3_area *area, const u64 *guest, unsigned int entries)
{
	u64 *gdt = page_at(area, AREA_GDT);
	unsigned int i;

	for (i = 1; i < min_t(unsigned int, entries, RING3_GDT_ENTRIES); i++)
		if (!gdt[i] && place_is_free(8 * i + 3) && (guest[i] & DATA_MASK) == DATA_BITS)
			gdt[i] = guest[i];
}

/* The host's task register comes back from a copy of its descriptor that is not marked as busy. */
static void note_descriptors(struct ring3_area *area)
{
	struct ring3_context *context = area->context;
	u64 *gdt = page_at(area, AREA_GDT);
	const u64 *host;

	store_idt(&context->host_idtr);
	native_store_gdt(&context->host_gdtr);
	host = (const u64 *)context->host_gdtr.address;
	gdt[RING3_HOST_TSS / 8] = host[RING3_HOST_TSS / 8] & ~BIT_ULL(41);
	gdt[RING3_HOST_TSS / 8 + 1] = host[RING3_HOST_TSS / 8 + 1];
	set_tss_descriptor(gdt, RING3_TSS, area->base + AREA_TSS, sizeof(struct x86_hw_tss) - 1);
}

/* ---- running --------------------------------------------------------------------------- */

/* The registers that an exit pushed, or NULL without an exit. */
static const struct ring3_regs *pushed(struct ring3_area *area)
{
	unsigned long at = area->context->exit_rsp;

	return at ? page_at(area, at - area->base) : NULL;
}

/* Raise the vector again, for the host to handle it.  NMIs may be blocked until then. */
static void hand_over(u64 vector, u32 seen)
{
	if (vector == X86_TRAP_NMI || seen & SEEN_NMI)
		asm volatile("int $2");
	if (vector == X86_TRAP_MC || seen & SEEN_MC)
		engine_host_machine_check();
}

void ring3_take_interrupt(const struct ring3_regs *regs)
{
	lockdep_assert_irqs_disabled();
	if (!WARN_ON_ONCE(regs->vector < FIRST_EXTERNAL_VECTOR || regs->vector >= NR_VECTORS))
		ring3_raise(regs->vector);
}

static enum ring3_why judge(const struct ring3_regs *left)
{
	if (!left)
		return RING3_TURNED_BACK;
	if (left->vector >= RING3_FATAL)
		return RING3_DEAD;
	if (left->vector == RING3_SYSCALL)
		return RING3_CALL;
	if (left->vector == RING3_SYSCALL32)
		return RING3_CALL32;
	if (left->vector == X86_TRAP_NMI || left->vector == X86_TRAP_MC)
		return RING3_NMI;
	if (left->vector >= FIRST_EXTERNAL_VECTOR)
		return RING3_INTERRUPT;
	if (!(left->cs & 3))
		return RING3_BAD_STATE;
	return RING3_EXCEPTION;
}

static void take_regs(struct ring3_regs *regs, const struct ring3_regs *left, enum ring3_why why)
{
	/* The state that IRET refused is the guest's; the frame of IRET's fault is the switcher's. */
	if (why == RING3_BAD_STATE) {
		regs->vector = left->vector;
		regs->error = left->error;
		return;
	}
	if (why == RING3_CALL || why == RING3_CALL32) {
		memcpy(regs->gpr, left->gpr, sizeof(regs->gpr));
		regs->vector = left->vector;
		regs->rip = left->rip;
		regs->rflags = left->rflags;
		regs->rsp = left->rsp;
		return;
	}
	*regs = *left;
}

/* The bits of DR6 stay set until they are cleared, and the host would read them as its own. */
static void take_dr6(struct ring3_user *user, bool of_ring3, bool of_ring0)
{
	unsigned long dr6;

	if (likely(!of_ring3 && !of_ring0))
		return;
	get_debugreg(dr6, 6);
	set_debugreg(DR6_AT_REST, 6);
	if (of_ring3)
		user->dr6 = dr6;
}

static void set_tables(struct ring3_context *context, u64 root)
{
	bool pcid = native_read_cr4() & X86_CR4_PCIDE;

	/* The host's translations may stay; the guest's of an earlier stay go. */
	context->host_cr3 = __native_read_cr3() | (pcid ? NOFLUSH : 0);
	context->guest_cr3 = root | (pcid ? GUEST_PCID : 0);
}

enum ring3_why ring3_run(struct ring3_area *area, u64 root, struct ring3_regs *regs,
			 struct ring3_user *user)
{
	struct ring3_context *context = area->context;
	const struct ring3_regs *left;
	struct ring3_host host;
	enum ring3_why why;
	u64 vector = 0;

	lockdep_assert_irqs_disabled();
	context->regs = *regs;
	context->seen = 0;
	context->flags &= ~FLAG_VERW;
	if (cpu_feature_enabled(X86_FEATURE_CLEAR_CPU_BUF))
		context->flags |= FLAG_VERW;
	set_tables(context, root);
	context->host_cr4 = native_read_cr4();
	context->guest_cr4 = (context->host_cr4 & ~user->cr4_clear) | user->cr4_set;
	note_descriptors(area);
	ring3_processor_take(area, user, &host);
	ring3_switch((struct ring3_context *)(area->base + AREA_CONTEXT));
	user->cr2 = context->cr2;
	left = pushed(area);
	why = judge(left);
	take_dr6(user, why == RING3_EXCEPTION && left->vector == X86_TRAP_DB,
		 context->seen & SEEN_DB || context->flags & FLAG_STRIKE);
	ring3_processor_give(area, user, &host);
	if (left) {
		vector = left->vector;
		take_regs(regs, left, why);
	}
	hand_over(vector, context->seen);
	WARN_ONCE(why == RING3_DEAD, "gondola: vector %llu at %#llx in the switcher, error %#llx\n",
		  vector - RING3_FATAL, regs->rip - area->base, regs->error);
	return why;
}

/* ---- preflight --------------------------------------------------------------------------- */

static bool lacks_bhb(void)
{
#if defined(COMPAT_RESERVED_BHB) && defined(X86_FEATURE_CLEAR_BHB_LOOP)
	return boot_cpu_has(X86_FEATURE_CLEAR_BHB_LOOP);
#else
	return false;
#endif
}

void ring3_find_facts(struct ring3_facts *facts)
{
	u64 cr4 = native_read_cr4();

	*facts = (struct ring3_facts) {
		.nx = boot_cpu_has(X86_FEATURE_NX),
		.la57 = cr4 & X86_CR4_LA57,
		.fred = cr4 & CR4_FRED_BIT,
		.xen_pv = xen_pv_domain(),
		.encrypted = cc_platform_has(CC_ATTR_MEM_ENCRYPT),
		.no_bhb = lacks_bhb(),
		.slot_taken = current->mm && ring3_slot_taken(current->mm),
	};
}
